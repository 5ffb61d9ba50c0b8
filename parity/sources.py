"""Where the Julia sources and the recorded transcripts are, and what the sources are."""

from __future__ import annotations

import hashlib
from pathlib import Path

MODULE_NAME = "GradientFlossing"
_PACKAGE = Path(__file__).resolve().parent


def reference_folder() -> Path:
    """The folder of the Julia reference: inside the installed package, or beside it in a checkout.

    Raises:
        FileNotFoundError: neither place has it (a broken installation).
    """
    for folder in (_PACKAGE / "_reference", _PACKAGE.parent / "reference"):
        if (folder / f"{MODULE_NAME}.jl").is_file():
            return folder
    raise FileNotFoundError(f"{MODULE_NAME}.jl is neither inside {_PACKAGE} nor beside it: reinstall pyflossing")


def module_file() -> Path:
    """The file that defines the reference's module; raises as `reference_folder`."""
    return reference_folder() / f"{MODULE_NAME}.jl"


def transcript_file() -> Path:
    """The recorded transcripts that stand in where no Julia can be had."""
    return _PACKAGE / "data" / "transcript.npz"


def sources_hash(folder: Path) -> str:
    """SHA-256 over the relative paths and the contents of all Julia files below `folder`, tests left out.

    Line endings do not count: git may change them.
    """
    digest = hashlib.sha256()
    files = {path.relative_to(folder).as_posix(): path for path in Path(folder).rglob("*.jl")}
    for name in sorted(files):
        if "test" in name.split("/")[:-1]:
            continue
        content = files[name].read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
