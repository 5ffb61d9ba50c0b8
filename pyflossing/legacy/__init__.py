"""The original's functions under their own names and argument orders."""

from typing import TYPE_CHECKING

from pyflossing._support.lazy import lazily

if TYPE_CHECKING:
    from pyflossing.legacy.task import generateInputOutput
    from pyflossing.legacy.training import trainRNNflossing, trainSRNNflossing
else:
    __getattr__, __dir__ = lazily(
        __name__, task=("generateInputOutput",), training=("trainRNNflossing", "trainSRNNflossing")
    )

__all__ = ["generateInputOutput", "trainRNNflossing", "trainSRNNflossing"]
