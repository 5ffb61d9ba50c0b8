"""Spectra as npz files, without pickle."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyflossing._support.npz import opened_npz, write_npz
from pyflossing._support.schema import Array, Items, Number, require_names
from pyflossing.modules.tree import node_of

_FORMAT = "pyflossing spectrum 1"
_MOST_TENSORS = 256
TENSORS = ("exponents", "logs", "block_lengths", "final_frame")
_DTYPES = ("float32", "float64", "complex64", "complex128", "float16", "int64", "int32", "uint8", "bool")


def write_spectrum(
    path: str | Path, settings: Mapping[str, Any], tensors: Mapping[str, Tensor], final_state: Any
) -> None:
    """Write the settings, tensors and final state of a spectrum, atomically.

    Raises:
        ValueError: the state is of another structure than tensors, tuples, lists and dicts with string keys.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    structure = _taken_apart(final_state, arrays)
    arrays |= {name: _array(tensor) for name, tensor in tensors.items()}
    header = {
        "format": _FORMAT,
        "settings": dict(settings),
        "final_state": structure,
        "arrays": {name: [array.dtype.name, list(array.shape)] for name, array in arrays.items()},
    }
    write_npz(Path(path), header, arrays)


def read_spectrum(path: str | Path, settings: Collection[str]) -> tuple[dict[str, Any], dict[str, Tensor], Any]:
    """The settings of these names, tensors and final state of a file of ``write_spectrum``, on the CPU.

    Raises:
        OSError: there is no such file, or it cannot be read.
        DamagedFileError: a ValueError: it is no spectrum, damaged, or of another version.
    """
    with opened_npz(path, "spectrum", _MOST_TENSORS) as archive:
        header = archive.header(_FORMAT)
        require_names("settings", header["settings"].keys(), set(settings))
        arrays = archive.arrays({name: _declared(name, *of) for name, of in header["arrays"].items()})
        archive.require_digest()
        tensors = {name: torch.from_numpy(arrays[name]) for name in TENSORS}
        _require_fitting(tensors, header["settings"]["n_exponents"], header["settings"]["n_states"])
        return header["settings"], tensors, _put_together(header["final_state"], arrays)


def _declared(name: str, dtype: Any, shape: Any) -> Array:
    if dtype not in _DTYPES:
        raise ValueError(f"{name} is of type {dtype}")
    Items(Number(int, 0)).check(f"shape of {name}", shape)
    return Array(dtype, tuple(shape), any_number=True)


def _require_fitting(tensors: dict[str, Tensor], k: int, n: int) -> None:
    """Refuse tensors whose shapes do not fit each other, k and n."""
    batch = tensors["exponents"].shape[:-1]
    expected = {
        "exponents": (*batch, k),
        "logs": (len(tensors["block_lengths"]), *batch, k),
        "final_frame": (*batch, n, k),
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
