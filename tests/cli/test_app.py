"""Claims about the command as a whole: its help, its start, its exit codes, and what it needs installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from cli.program import call, environment, quick, typed
from sweep_cases import sweep
from typer.testing import CliRunner
from warm import python

import pyflossing
from pyflossing.cli import app as program
from pyflossing.cli import errors
from pyflossing.cli.app import app

COMMANDS = ("train", "legacy", "spectrum", "sweep", "show", "figure", "config")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_that_names_it(run, command):
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert re.search(rf"Examples?.*:\n  +pyflossing {command}", out)
    assert f"{command} " in run("--help")[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_options_in_the_examples_exist(run, command):
    _, out, _ = run(command, "--help")
    options, examples = re.split(r"\n  Examples?", out)
    for name in re.findall(r" (--[a-z-]+)", examples):
        assert name in options


def test_help_fits_80_columns_and_documents_the_exit_codes_that_are_used(run):
    _, out, _ = run("--help")
    assert all(len(line) <= 80 for line in out.splitlines())
    for code in (errors.FAILED, errors.WRONG, errors.IN_USE, errors.INTERRUPTED, errors.PIPE_CLOSED):
        assert re.search(rf"\n    {code}  +\w", out)


def test_without_a_command_it_shows_its_help(run):
    code, out, err = run()
    assert code in (0, 2)
    assert "Usage: " in out + err


def test_it_tells_its_version(run):
    assert run("--version") == (0, f"pyflossing {pyflossing.__version__}\n", "")


def test_help_does_not_wait_for_torch(tmp_path):
    code = (
        "import sys; sys.argv = ['pyflossing', {}]\nfrom pyflossing.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    for words in ("'--help'", "'train', '--help'", "'--version'", "'figure', 'nix'"):
        done = subprocess.run([sys.executable, "-c", code.format(words)], capture_output=True, cwd=tmp_path)
        assert done.returncode == 0, words


@pytest.mark.parametrize(
    ("missing", "words", "message"),
    [
        ("typer", "--help", "the command line needs more: pip install 'pyflossing[cli]' (No module named 'typer')"),
        ("rich", "--help", "the command line needs more: pip install 'pyflossing[cli]' (No module named 'rich')"),
        ("matplotlib", "show r.npz --plot a.png", "pictures need matplotlib: pip install 'pyflossing[plot]'"),
        ("matplotlib", "figure binary-flossing", "pictures need matplotlib: pip install 'pyflossing[plot]'"),
        (
            "joblib",
            "sweep s.toml -q --jobs 2",
            "several processes need joblib: pip install 'pyflossing[sweep]'; --jobs 1 does not",
        ),
        (
            "distributed",
            "sweep s.toml -q --scheduler tcp://node1:8786",
            "a scheduler needs Dask distributed: pip install 'pyflossing[cluster]'",
        ),
    ],
)
def test_a_missing_extra_is_named(run, tmp_path, missing, words, message):
    assert run("train", quick(tmp_path / "a.toml"), "-q")[0] == 0
    (tmp_path / "runs" / "a" / "result.npz").rename(tmp_path / "r.npz")
    sweep().save(tmp_path / "s.toml")
    # a meta path finder that knows nothing of the package, as if it were not installed
    code = f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == {missing!r}:
            raise ModuleNotFoundError("No module named {missing!r}", name={missing!r})
sys.meta_path.insert(0, Hidden())
sys.argv = ['pyflossing', *{words.split()!r}]
from pyflossing.cli import main
main()
"""
    done = subprocess.run([*python(), "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"pyflossing: {message}\n")


def test_the_installed_command_is_the_module(tmp_path):
    command = Path(sys.executable).with_name("pyflossing")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == call("--version", cwd=tmp_path)


def test_a_reader_that_leaves_is_no_traceback(tmp_path):
    for words in ("config", "--help"):
        command = f"set -o pipefail; {typed('pyflossing')} {words} | true"
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.stderr == ""
        assert done.returncode in (0, 1, errors.PIPE_CLOSED)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            RuntimeError("a bug\n\x1b[31m"),
            4,
            r"unexpected error, probably a bug (RuntimeError: a bug \x1b[31m); --debug shows",
        ),
        (KeyError("name"), 4, "unexpected error, probably a bug (KeyError: 'name'); --debug shows where it comes from"),
        (RecursionError("too deep"), 4, "unexpected error, probably a bug (RecursionError: too deep)"),
        (AssertionError(), 4, "unexpected error, probably a bug (AssertionError); --debug shows where it comes from"),
        (
            MemoryError(),
            1,
            "not enough free memory: use smaller settings, or fewer processes (--jobs)",
        ),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            1,
            "not enough free memory",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB."), 1, "not enough free memory"),
        (OverflowError("too large"), 4, "unexpected error, probably a bug (OverflowError: too large)"),
        (ValueError("n_units = 0\nis not allowed"), 2, "n_units = 0 is not allowed"),
        (OSError(28, "No space left on device", "/a\x07"), 1, r"/a\x07: No space left on device"),
        (ImportError("No module named 'x'", name="x"), 2, "the installation is incomplete: No module named 'x'"),
    ],
)
def test_every_error_is_one_line_and_a_code_and_debug_shows_its_traceback(error, code, said):
    broken = typer.Typer()

    @broken.command()
    @errors.guarded
    def fail() -> None:
        raise error

    found = CliRunner().invoke(broken)
    assert (found.exit_code, found.stdout) == (code, "")
    assert found.stderr.startswith(f"pyflossing: {said}")
    assert len(found.stderr.splitlines()) == 1
    found = CliRunner().invoke(broken, ["--debug"])
    assert found.exit_code == code
    assert found.stderr.startswith("Traceback (most recent call last):\n")
    assert "in fail" in found.stderr
    assert "\x1b" not in found.stderr
    assert found.stderr.splitlines()[-1].startswith(f"pyflossing: {said}")


@pytest.mark.parametrize(
    "words", [["trian"], ["train"], ["train", "a.toml", "--epochs", "3"], ["spectrum", "a", "-k", "x"]]
)
def test_wrong_usage_ends_with_2(run, words):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "Error" in err
    assert "Traceback" not in err


def test_the_shell_completes_commands_options_and_figures(tmp_path):
    def complete(*words):
        changes = {
            "_PYFLOSSING_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        command = Path(sys.executable).with_name("pyflossing")
        return subprocess.run(
            [command], env=environment(**changes), capture_output=True, text=True, cwd=tmp_path
        ).stdout.split()

    assert complete("pyflossing", "sp") == ["spectrum"]
    assert complete("pyflossing", "train", "--res") == ["--resume"]
    assert complete("pyflossing", "figure", "binary-t") == ["binary-training"]


def test_parity_passes_its_arguments_on(run, tmp_path):
    code, out, _ = run("parity", "--list", "--only", "c01")
    direct = subprocess.run(
        [*python(), "-m", "parity", "--list", "--only", "c01"], capture_output=True, text=True, cwd=tmp_path
    )
    assert (code, out) == (0, direct.stdout)
    assert "c01" in out
    code, out, _ = run("parity", "--help")
    assert code == 0
    assert "doctor" in out
    assert run("parity", "--nix")[0] == 2
    assert run("parity", "--only", "no such check")[0] == 2


def test_every_command_is_a_module_of_its_name():
    folder = Path(program.__file__).parent
    names = {info.callback.__name__ for info in app.registered_commands if info.callback is not None}
    assert names == {*COMMANDS, "parity"}
    assert all((folder / f"{name}.py").exists() for name in names)
