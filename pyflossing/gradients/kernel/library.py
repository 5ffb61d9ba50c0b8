"""The compiled passes: the shared libraries that an installation with a C compiler makes of ``kernel/kernel.c``.

There is one library for each floating-point type and each of a few kinds of CPU. The kind is chosen as torch chooses
its own (``torch.backends.cpu.get_cpu_capability``; its environment variable ATEN_CPU_CAPABILITY counts here as well).
``PYFLOSSING_KERNEL=torch`` keeps to the passes in torch, which compute the same to rounding and are what remains where
there are no libraries. Results depend on which of them is used in their last digits, as they do on the CPU.
"""

from __future__ import annotations

import ctypes
import os
import platform
import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor

from pyflossing._support.devices import CPU, device_in_words
from pyflossing._support.threads import UNITS_FOR_THREADS
from pyflossing.gradients.kernel.build import FOLDER, fingerprint

VARIABLE = "PYFLOSSING_KERNEL"
KINDS = {"AVX512": "avx512", "AVX2": "avx2"}
"""Libraries for what torch calls a CPU's capability; "any" is for all others."""

_SOURCES = fingerprint()
"""As this process began: libraries that are compiled later are not for its Python code."""

_TYPES = {torch.float32: "float32", torch.float64: "float64"}


class Network(ctypes.Structure):
    """``struct network`` of kernel.c."""

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("surrogate", ctypes.c_int32),
        ("sharpness", ctypes.c_double),
        ("threshold", ctypes.c_double),
        ("synaptic_decay", ctypes.c_double),
        ("membrane_decay", ctypes.c_double),
        ("membrane_gain", ctypes.c_double),
    )


class Frames(ctypes.Structure):
    """``struct frames`` of frames.h."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("kind", "n_units", "k", "n_steps", "blocks_from", "longest_block")),
        *((name, ctypes.c_int32) for name in ("network", "surrogate", "reset")),
        *((name, ctypes.c_double) for name in ("sharpness", "threshold", "block_spread", "widest_spread", "target")),
        *((name, ctypes.c_double) for name in ("synaptic_decay", "membrane_decay", "membrane_gain", "first_gain")),
    )


class Term(ctypes.Structure):
    """``struct term`` of spectrum.h."""

    _fields_ = (
        ("matrix", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in ("at", "width", "first")),
    )


class Adam(ctypes.Structure):
    """``struct adam`` of adam.h."""

    _fields_ = tuple(
        (name, ctypes.c_double) for name in ("learning_rate", "beta1", "beta2", "epsilon", "power1", "power2")
    )


_POINTER = ctypes.c_void_p
_NETWORK_AND_SIZES = (ctypes.POINTER(Network), *[ctypes.c_int] * 4)


def _functions(real: type) -> dict[str, tuple[type | None, tuple[Any, ...]]]:
    """What each returns, and takes."""
    sizes = (ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_double)
    return {
        "fingerprint": (ctypes.c_char_p, ()),
        "states_forward": (ctypes.c_int, (*_NETWORK_AND_SIZES, *[_POINTER] * 10)),
        "states_backward": (ctypes.c_int, (*_NETWORK_AND_SIZES, *[_POINTER] * 13)),
        "judge": (ctypes.c_int, (*sizes, real, *[_POINTER] * 5)),
        "frames_forward": (ctypes.c_int, (ctypes.POINTER(Frames), *[_POINTER] * 13)),
        "spectrum_forward": (
            None,
            (*[ctypes.c_int] * 4, _POINTER, ctypes.c_int, ctypes.POINTER(Term), *[_POINTER] * 4),
        ),
        "adam_of_float32": (None, (ctypes.POINTER(Adam), ctypes.c_long, *[_POINTER] * 7)),
        "adam_of_float64": (None, (ctypes.POINTER(Adam), ctypes.c_long, *[_POINTER] * 7)),
        "frames_backward": (None, (ctypes.POINTER(Frames), *[_POINTER] * 10)),
    }


def kind_of_cpu() -> str:
    """Of this process's CPU, by which a library is chosen."""
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return "any"
    return KINDS.get(torch.backends.cpu.get_cpu_capability(), "any")


def path_in_use(device: torch.device = CPU) -> str:
    """Which passes a training runs: "torch", "compiled (avx512)" or, on a GPU, "torch on cuda:0 (its name)".

    Raises:
        ValueError: PYFLOSSING_KERNEL is something else than "torch" or "compiled".
        OSError: it is "compiled", and there are no libraries.
    """
    library = _library(torch.float32)
    if device.type != "cpu":  # the kernel is the CPU's
        return f"torch on {device_in_words(device)}"
    return "torch" if library is None else f"compiled ({kind_of_cpu()})"


def kernel_for(n_units: int, *arrays: Tensor) -> Any:
    """The library for a network of this size and arrays of this type, or None: then torch has to do.

    Torch also has the networks that are large enough for its threads; the kernel has one.
    """
    return None if n_units >= UNITS_FOR_THREADS else library_for(*arrays)


def library_for(*arrays: Tensor) -> Any:
    """The library for arrays of this type, or None."""
    dtype = arrays[0].dtype
    return None if any(x.dtype != dtype or x.device.type != "cpu" for x in arrays) else _library(dtype)


@cache
def _library(dtype: torch.dtype) -> Any:
    wish = os.environ.get(VARIABLE, "")
    if wish not in {"", "torch", "compiled"}:
        raise ValueError(f"{VARIABLE} = {wish!r} is not allowed: it must be 'torch' or 'compiled', or not be set")
    if wish == "torch" or dtype not in _TYPES:
        return None
    try:
        return load(dtype, kind_of_cpu())
    except FileNotFoundError:
        if wish:
            raise
    except OSError as error:
        if wish:
            raise
        warnings.warn(f"{error}; the passes in torch take its place", stacklevel=1)
    return None


def load(dtype: torch.dtype, kind: str) -> Any:
    """The library for float32 or float64 and a kind of CPU: "any", "avx2" or "avx512".

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be loaded, or was compiled from other sources than those that are here.
    """
    path = FOLDER / f"{_TYPES[dtype]}-{kind}.so"
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}: it is compiled when pyflossing is installed")
    library = ctypes.CDLL(str(path))
    for name, (returned, arguments) in _functions(
        ctypes.c_float if dtype is torch.float32 else ctypes.c_double
    ).items():
        function = getattr(library, name)
        function.restype, function.argtypes = returned, arguments
    if library.fingerprint().decode() != _SOURCES:
        raise OSError(f"{path} was compiled from other sources: install pyflossing again")
    return library


def line(n: int, like: Tensor) -> int:
    """The length of a row of n numbers in the kernel's matrices, a multiple of 64 bytes."""
    numbers = 64 // like.element_size()
    return -(-n // numbers) * numbers


def address(x: Tensor | None) -> int | None:
    """Of a contiguous array."""
    return None if x is None else x.data_ptr()
