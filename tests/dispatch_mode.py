"""What tests that watch torch's operations have in common."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class UncompiledMode(TorchDispatchMode):
    """A mode under which nothing is compiled: what guards against that takes longer than an operation."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
