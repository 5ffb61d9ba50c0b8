"""Searching for Julia in the named path, through juliacall and on PATH."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from julia_process import wait_until_gone

from parity.obtain import Attempt, JuliaInstallation, describe, search
from parity.obtain.julia_project import installed_juliacall
from parity.obtain.processes import run

ROOT = Path(__file__).parents[2]
GOOD = "echo 'pyflossing-probe 1.10.4 caught'"


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)
    return path.read_text().strip()


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave the machine's own Julia, settings and cache out, and allow no download."""
    for name in ("PYFLOSSING_JULIA", "PYTHON_JULIACALL_EXE", "PYTHON_JULIACALL_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYFLOSSING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("tempfile.tempdir", None)


@pytest.fixture
def pythoncall(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Put a juliacall and a juliapkg in front of the real ones; return the latter's file."""
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "juliacall.py").write_text("raise AssertionError('juliacall was imported')\n")
    monkeypatch.syspath_prepend(packages)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    return packages / "juliapkg.py"


def juliapkg_with(executable: Path, project: Path, ready: bool) -> str:
    return (
        "import sys\n"
        f"def resolve(dry_run=False):\n    print('chatter')\n    return {ready} or not dry_run\n"
        f"def executable(): return {str(executable)!r}\n"
        f"def project(): return {str(project)!r}\n"
    )


def project_with(version: str, folder: Path) -> Path:
    """A Julia project that holds a version of PythonCall, as far as its files tell."""
    folder.mkdir(exist_ok=True)
    uuid = "6099a3de-0909-46bc-b1f4-468b9a2dfc0d"
    (folder / "Project.toml").write_text(f'[deps]\nPythonCall = "{uuid}"\n')
    (folder / "Manifest.toml").write_text(
        f'manifest_format = "2.0"\n[[deps.PythonCall]]\nuuid = "{uuid}"\nversion = "{version}"\n'
    )
    return folder


def suitable_project(folder: Path) -> Path:
    return project_with(installed_juliacall(), folder)


def only(attempts: list[Attempt]) -> Attempt:
    [attempt] = attempts
    return attempt


def found(attempt: Attempt) -> JuliaInstallation:
    assert attempt.found is not None, attempt
    return attempt.found


def test_named_executable_is_used_before_all_others(tmp_path: Path) -> None:
    julia = script(tmp_path / "julia", GOOD)
    assert found(only(search(julia))) == JuliaInstallation(julia, {}, (1, 10, 4), "explicit path")


def test_named_folder_stands_for_its_julia(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    julia = script(tmp_path / "julia-1.10" / "bin" / "julia", GOOD)
    monkeypatch.setenv("PYFLOSSING_JULIA", str(tmp_path / "julia-1.10"))
    assert found(only(search())).executable == julia


def test_smoke_script_is_passed_without_startup_file(tmp_path: Path) -> None:
    julia = script(tmp_path / "julia", f'[ "$1$2$3" = --startup-file=no--history-file=no-e ] && {GOOD}')
    assert found(only(search(julia)))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo pyflossing-probe 1.4.2 caught", "is Julia 1.4.2; 1.5.0 or newer is needed"),
        ("echo hello", "does not answer as Julia does; it wrote:\nhello"),
        ("true", "it wrote:\nnothing"),
        ("echo pyflossing-probe 1.9.0 lost", "does not answer as Julia does"),
        ("printf '\\377\\000\\376'", "does not answer as Julia does"),
        ("kill -SEGV $$", "crashed with signal SIGSEGV"),
        ("sh -c 'kill -SEGV $$' 2>&-; exit 139", "crashed with signal SIGSEGV"),
        ("echo no libjulia >&2; exit 3", "ended with exit status 3:\nno libjulia"),
        (
            "printf 'cause\\n2\\n3\\n4\\n5\\n6\\n7\\n8\\n9\\n' >&2; exit 1",
            "status 1:\ncause\n2\n3\n...\n5\n6\n7\n8\n9",
        ),
        ("sleep 60", "gave no answer within 0.5 s and was stopped"),
    ],
)
def test_broken_named_julia_ends_the_search_and_says_why(tmp_path: Path, body: str, said: str) -> None:
    script(tmp_path / "path" / "julia", GOOD)
    attempt = only(search(script(tmp_path / "julia", body), stop_at_first=False, probe_timeout=0.5))
    assert attempt.found is None
    assert said in attempt.detail
    assert "the explicit path" in attempt.remedy


def test_named_path_that_cannot_be_started_says_why(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("text")
    assert "Permission denied" in only(search(plain)).detail
    plain.chmod(0o755)
    assert "Exec format error" in only(search(plain)).detail
    assert "does not exist" in only(search(tmp_path / "absent")).detail
    assert "folder without bin/julia" in only(search(tmp_path)).detail


def test_named_path_does_not_serve_juliacall(tmp_path: Path) -> None:
    attempt = only(search(script(tmp_path / "julia", GOOD), want="juliacall"))
    assert attempt.found is None
    assert "PYTHON_JULIACALL_EXE" in attempt.remedy and "PYTHON_JULIACALL_PROJECT" in attempt.remedy


def test_old_julia_on_path_is_reported_and_the_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "bin" / "julia", "echo pyflossing-probe 1.4.0 caught")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    on_path, archive, juliacalls = search(want="executable", download=False)
    assert "Julia 1.4.0" in on_path.detail and on_path.found is None
    assert juliacalls.origin == "juliapkg"
    assert archive.origin == "Debian archive" and "downloads nothing" in archive.detail


