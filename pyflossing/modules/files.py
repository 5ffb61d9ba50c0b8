"""Spectra as npz files, without pickle."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyflossing._support.npz import Archive, opened_npz, write_npz
from pyflossing._support.schema import Array, Items, Number
from pyflossing.modules.result import LyapunovSpectrum, SpectrumSettings
from pyflossing.modules.tree import node_of

_FORMAT = "pyflossing spectrum 1"
_MOST_TENSORS = 256
_TENSORS = ("exponents", "logs", "block_lengths", "final_frame")
_DTYPES = ("float32", "float64", "complex64", "complex128", "float16", "int64", "int32", "uint8", "bool")


def save_spectrum(spectrum: LyapunovSpectrum, path: str | Path) -> None:
    """Write a spectrum, final state and frame included, so that a run can be continued from the file.

    Args:
        spectrum: without its gradients.
        path: of the npz file.

    Raises:
        ValueError: the state is of another structure than tensors, tuples, lists and dicts with string keys.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    structure = _taken_apart(spectrum.final_state, arrays)
    arrays |= {name: _array(getattr(spectrum, name)) for name in _TENSORS}
    header = {
        "format": _FORMAT,
        "settings": asdict(spectrum.settings),
        "final_state": structure,
        "arrays": {name: [array.dtype.name, list(array.shape)] for name, array in arrays.items()},
    }
    write_npz(Path(path), header, arrays)


def load_spectrum(path: str | Path) -> LyapunovSpectrum:
    """Read what :func:`save_spectrum` wrote, onto the CPU.

    Raises:
        OSError: there is no such file, or it cannot be read.
        DamagedFileError: a ValueError: it is no spectrum, damaged, or of another version.
    """
    with opened_npz(path, "spectrum", _MOST_TENSORS) as archive:
        return _read(archive)


def _read(archive: Archive) -> LyapunovSpectrum:
    header = archive.header(_FORMAT)
    settings = SpectrumSettings(**{field.name: header["settings"][field.name] for field in fields(SpectrumSettings)})
    arrays = archive.arrays({name: _declared(name, *of) for name, of in header["arrays"].items()})
    archive.require_digest()
    tensors = {name: torch.from_numpy(arrays[name]) for name in _TENSORS}
    _require_fitting(tensors, settings)
    return LyapunovSpectrum(final_state=_put_together(header["final_state"], arrays), settings=settings, **tensors)


def _declared(name: str, dtype: Any, shape: Any) -> Array:
    if dtype not in _DTYPES:
        raise ValueError(f"{name} is of type {dtype}")
    Items(Number(int, 0)).check(f"shape of {name}", shape)
    return Array(dtype, tuple(shape), any_number=True)


def _require_fitting(tensors: dict[str, Tensor], settings: SpectrumSettings) -> None:
    """Refuse tensors whose shapes do not fit each other and the settings."""
    batch = tensors["exponents"].shape[:-1]
    expected = {
        "exponents": (*batch, settings.n_exponents),
        "logs": (len(tensors["block_lengths"]), *batch, settings.n_exponents),
        "final_frame": (*batch, settings.n_states, settings.n_exponents),
    }
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise ValueError(f"{name} has the shape {tuple(tensors[name].shape)} instead of {shape}")


def _array(tensor: Tensor) -> np.ndarray[Any, Any]:
    plain = tensor.detach().cpu()
    found: np.ndarray[Any, Any] = (plain.float() if plain.dtype == torch.bfloat16 else plain).resolve_conj().numpy()
    return found


def _taken_apart(tree: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    """The structure as JSON, with the tensors among ``arrays``."""
    if isinstance(tree, Tensor):
        name = f"state_{len(arrays)}"
        arrays[name] = _array(tree)
        return {"tensor": name, "type": str(tree.dtype).removeprefix("torch.")}
    node = node_of(tree)
    if node is None or node.kind == "object" or any(not isinstance(label, (str, int)) for label in node.labels):
        raise ValueError(
            f"final_state of type {type(tree).__name__} is not allowed in a file: it must be a tensor, or a tuple, "
            "list or dict of tensors; convert it with dataclasses.replace(spectrum, final_state=...)"
        )
    parts = [_taken_apart(part, arrays) for part in node.parts]
    if node.kind == "dict":
        return {"dict": [list(pair) for pair in zip(node.labels, parts, strict=True)]}
    return {"tuple" if isinstance(tree, tuple) else "list": parts}


def _put_together(structure: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    ((kind, value), *_) = structure.items()
    if kind == "tensor":
        return torch.from_numpy(arrays[value]).to(getattr(torch, structure["type"]))
    if kind == "dict":
        return {key: _put_together(part, arrays) for key, part in value}
    parts = [_put_together(part, arrays) for part in value]
    return tuple(parts) if kind == "tuple" else parts
