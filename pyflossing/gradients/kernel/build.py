"""Compile the kernel: by ``hatch_build.py`` when the package is installed, or by running this file.

It needs nothing but the standard library, since it runs before the package is there, and any C compiler that knows
GCC's vector types: CC, cc, gcc or clang. On x86 there is a library for each of three kinds of CPU, chosen as the passes
run; what they are called is in ``library``.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ALWAYS = ["-O3", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden", "-ffp-contract=fast", "-fno-math-errno"]
AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mprefer-vector-width=512"]
KINDS = {"any": (16, []), "avx2": (32, AVX2), "avx512": (64, AVX512)}
"""Bytes of a vector, and what the compiler may use, for each kind of CPU."""

_SECONDS = 60


def fingerprint() -> str:
    """Of the C sources; a library holds that of those that it was made of."""
    digest = hashlib.sha256()
    for path in sorted([*FOLDER.glob("*.c"), *FOLDER.glob("*.h")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def compiler() -> list[str] | None:
    """The compiler's command, or None."""
    if "CC" in os.environ:
        named = shlex.split(os.environ["CC"])
        return named if named and shutil.which(named[0]) else None
    return next(([name] for name in ("cc", "gcc", "clang") if shutil.which(name)), None)


def build(target: Path) -> list[Path]:
    """Put the libraries into a folder; none, with a line that says why, if they cannot all be compiled.

    Each takes the place of the one that was there in one move: a process that has it open keeps the old one.
    """
    command = compiler()
    if command is None or os.name != "posix":
        return _none("there is no C compiler")
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            made = list(pool.map(lambda one: _compile(command, target, *one), _variants()))
    except (OSError, subprocess.SubprocessError) as error:
        return _none(getattr(error, "stderr", None) or str(error))
    return [temporary.replace(temporary.with_suffix("")) for temporary in made]


def _variants() -> Iterator[tuple[str, str]]:
    x86 = platform.machine().lower() in {"x86_64", "amd64"}
    for kind in KINDS if x86 else ("any",):
        for dtype in ("float32", "float64"):
            yield kind, dtype


def _compile(command: list[str], target: Path, kind: str, dtype: str) -> Path:
    temporary = target / f"{dtype}-{kind}.so.new"
    width, allowed = KINDS[kind]
    macros = [f"-DVECTOR_BYTES={width}", f"-D{dtype.upper()}", f'-DFINGERPRINT="{fingerprint()}"']
    options = [*ALWAYS, *allowed, *macros, str(FOLDER / "kernel.c"), "-o", str(temporary), "-lm"]
    subprocess.run([*command, *options], check=True, capture_output=True, text=True, timeout=_SECONDS)
    return temporary


def _none(reason: str) -> list[Path]:
    sys.stderr.write(f"pyflossing's passes remain in torch, which takes about three times as long: {reason}\n")
    return []


if __name__ == "__main__":
    sys.exit(not build(FOLDER))
