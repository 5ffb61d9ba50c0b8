"""What users have in their environment: settings of juliacall that cannot work, and those of another Julia."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from parity_command import ROOT, parity, parity_here

from parity.connect import NoJulia, connect
from parity.obtain import describe, search
from parity.obtain.environment import for_julia
from parity.obtain.julia_project import how_to_make, installed_juliacall, project_problem

GOOD = "echo pyflossing-probe 1.10.8 caught"


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def project(folder: Path, manifest: str | None = None, name: str = "Manifest.toml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "Project.toml").write_text('[deps]\nPythonCall = "6099a3de-0909-46bc-b1f4-468b9a2dfc0d"\n')
    if manifest is not None:
        (folder / name).write_text(manifest)
    return folder


def holding(version: str) -> str:
    return f'manifest_format = "2.0"\n[[deps.PythonCall]]\nversion = "{version}"\n'


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A julia on PATH that would serve, so that replacing what was named would succeed."""
    pytest.importorskip("juliapkg", reason="juliacall is not installed")
    (tmp_path / "bin").mkdir()
    script(tmp_path / "bin" / "julia", GOOD)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("PYFLOSSING_CACHE", str(tmp_path / "cache"))


SETTINGS = [
    ({"EXE": "nonsense", "PROJECT": "."}, "names something that is not an executable file: nonsense"),
    ({"EXE": "{julia}"}, "PYTHON_JULIACALL_EXE is set alone"),
    ({"PROJECT": "."}, "PYTHON_JULIACALL_PROJECT is set alone"),
    ({"EXE": "{julia}", "PROJECT": "/no/such"}, "names something that does not exist: /no/such"),
    ({"EXE": "{old}", "PROJECT": "."}, "is Julia 1.5.3; 1.10.3 or newer is needed"),
    ({"EXE": "{crash}", "PROJECT": "."}, "crashed with signal SIGSEGV"),
    ({"EXE": "{julia}", "PROJECT": "{other}"}, "holds PythonCall 0.9.1, and the installed juliacall is"),
    ({"EXE": "{julia}", "PROJECT": "{none}"}, "does not hold PythonCall"),
]


