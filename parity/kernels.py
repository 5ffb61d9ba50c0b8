"""The report under the numerical kernels of other machines: one child process for each set, and a table.

numpy's (and Julia's) OpenBLAS and torch's MKL choose their kernels by the CPU, and round differently with each.
OpenBLAS can be told which CPU to take itself for, MKL which instructions to use, and that it runs on an Intel CPU by
answering its own question, for which a C compiler builds a small library.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_INTEL = "int mkl_serv_intel_cpu_true(void){return 1;}\nint mkl_serv_intel_cpu(void){return 1;}\n"
_CHOSEN_BY_USERS = ("OPENBLAS_CORETYPE", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ATEN_CPU_CAPABILITY", "LD_PRELOAD")


@dataclass(frozen=True)
class KernelSet:
    """Kernels that the libraries are made to use.

    Attributes:
        name: for the table.
        environment: variables that do it.
        intel: whether MKL has to be told that it runs on an Intel CPU.
        flag: what the CPU must be able to do, as Linux names it.
        quick: whether it is one of the few of the quick run.
    """

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    intel: bool = False
    flag: str = ""
    quick: bool = False


def _set(name: str, flag: str, *, intel: bool = False, quick: bool = False, **environment: str) -> KernelSet:
    return KernelSet(name, environment, intel, flag, quick)


SETS = (
    KernelSet("as the machine is", quick=True),
    _set("OpenBLAS Haswell", "avx2", OPENBLAS_CORETYPE="Haswell", quick=True),
    _set("OpenBLAS SkylakeX", "avx512f", OPENBLAS_CORETYPE="SkylakeX"),
    _set("MKL AVX2 fixed", "avx2", MKL_CBWR="AVX2"),
    _set("Intel AVX2", "avx2", intel=True, MKL_ENABLE_INSTRUCTIONS="AVX2", quick=True),
    _set("Intel AVX-512, OpenBLAS SkylakeX", "avx512f", intel=True, OPENBLAS_CORETYPE="SkylakeX"),
    _set("OpenBLAS Zen", "avx2", OPENBLAS_CORETYPE="Zen"),
    _set("OpenBLAS Sandybridge", "avx", OPENBLAS_CORETYPE="Sandybridge"),
    _set("OpenBLAS Nehalem, MKL compatible", "sse4_2", OPENBLAS_CORETYPE="Nehalem", MKL_CBWR="COMPATIBLE", quick=True),
    _set("OpenBLAS Prescott, MKL compatible", "pni", OPENBLAS_CORETYPE="Prescott", MKL_CBWR="COMPATIBLE"),
    _set("torch without vectors", "", ATEN_CPU_CAPABILITY="default"),
    _set(
        "Intel AVX2, OpenBLAS Haswell", "avx2", intel=True, MKL_ENABLE_INSTRUCTIONS="AVX2", OPENBLAS_CORETYPE="Haswell"
    ),
    _set(
        "Intel SSE4.2, OpenBLAS Nehalem",
        "sse4_2",
        intel=True,
        MKL_ENABLE_INSTRUCTIONS="SSE4_2",
        OPENBLAS_CORETYPE="Nehalem",
    ),
    _set(
        "Intel AVX2, OpenBLAS Prescott",
        "avx2",
        intel=True,
        MKL_ENABLE_INSTRUCTIONS="AVX2",
        OPENBLAS_CORETYPE="Prescott",
    ),
)


@dataclass(frozen=True)
class Result:
    """What became of the report under one set."""

    exit_code: int
    seconds: float
    counts: str
    worst: str
    output: str


def run_all(arguments: Sequence[str], report: str, show: Callable[[str], None], *, quick: bool = False) -> int:
    """Run ``python -m parity`` with the arguments under every set, as many at a time as there are CPUs.

    Args:
        arguments: of the command.
        report: folder for the reports, one folder each.
        show: called with every line of the table.
        quick: only four sets.

    Returns:
        0 if every report passed, else 1.
    """
    chosen = [one for one in SETS if one.quick or not quick]
    with environments(chosen, show) as able, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = {name: pool.submit(_run, name, able[name], arguments, Path(report)) for name in able}
        failed = 0
        for name, job in jobs.items():
            result = job.result()
            failed += result.exit_code != 0
            show(f"exit {result.exit_code}  {result.seconds:4.0f} s  {name:34}  {result.counts}")
            show(f"{'':16}{result.worst}" if result.exit_code == 0 else result.output)
    show(f"{len(able) - failed} of {len(able)} sets of kernels passed, {len(chosen) - len(able)} left out")
    return 1 if failed or not able else 0


@contextmanager
def environments(chosen: Sequence[KernelSet], show: Callable[[str], None]) -> Iterator[dict[str, dict[str, str]]]:
    """The environments of processes under those sets that this machine can run, by name; says which it cannot."""
    plain = {name: value for name, value in os.environ.items() if name not in _CHOSEN_BY_USERS}
    plain |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with _intel_library() as library:
        able = {}
        for one in chosen:
            reason = _missing(one, library)
            if reason:
                show(f"left out  {one.name}: {reason}")
                continue
            able[one.name] = plain | one.environment
            if one.intel and library:
                able[one.name]["LD_PRELOAD"] = library
        yield able


def _run(name: str, environment: dict[str, str], arguments: Sequence[str], report: Path) -> Result:
    folder = report / "".join(letter if letter.isalnum() else "-" for letter in name.lower())
    command = [sys.executable, "-m", "parity", *arguments, "--report", str(folder)]
    started = time.perf_counter()
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    seconds = time.perf_counter() - started
    try:
        document = json.loads((folder / "report.json").read_text())
        counts = ", ".join(f"{number} {what}" for what, number in document["counts"].items())
        nearest = (document["measured_bounds"] or {}).get("nearest")
        worst = f"nearest to its bound: {nearest['ratio']} of it ({nearest['comparison']})" if nearest else ""
    except (OSError, ValueError, KeyError):
        counts, worst = "no report", ""
    return Result(done.returncode, seconds, counts, worst, done.stdout)


def _missing(one: KernelSet, library: str | None) -> str:
    """Why this machine cannot run a set, or ""."""
    if one.flag and one.flag not in _cpu_flags():
        return f"this CPU has no {one.flag}"
    if one.intel and library is None:
        return "no C compiler builds the library that tells MKL of an Intel CPU"
    return ""


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split(":")[1].split()) for line in lines if line.startswith("flags")), set())


@contextmanager
def _intel_library() -> Iterator[str | None]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "intel.c"), Path(folder, "intel.so")
        source.write_text(_INTEL)
        built = (
            compiler
            and not subprocess.run(
                [compiler, "-shared", "-fPIC", "-o", library, source], capture_output=True, check=False
            ).returncode
        )
        yield str(library) if built else None
