"""Which of the two paths of the passes a test takes: torch, or the compiled kernel where this installation has one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from pyflossing.gradients.kernel import library

KINDS = ["any"]
if library.kind_of_cpu() != "any":
    KINDS += ["avx2"] if library.kind_of_cpu() == "avx2" else ["avx2", "avx512"]
KINDS = [kind for kind in KINDS if (library.FOLDER / f"float64-{kind}.so").exists()]
"""Kinds of libraries that this CPU can run and this installation has."""

needs_kernel = pytest.mark.skipif(not KINDS, reason="NO COMPILED KERNEL: pyflossing was installed without a C compiler")
PATHS = ["torch", pytest.param("compiled", marks=needs_kernel)]


@contextmanager
def using(path: str) -> Iterator[None]:
    """Take one path, whatever the environment says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(library.VARIABLE, path)
        library._library.cache_clear()
        try:
            yield
        finally:
            library._library.cache_clear()


@contextmanager
def using_kind(kind: str) -> Iterator[None]:
    """Take the libraries of one kind of CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "kind_of_cpu", lambda: kind)
        with using("compiled"):
            yield


FLOATS = [torch.float32, torch.float64]