@pytest.mark.parametrize(("settings", "said"), SETTINGS)
def test_settings_of_juliacall_that_cannot_work_are_refused_and_never_replaced(
    settings: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {
        "julia": script(tmp_path / "good", GOOD),
        "old": script(tmp_path / "old", "echo pyflossing-probe 1.5.3 caught"),
        "crash": script(tmp_path / "crash", "kill -SEGV $$"),
        "other": project(tmp_path / "other", holding("0.9.1")),
        "none": project(tmp_path / "none", '[[deps.Example]]\nversion = "1.0.0"\n'),
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"PYTHON_JULIACALL_{name}", value.format(**places))
    with pytest.raises(NoJulia) as caught:
        connect("auto", say=lambda _: None)
    text = str(caught.value)
    assert said in text
    assert "unset PYTHON_JULIACALL_" in text and "--julia executable" in text
    assert "No Julia can be used" in text
    # the doctor says the same
    assert said in describe(search(download=False, stop_at_first=False))
    # and who asks for an executable gets it
    assert search(want="executable", download=False)[-1].found is not None


def test_settings_of_juliapkg_that_cannot_work_are_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_JULIAPKG_EXE", "/no/such/julia")
    monkeypatch.setenv("PYTHON_JULIAPKG_OFFLINE", "yes")
    with pytest.raises(NoJulia, match="unset PYTHON_JULIAPKG_EXE"):
        connect("auto", say=lambda _: None)


def test_the_probe_sees_what_the_worker_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    julia = script(tmp_path / "strict", f'[ -z "$LD_LIBRARY_PATH$JULIA_BINDIR$JULIA_LOAD_PATH" ] && {GOOD}')
    monkeypatch.setenv("PYTHON_JULIACALL_EXE", str(julia))
    monkeypatch.setenv("PYTHON_JULIACALL_PROJECT", str(project(tmp_path / "p", holding(installed_juliacall()))))
    for name in ("LD_LIBRARY_PATH", "JULIA_BINDIR", "JULIA_LOAD_PATH"):
        monkeypatch.setenv(name, "/of/another")
    assert search()[-1].found is not None


def test_an_old_juliacall_is_told_from_one_that_reads_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_JULIACALL_EXE", str(script(tmp_path / "good", GOOD)))
    monkeypatch.setenv("PYTHON_JULIACALL_PROJECT", str(tmp_path))
    monkeypatch.setattr("parity.obtain.julia_project.version", lambda _: "0.9.25")
    monkeypatch.setattr("parity.obtain.pythoncall.installed_juliacall", lambda: "0.9.25")
    attempt = search()[-1]
    assert "juliacall 0.9.25 does not read PYTHON_JULIACALL_EXE" in attempt.detail
    assert "install juliacall 0.9.28 or later" in attempt.remedy


@pytest.mark.parametrize(
    ("manifest", "name", "problem"),
    [
        (holding("OWN"), "Manifest.toml", ""),
        (holding("OWN"), "Manifest-v1.11.toml", ""),
        ('[[PythonCall]]\nversion = "OWN"\n', "Manifest.toml", ""),  # the format until Julia 1.6
        ('[[deps.PythonCall]]\npath = "/dev/PythonCall"\n', "Manifest.toml", ""),  # a development version
        ("not toml [", "Manifest.toml", ""),  # Julia itself will say so
        (None, "Manifest.toml", ""),  # not instantiated: Julia itself will say so
        (holding("0.0.1"), "Manifest.toml", "holds PythonCall 0.0.1"),
        ("", "Manifest.toml", "does not hold PythonCall"),
        ("deps = 3\n", "Manifest.toml", "does not hold PythonCall"),
    ],
)
def test_a_project_is_judged_by_its_files(tmp_path: Path, manifest: str | None, name: str, problem: str) -> None:
    folder = project(tmp_path / "p", (manifest and manifest.replace("OWN", installed_juliacall())) or manifest, name)
    for named in (folder, folder / "Project.toml"):
        found = project_problem(named)
        assert problem in found if problem else found == ""


def test_a_folder_without_a_project_is_named(tmp_path: Path) -> None:
    assert "has no Project.toml" in project_problem(tmp_path)


def test_the_way_to_make_a_project_names_the_version_of_the_installed_juliacall() -> None:
    assert how_to_make() == (
        f'julia --project=DIR -e \'import Pkg; Pkg.add(name="PythonCall", version="{installed_juliacall()}")\''
    )


def test_the_environment_of_a_julia_keeps_where_packages_are_and_drops_what_steers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("JULIA_BINDIR", "JULIA_PROJECT", "JULIA_LOAD_PATH", "JULIA_NUM_THREADS", "JULIA_CPU_TARGET"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("JULIA_DEPOT_PATH", "/depot")
    monkeypatch.setenv("JULIA_PKG_SERVER", "https://packages.invalid")
    seen = for_julia({"JULIA_NUM_THREADS": "1", "LD_LIBRARY_PATH": ""})
    assert {name: value for name, value in seen.items() if name.startswith(("JULIA_", "LD_LIB"))} == {
        "JULIA_DEPOT_PATH": "/depot",
        "JULIA_PKG_SERVER": "https://packages.invalid",
        "JULIA_NUM_THREADS": "1",
    }


@pytest.mark.julia
def test_settings_of_another_julia_do_not_reach_ours(tmp_path: Path, julia_installation) -> None:  # type: ignore[no-untyped-def]
    found = julia_installation
    foreign = {
        "JULIA_BINDIR": "/usr/bin",
        "JULIA_LOAD_PATH": "/no/such",
        "JULIA_PROJECT": "/no/such",
        "JULIA_NUM_THREADS": "nonsense",
    }
    own = {"PYFLOSSING_JULIA": str(found.executable), **found.environment}
    result = parity("--only", "weights", cwd=tmp_path, **own, **foreign)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "parity-report" / "only" / "report.json").read_text())
    assert report["provenance"]["julia_threads"] == "1"
    assert report["provenance"]["juliacall"].startswith("not used, because a Julia was named")


@pytest.mark.julia
def test_a_juliacall_that_does_not_start_gives_a_notice_that_nobody_misses(
    tmp_path: Path, julia_installation, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    found = julia_installation
    # answers the probe as a newer Julia, and is the real one where it serves
    probe = 'case "$*" in *pyflossing-probe*) echo pyflossing-probe 1.10.8 caught;; *) exec'
    libraries = f'LD_LIBRARY_PATH="{found.environment.get("LD_LIBRARY_PATH", "")}" '
    julia = script(tmp_path / "julia", f'{libraries}\nexport LD_LIBRARY_PATH\n{probe} "{found.executable}" "$@";; esac')
    settings = {
        "PYTHON_JULIACALL_EXE": str(julia),
        "PYTHON_JULIACALL_PROJECT": str(project(tmp_path / "p", holding(installed_juliacall()))),
    }
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "juliacall.py").write_text(
        "import sys\nsys.exit(\"ERROR: InitError: 'juliacall' module already exists\\nStacktrace:\\n [1] error\")\n"
    )
    path = os.pathsep.join([str(packages), str(ROOT)])
    result = parity("--only", "weights/live", cwd=tmp_path, PYTHONPATH=path, **settings)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("juliacall could not be used, so its Julia was run as an executable instead") == 2
    assert "juliacall: not used, because it did not start: " in result.stdout
    assert "module already exists" in result.stdout
    assert how_to_make(julia) in result.stderr
    refused = parity("--julia", "juliacall", "--only", "weights/live", cwd=tmp_path, PYTHONPATH=path, **settings)
    assert refused.returncode == 2
    assert how_to_make(julia) in refused.stderr


def test_every_report_that_is_not_through_juliacall_says_why(tmp_path: Path) -> None:
    none = parity_here("--only", "streams/golden/randn_f32", cwd=tmp_path)
    assert "juliacall: not used, because none of these checks calls Julia" in none.stdout
    recorded = parity_here("--julia", "recorded", "--only", "task/live", cwd=tmp_path)
    assert "juliacall: not used, because --julia recorded was asked for" in recorded.stdout
