"""Pictures of results (extra ``plot``: matplotlib). Functions take and return Axes; ``overview`` gives a whole page.

Colours are Okabe and Ito's, which colour-blind people can tell apart. Exponents are in 1/step.
"""

try:
    import matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError("pictures need matplotlib: pip install 'pyflossing[plot]'", name="matplotlib") from error

from pyflossing.plots.activity import membranes, raster, readout
from pyflossing.plots.epochs import accuracy, gradient_norm, gradient_norm_by_delay, loss
from pyflossing.plots.exponents import exponents, spectrum
from pyflossing.plots.page import overview

__all__ = [
    "accuracy",
    "exponents",
    "gradient_norm",
    "gradient_norm_by_delay",
    "loss",
    "membranes",
    "overview",
    "raster",
    "readout",
    "spectrum",
]
