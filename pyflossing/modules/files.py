"""Spectra as npz files, without pickle."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyflossing._files import write_atomically
from pyflossing._npz import DAMAGE, read_npz
from pyflossing.errors import DamagedFileError
from pyflossing.modules.result import LyapunovSpectrum, SpectrumSettings
from pyflossing.modules.tree import node_of

_FORMAT = 1


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
    tensors = {
        "exponents": spectrum.exponents,
        "logs": spectrum.logs,
        "block_lengths": spectrum.block_lengths,
        "final_frame": spectrum.final_frame,
    }
    arrays |= {name: _array(tensor) for name, tensor in tensors.items()}
    about = {"format": _FORMAT, "settings": asdict(spectrum.settings), "final_state": structure}
    stream = io.BytesIO()
    np.savez(stream, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
    write_atomically(Path(path), stream.getvalue())


def load_spectrum(path: str | Path) -> LyapunovSpectrum:
    """Read what :func:`save_spectrum` wrote, onto the CPU.

    Raises:
        OSError: there is no such file, or it cannot be read.
        DamagedFileError: a ValueError: it is no spectrum, damaged, or of another version.
    """
    arrays = read_npz(path, "spectrum")
    try:
        about = json.loads(str(arrays["about"]))
        if about["format"] != _FORMAT:
            raise ValueError(f"format {about['format']}, where this version reads {_FORMAT}")
        names = {field.name for field in fields(SpectrumSettings)}
        settings = SpectrumSettings(**{name: value for name, value in about["settings"].items() if name in names})
        found = {name: torch.from_numpy(arrays[name]) for name in ("exponents", "logs", "block_lengths", "final_frame")}
        state = _put_together(about["final_state"], arrays)
        return LyapunovSpectrum(final_state=state, settings=settings, **found)
    except DAMAGE as error:
        raise DamagedFileError(f"{path} is not a spectrum of pyflossing, or it is damaged ({error})") from error


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
