"""Fetching Julia from Debian's archive, with apt and dpkg and small archives made for the purpose."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from parity.obtain.apt_sources import read_sources
from parity.obtain.debian import obtain
from parity.obtain.debian_mirror import release_stanzas
from parity.obtain.folders import (
    FolderError,
    fallback_folder,
    preferred_folder,
    require_space,
    writable_folder,
)
from parity.obtain.model import Attempt

ROOT = Path(__file__).parents[2]
FETCH_TWICE = os.environ.get("PYFLOSSING_TESTS_FETCH") == "1"
NAME = "julia-1.5.3-debian"
GOOD = "echo pyflossing-probe 1.5.3 caught"
APT = shutil.which("apt-get")
pytestmark = pytest.mark.skipif(APT is None or shutil.which("dpkg-deb") is None, reason="needs apt and dpkg")

FETCH = """
import json, sys
from pathlib import Path
from parity.obtain.debian import obtain
attempt = obtain(download=True, say=lambda line: print(line, file=sys.stderr, flush=True), timeout=60,
                 apt_folder=Path(sys.argv[1]))
print(json.dumps([str(attempt.found and attempt.found.executable), attempt.detail]))
"""


def make_archive(folder: Path, julia: str | None = GOOD) -> Path:
    """Make a signed-by-nobody archive with a fake Julia, and an apt folder that names it as its mirror."""
    arch = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
    packages = {"libneeded1": "", "libc6": ""}
    if julia is not None:
        packages["julia"] = "Depends: libneeded1, libc6\n"
    index, pool = "", folder / "mirror" / "pool"
    pool.mkdir(parents=True)
    for name, fields in packages.items():
        tree = folder / "trees" / name
        (tree / "DEBIAN").mkdir(parents=True)
        control = f"Package: {name}\nVersion: 1:1.5\nArchitecture: {arch}\nMaintainer: x\n{fields}Description: x\n"
        (tree / "DEBIAN" / "control").write_text(control)
        library = tree / "usr" / "lib" / "some-triplet" / ("julia" if name == "julia" else "") / f"{name}.so"
        library.parent.mkdir(parents=True)
        library.touch()
        if name == "julia" and julia is not None:
            (tree / "usr" / "bin").mkdir()
            (tree / "usr" / "bin" / "julia").write_text(f"#!/bin/sh\n{julia}\n")
            (tree / "usr" / "bin" / "julia").chmod(0o755)
        deb = pool / f"{name}_1.5_{arch}.deb"
        subprocess.run(["dpkg-deb", "--build", tree, deb], check=True, stdout=subprocess.DEVNULL)
        data = deb.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        index += f"{control}Filename: pool/{deb.name}\nSize: {len(data)}\nSHA256: {digest}\n\n"
    release = folder / "mirror" / "dists" / "bullseye"
    lists = release / "main" / f"binary-{arch}" / "Packages"
    lists.parent.mkdir(parents=True)
    lists.write_text(index)
    digest = hashlib.sha256(index.encode()).hexdigest()
    listed = f"{digest} {len(index.encode())} {lists.relative_to(release)}"
    (release / "Release").write_text(
        f"Suite: bullseye\nCodename: bullseye\nArchitectures: {arch}\nComponents: main\nSHA256:\n {listed}\n"
    )
    apt_folder = folder / "apt"
    apt_folder.mkdir()
    (apt_folder / "sources.list").write_text(f"deb [trusted=yes] file:{folder}/mirror bookworm main\n")
    return apt_folder


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Point the cache and the temporary folder into the test's own."""
    monkeypatch.setenv("PYFLOSSING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path / "cache"


def fetch(apt_folder: Path, said: list[str] | None = None, download: bool = True) -> Attempt:
    say: Callable[[str], None] = (said if said is not None else []).append
    return obtain(download=download, say=say, timeout=60, apt_folder=apt_folder)


def start(apt_folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, str(apt_folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> tuple[str, str, str]:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    executable, detail = json.loads(output)
    return executable, detail, errors


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def slow_apt(folder: Path) -> tuple[str, Path]:
    """Return a PATH whose apt-get dawdles before a download, and where it writes its process id."""
    tool, note = folder / "tools" / "apt-get", folder / "downloading"
    tool.parent.mkdir()
    tool.write_text(
        '#!/bin/sh\ncase " $* " in *" download "*)\n'
        f"echo $$ >{note}.new; mv {note}.new {note}; sleep 2;;\nesac\n"
        f'exec {APT} "$@"\n'
    )
    tool.chmod(0o755)
    return f"{tool.parent}:{os.environ['PATH']}", note


def test_julia_is_unpacked_with_what_it_needs_but_without_the_c_library(cache: Path, tmp_path: Path) -> None:
    attempt = fetch(make_archive(tmp_path))
    assert attempt.found is not None, attempt.detail
    final = cache / NAME
    assert attempt.found.executable == final / "root" / "usr" / "bin" / "julia"
    assert attempt.found.version == (1, 5, 3)
    lib = final / "root" / "usr" / "lib" / "some-triplet"
    assert sorted(path.name for path in lib.iterdir()) == ["julia", "libneeded1.so"]
    assert attempt.found.environment["LD_LIBRARY_PATH"].startswith(f"{lib}:{lib}/julia:{final}/root/lib/some-tr")
    assert json.loads((final / "packages.json").read_text()) == {"julia": "1:1.5", "libneeded1": "1:1.5"}
    assert left_in(final) == ["files.json", "packages.json", "root"]
    assert left_in(cache) == [NAME, f"{NAME}.lock"]


def test_existing_library_path_is_kept_behind_julias(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    attempt = fetch(make_archive(tmp_path))
    assert attempt.found is not None
    assert attempt.found.environment["LD_LIBRARY_PATH"].endswith(":/opt/lib")


def test_fetched_julia_is_used_again_without_the_archive(cache: Path, tmp_path: Path) -> None:
    apt_folder = make_archive(tmp_path)
    first = fetch(apt_folder)
    shutil.rmtree(tmp_path / "mirror")
    said: list[str] = []
    assert fetch(apt_folder, said, download=False) == first
    assert said == []


def test_nothing_is_fetched_unless_allowed(cache: Path, tmp_path: Path) -> None:
    attempt = fetch(make_archive(tmp_path), download=False)
    assert attempt.found is None and "downloads nothing" in attempt.detail
    assert not cache.exists()


def test_fetched_julia_that_broke_is_fetched_again(cache: Path, tmp_path: Path) -> None:
    apt_folder = make_archive(tmp_path)
    fetch(apt_folder)
    (cache / NAME / "root" / "usr" / "bin" / "julia").write_text("#!/bin/sh\nkill -SEGV $$\n")
    (cache / NAME / "files.json").unlink()  # as fetched before hashes were kept
    refused = fetch(apt_folder, download=False)
    assert refused.found is None and "crashed with signal SIGSEGV" in refused.detail
    said: list[str] = []
    assert fetch(apt_folder, said).found is not None
    assert "cannot be used and is fetched again" in said[0]
    assert left_in(cache) == [NAME, f"{NAME}.lock"]


def test_a_julia_that_broke_stays_until_another_one_works(cache: Path, tmp_path: Path) -> None:
    apt_folder = make_archive(tmp_path)
    fetch(apt_folder)
    (cache / NAME / "root" / "usr" / "bin" / "julia").write_text("#!/bin/sh\nexit 3\n")
    shutil.rmtree(tmp_path / "mirror")
    attempt = fetch(apt_folder)
    assert attempt.found is None and "apt-get update" in attempt.detail
    assert left_in(cache) == [NAME, f"{NAME}.lock"]
    assert (cache / NAME / "root" / "usr" / "bin" / "julia").read_text() == "#!/bin/sh\nexit 3\n"


def test_a_julia_that_works_is_not_fetched_again_because_of_settings_of_another(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt_folder = make_archive(tmp_path, julia=f'[ -z "$JULIA_BINDIR$JULIA_LOAD_PATH" ] && {GOOD}')
    monkeypatch.setenv("JULIA_BINDIR", "/usr/bin")
    monkeypatch.setenv("JULIA_LOAD_PATH", "/no/such")
    assert fetch(apt_folder).found is not None
    said: list[str] = []
    assert fetch(apt_folder, said).found is not None
    assert said == []


def test_julia_that_fails_the_probe_is_not_kept(cache: Path, tmp_path: Path) -> None:
    attempt = fetch(make_archive(tmp_path, julia="kill -SEGV $$"))
    assert attempt.found is None and "SIGSEGV" in attempt.detail
    assert left_in(cache) == [f"{NAME}.lock"]


def test_archive_without_julia_gives_apts_message(cache: Path, tmp_path: Path) -> None:
    attempt = fetch(make_archive(tmp_path, julia=None))
    assert attempt.found is None and "Unable to locate package julia" in attempt.detail
    assert "PYFLOSSING_JULIA" in attempt.remedy


def test_unreachable_archive_gives_apts_message(cache: Path, tmp_path: Path) -> None:
    apt_folder = make_archive(tmp_path)
    shutil.rmtree(tmp_path / "mirror")
    attempt = fetch(apt_folder)
    assert attempt.found is None and "apt-get update" in attempt.detail and "mirror" in attempt.detail
    assert left_in(cache) == [f"{NAME}.lock"]


def test_damaged_package_is_refused(cache: Path, tmp_path: Path) -> None:
    apt_folder = make_archive(tmp_path)
    [deb] = (tmp_path / "mirror" / "pool").glob("julia_*")
    deb.write_bytes(deb.read_bytes()[:-1] + b"?")
    attempt = fetch(apt_folder)
    assert attempt.found is None and "apt-get download" in attempt.detail
    assert left_in(cache) == [f"{NAME}.lock"]


def test_mirror_without_julia_does_not_hide_the_next_one(cache: Path, tmp_path: Path) -> None:
    vendor = make_archive(tmp_path / "vendor", julia=None)
    debian = make_archive(tmp_path / "debian")
    with (vendor / "sources.list").open("a") as sources:
        sources.write((debian / "sources.list").read_text())
    assert fetch(vendor).found is not None


def test_machine_without_a_debian_mirror_says_so(cache: Path, tmp_path: Path) -> None:
    attempt = fetch(tmp_path / "absent")
    assert attempt.found is None and "name no mirror of Debian" in attempt.detail


def test_machine_without_apt_says_so(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_folder = make_archive(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    attempt = fetch(apt_folder)
    assert attempt.found is None and attempt.detail == "this machine has no apt-get and no dpkg"
    assert "install Julia 1.5 or newer" in attempt.remedy


def test_interrupted_fetch_leaves_no_julia_behind(cache: Path, tmp_path: Path) -> None:
    path, note = slow_apt(tmp_path)
    process = start(make_archive(tmp_path), PATH=path)
    wait_for(note.exists)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert "KeyboardInterrupt" in errors
    assert left_in(cache) == [f"{NAME}.lock"]
    wait_for(lambda: not Path("/proc", note.read_text().strip(), "cwd").exists())


def test_killed_fetch_is_cleaned_up_by_the_next(cache: Path, tmp_path: Path) -> None:
    path, note = slow_apt(tmp_path)
    apt_folder = make_archive(tmp_path)
    process = start(apt_folder, PATH=path)
    wait_for(note.exists)
    process.kill()
    process.communicate(timeout=10)
    assert f".{NAME}.partial-{process.pid}" in left_in(cache)
    said: list[str] = []
    assert fetch(apt_folder, said).found is not None
    # The orphaned apt-get still writes into the partial folder, so it still holds the lock.
    assert said[0].startswith("Waiting for another process")
    assert left_in(cache) == [NAME, f"{NAME}.lock"]


def test_second_of_two_runs_waits_and_uses_what_the_first_fetched(cache: Path, tmp_path: Path) -> None:
    path, note = slow_apt(tmp_path)
    apt_folder = make_archive(tmp_path)
    first = start(apt_folder, PATH=path)
    wait_for(note.exists)
    second = start(apt_folder, PATH=path)
    (one, _, said_by_one), (two, _, said_by_two) = answer(first), answer(second)
    assert one == two == str(cache / NAME / "root" / "usr" / "bin" / "julia")
    assert "Fetching" in said_by_one and "Waiting" not in said_by_one
    assert "Waiting" in said_by_two and "Fetching" not in said_by_two


def test_unwritable_cache_is_replaced_by_a_private_folder(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYFLOSSING_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/no/such")
    said: list[str] = []
    attempt = fetch(make_archive(tmp_path), said)
    assert attempt.found is not None
    fallback = tmp_path / f"pyflossing-{os.getuid()}"
    assert fallback in attempt.found.executable.parents
    assert fallback.stat().st_mode & 0o022 == 0
    assert "/proc/no/such/pyflossing cannot be written" in said[0] and str(fallback) in said[0]


def test_fallback_that_others_can_write_or_that_is_a_link_is_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYFLOSSING_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/no/such")
    fallback = fallback_folder()
    fallback.mkdir()
    fallback.chmod(0o777)
    with pytest.raises(FolderError, match=r"somebody else could plant files: .* \(its mode is 0777\)"):
        writable_folder(print)
    fallback.rename(fallback.with_name("elsewhere"))
    fallback.symlink_to(fallback.with_name("elsewhere"))
    with pytest.raises(FolderError, match="somebody else"):
        writable_folder(print)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_fallback_of_somebody_else_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYFLOSSING_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/no/such")
    fallback_folder().mkdir(mode=0o700)
    os.chown(fallback_folder(), 12345, 12345)
    with pytest.raises(FolderError, match="somebody else"):
        writable_folder(print)


def test_cache_folder_follows_the_settings(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert preferred_folder() == cache
    monkeypatch.delenv("PYFLOSSING_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert preferred_folder() == tmp_path / "xdg" / "pyflossing"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert preferred_folder() == tmp_path / ".cache" / "pyflossing"
    monkeypatch.setenv("HOME", str(tmp_path / "absent"))
    assert preferred_folder() is None


def test_full_disk_is_told_in_megabytes(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"MB free; about 1000000000000 MB are needed"):
        require_space(tmp_path, 10**18)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Yield a folder that another user can enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_user_without_rights_or_home_can_fetch(open_folder: Path) -> None:
    python = "/usr/bin/python3"
    modern = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 10))"]
    if not Path(python).exists() or subprocess.run(modern).returncode != 0:
        pytest.skip("needs a Python that every user can run")
    # Julia itself needs some home folder.
    apt_folder = make_archive(open_folder, julia=f'test -n "$HOME" && {GOOD}')
    for package in ("parity", "pyflossing"):
        shutil.copytree(ROOT / package, open_folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["chmod", "-R", "a+rX", open_folder], check=True)
    (open_folder / "tmp").mkdir()
    (open_folder / "tmp").chmod(0o1777)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(open_folder),
        "TMPDIR": str(open_folder / "tmp"),
    }
    become = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
    fetched = subprocess.run(
        [*become, python, "-c", FETCH, str(apt_folder)],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert fetched.returncode == 0, fetched.stderr
    executable = json.loads(fetched.stdout)[0]
    assert executable.startswith(f"{open_folder}/tmp/pyflossing-54321/{NAME}/"), fetched.stdout
    assert "no home folder" in fetched.stderr
    assert Path(executable).stat().st_uid == 54321


@pytest.fixture(scope="module")
def real_fetches(
    tmp_path_factory: pytest.TempPathFactory, skip_or_fail: Callable[[str], None]
) -> tuple[Path, list[tuple[str, str, str]]]:
    """Kill a fetch of the real archive halfway, then run two at once; return the cache and the answers."""
    if not FETCH_TWICE:
        pytest.skip("PYFLOSSING_TESTS_FETCH=1 fetches Julia twice over; the session's own was fetched once")
    if not release_stanzas(read_sources(Path("/etc/apt"))):
        skip_or_fail("the sources in /etc/apt name no mirror of Debian")
    cache = tmp_path_factory.mktemp("real") / "cache"
    own = {"PYFLOSSING_CACHE": str(cache)}
    killed = start(Path("/etc/apt"), **own)
    # The first half of the packages are there: apt-get download is at work.
    wait_for(lambda: killed.poll() is not None or len(list(cache.glob(".*/work/debs/*.deb"))) > 5)
    killed.kill()
    killed.communicate(timeout=10)
    assert not (cache / NAME).exists()
    answers = [answer(process) for process in [start(Path("/etc/apt"), **own) for _ in range(2)]]
    if all("apt-get update" in detail for _, detail, _ in answers):
        skip_or_fail(f"Debian's archive cannot be reached: {answers[0][1]}")
    return cache, answers


@pytest.mark.network
def test_real_julia_works_after_a_killed_fetch_and_two_at_once(
    real_fetches: tuple[Path, list[tuple[str, str, str]]],
) -> None:
    cache, answers = real_fetches
    for executable, detail, _ in answers:
        assert executable == str(cache / NAME / "root" / "usr" / "bin" / "julia"), detail
    assert sum("Fetching Julia 1.5.3" in said for _, _, said in answers) == 1
    assert sum("Waiting for another process" in said for _, _, said in answers) >= 1
    assert left_in(cache) == [NAME, f"{NAME}.lock"]


@pytest.mark.network
def test_real_julia_multiplies_and_factorizes_matrices(
    real_fetches: tuple[Path, list[tuple[str, str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYFLOSSING_CACHE", str(real_fetches[0]))
    attempt = fetch(Path("/etc/apt"), download=False)
    assert attempt.found is not None, attempt.detail
    program = "using LinearAlgebra; q, r = qr([3.0 1.0; 4.0 2.0]); print(abs(r[1, 1]))"
    output = subprocess.check_output(
        [attempt.found.executable, "--startup-file=no", "-e", program],
        env={**os.environ, **attempt.found.environment},
        text=True,
    )
    assert float(output) == pytest.approx(5.0)