def test_julia_on_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    julia = script(tmp_path / "bin" / "julia", GOOD)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert found(only(search(want="executable"))).executable == julia


def test_juliacall_settings_are_used_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pythoncall: Path
) -> None:
    julia = script(tmp_path / "julia", GOOD)
    monkeypatch.setenv("PYTHON_JULIACALL_EXE", str(julia))
    alone = only(search(want="juliacall"))
    assert alone.found is None and alone.remedy.startswith("set both")
    monkeypatch.setenv("PYTHON_JULIACALL_PROJECT", str(tmp_path / "absent"))
    assert "does not exist" in only(search(want="juliacall")).detail
    project = suitable_project(tmp_path / "project")
    monkeypatch.setenv("PYTHON_JULIACALL_PROJECT", str(project))
    assert found(only(search())) == JuliaInstallation(julia, {}, (1, 10, 4), "juliacall settings", project=project)
    monkeypatch.setenv("PYTHON_JULIACALL_EXE", str(tmp_path / "absent"))
    assert "not an executable file" in only(search(want="juliacall")).detail


def test_julia_too_old_for_juliacall_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pythoncall: Path
) -> None:
    monkeypatch.setenv("PYTHON_JULIACALL_EXE", str(script(tmp_path / "julia", "echo pyflossing-probe 1.10.2 caught")))
    monkeypatch.setenv("PYTHON_JULIACALL_PROJECT", str(tmp_path))
    assert "1.10.3 or newer is needed" in only(search(want="juliacall")).detail


def test_juliapkg_is_asked_in_another_process(tmp_path: Path, pythoncall: Path) -> None:
    before = set(sys.modules)
    julia = script(tmp_path / "julia", GOOD)
    project = suitable_project(tmp_path / "project")
    pythoncall.write_text(juliapkg_with(julia, project, ready=True))
    expected = JuliaInstallation(julia, {}, (1, 10, 4), "juliapkg", project=project)
    assert found(only(search(want="juliacall"))) == expected
    assert found(only(search(want="juliacall", download=False))) == expected
    assert not {"juliacall", "juliapkg"} & (set(sys.modules) - before)


def test_juliapkg_downloads_nothing_unless_allowed(tmp_path: Path, pythoncall: Path) -> None:
    project = suitable_project(tmp_path / "project")
    pythoncall.write_text(juliapkg_with(script(tmp_path / "julia", GOOD), project, ready=False))
    assert "downloads nothing" in only(search(want="juliacall", download=False)).detail
    assert found(only(search(want="juliacall", download=True)))


def test_hanging_juliapkg_is_stopped_with_its_children(tmp_path: Path, pythoncall: Path) -> None:
    child = tmp_path / "child"
    pythoncall.write_text(
        "import subprocess, time\n"
        f"open({str(child)!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))\n"
        "time.sleep(60)\n"
    )
    attempt = only(search(want="juliacall", juliapkg_timeout=1.5))
    assert "gave no answer within 1.5 s" in attempt.detail
    wait_until_gone(int(wait_for(child)))


def test_a_julia_that_hangs_when_asked_is_stopped_with_what_it_started_in_a_session_of_its_own(tmp_path: Path) -> None:
    julia = script(tmp_path / "julia", f"setsid sh -c 'echo $$ > {tmp_path}/child; sleep 60' & sleep 60")
    attempt = only(search(julia, probe_timeout=1.0))
    assert "gave no answer within 1 s" in attempt.detail
    wait_until_gone(int(wait_for(tmp_path / "child")))


def test_failing_juliapkg_gives_its_last_words(pythoncall: Path) -> None:
    pythoncall.write_text("raise RuntimeError('no network')\n")
    assert "RuntimeError: no network" in only(search(want="juliacall")).detail


def test_python_without_juliacall_says_so() -> None:
    code = "from parity.obtain import search; print(search(want='juliacall')[0].detail)"
    bare_python = [sys.executable, "-S", "-c", code]
    outcome = run(bare_python, timeout=20, environment={"PYTHONPATH": str(ROOT)})
    assert outcome.output.strip() == "juliacall is not installed"


def test_ctrl_c_ends_a_hanging_julia(tmp_path: Path) -> None:
    julia = script(tmp_path / "julia", f"sleep 60 & echo $! > {tmp_path}/child; wait")
    code = f"from parity.obtain import search; search({str(julia)!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)
    pid = int(wait_for(tmp_path / "child"))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) != 0
    wait_until_gone(pid)


def test_explanation_names_every_place_and_the_julia_that_would_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    julia = script(tmp_path / "julia", GOOD)
    attempts = search(julia, want="executable", stop_at_first=False, download=False)
    text = describe(attempts)
    assert f"explicit path: found\n  version:    1.10.4\n  executable: {julia}\n" in text
    assert "PATH: not found\n  no julia on PATH\n  What you can do: install Julia 1.5 or newer" in text
    assert "Debian archive: not found" in text
    assert text.endswith("Julia 1.10.4 from explicit path would be used.\n")


def test_explanation_of_a_vain_search_says_so() -> None:
    assert describe([Attempt("PATH", None, "none", "install")]).endswith("No Julia can be used.\n")
    assert describe([]) == "No place was searched for Julia.\n"
