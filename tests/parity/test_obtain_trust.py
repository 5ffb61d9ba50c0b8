"""Nothing that somebody else could have planted is run."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from functools import partial
from pathlib import Path

import pytest

from parity.obtain import fingerprint
from parity.obtain.debian import NAME, obtain
from parity.obtain.folders import FolderError, locked, writable_folder
from parity.obtain.model import Attempt
from parity.obtain.trust import weakness

AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
SOMEBODY = 54321


def plant(cache: Path) -> Path:
    """A folder with a Julia as if fetched earlier, which leaves a trace when it is run."""
    folder = cache / NAME
    julia = folder / "root" / "usr" / "bin" / "julia"
    julia.parent.mkdir(parents=True)
    julia.write_text(f"#!/bin/sh\ntouch {cache.parent}/was-run\necho pyflossing-probe 1.5.3 caught\n")
    julia.chmod(0o755)
    library = folder / "root" / "usr" / "lib" / "some-triplet" / "julia" / "libjulia.so"
    library.parent.mkdir(parents=True)
    library.write_text("library")
    (folder / "root" / "usr" / "lib" / "link").symlink_to("some-triplet")
    return folder


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The named cache folder with a planted Julia, and a temporary folder of the test's own."""
    monkeypatch.setenv("PYFLOSSING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    plant(tmp_path / "cache")
    return tmp_path / "cache"


def look(tmp_path: Path, download: bool = False) -> Attempt:
    return obtain(download=download, say=lambda _: None, timeout=30, apt_folder=tmp_path / "no-apt")


def refused(tmp_path: Path, said: str) -> None:
    for download in (False, True):
        attempt = look(tmp_path, download)
        assert attempt.found is None
        assert said in attempt.detail
    assert not (tmp_path / "was-run").exists()


def test_what_was_fetched_earlier_is_run(cache: Path, tmp_path: Path) -> None:
    assert look(tmp_path).found is not None
    assert (tmp_path / "was-run").exists()


@pytest.mark.parametrize("where", ["cache", f"cache/{NAME}", f"cache/{NAME}/root/usr/bin", f"cache/{NAME}/root"])
def test_a_folder_that_others_can_write(cache: Path, tmp_path: Path, where: str) -> None:
    (tmp_path / where).chmod(0o777)
    refused(tmp_path, f"{tmp_path / where} can be written by other users (its mode is 0777)")


def test_a_folder_on_the_way_that_others_can_write(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "open" / "cache"
    below.parent.mkdir()
    cache.rename(below)
    monkeypatch.setenv("PYFLOSSING_CACHE", str(below))
    (tmp_path / "open").chmod(0o777)
    refused(tmp_path, f"{tmp_path / 'open'} can be written by other users")
    (tmp_path / "open").chmod(0o1777)  # as /tmp: others may add files, and not replace ours
    assert look(tmp_path).found is not None


def test_a_file_that_others_can_write(cache: Path, tmp_path: Path) -> None:
    (cache / NAME / "root" / "usr" / "bin" / "julia").chmod(0o757)
    refused(tmp_path, "julia can be written by other users (its mode is 0757)")


@AS_ROOT
@pytest.mark.parametrize(
    "where", ["cache", f"cache/{NAME}", f"cache/{NAME}/root/usr/bin/julia", f"cache/{NAME}/root/usr/lib/link"]
)
def test_what_belongs_to_somebody_else(cache: Path, tmp_path: Path, where: str) -> None:
    os.chown(tmp_path / where, SOMEBODY, SOMEBODY, follow_symlinks=False)
    refused(tmp_path, f"{tmp_path / where} belongs to user {SOMEBODY}")


@AS_ROOT
def test_a_link_of_somebody_else_on_the_way(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "link"
    link.symlink_to(cache)
    monkeypatch.setenv("PYFLOSSING_CACHE", str(link))
    assert look(tmp_path).found is not None
    (tmp_path / "was-run").unlink()
    os.chown(link, SOMEBODY, SOMEBODY, follow_symlinks=False)
    refused(tmp_path, f"{link} belongs to user {SOMEBODY}")


def test_a_writable_folder_behind_a_link(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to("cache")
    monkeypatch.setenv("PYFLOSSING_CACHE", str(tmp_path / "link"))
    cache.chmod(0o777)
    refused(tmp_path, f"{cache} can be written by other users")


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert "too many links" in weakness(tmp_path / "a" / "x")


@AS_ROOT
def test_a_group_of_the_users_own_may_write_and_no_other(tmp_path: Path) -> None:
    tmp_path.chmod(0o775)
    assert weakness(tmp_path) == ""
    os.chown(tmp_path, 0, SOMEBODY)
    assert "its mode is 0775" in weakness(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda root: (root / "usr/bin/julia").write_text("#!/bin/sh\n"), "usr/bin/julia has changed"),
        (lambda root: (root / "usr/lib/some-triplet/julia/libjulia.so").unlink(), "libjulia.so is missing"),
        (lambda root: (root / "usr/lib/some-triplet/julia/new.so").touch(), "new.so was not there"),
        (lambda root: (root / "usr/lib/link").unlink() or (root / "usr/lib/link").symlink_to("/"), "link has changed"),
        (lambda root: (root.parent / "files.json").write_text("{"), "files.json cannot be read"),
        (lambda root: (root.parent / "files.json").write_text("[]"), "files.json is no list of files"),
    ],
)
def test_what_differs_from_what_was_fetched(cache: Path, tmp_path: Path, change, said: str) -> None:  # type: ignore[no-untyped-def]
    fingerprint.keep(cache / NAME)
    change(cache / NAME / "root")
    refused(tmp_path, said)


def test_hashes_of_a_julia_fetched_before_there_were_any_are_kept_from_then_on(cache: Path, tmp_path: Path) -> None:
    assert look(tmp_path).found is not None
    kept = json.loads((cache / NAME / "files.json").read_text())
    assert sorted(kept) == ["usr/bin/julia", "usr/lib/link", "usr/lib/some-triplet/julia/libjulia.so"]
    (tmp_path / "was-run").unlink()
    (cache / NAME / "root/usr/bin/julia").write_text("#!/bin/sh\n")
    refused(tmp_path, "has changed since it was fetched")


def test_a_named_folder_excludes_the_fallback(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fallback = tmp_path / f"pyflossing-{os.getuid()}"
    (tmp_path / "cache").rename(fallback)
    refused(tmp_path, "name no mirror of Debian")
    monkeypatch.setenv("PYFLOSSING_CACHE", "/proc/no/such")
    with pytest.raises(FolderError, match=r"/proc/no/such cannot be written .*PYFLOSSING_CACHE names it"):
        writable_folder(print)
    # unnamed, it is still found
    monkeypatch.delenv("PYFLOSSING_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert look(tmp_path).found is not None


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_no_umask_opens_the_folders_that_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mask: int) -> None:
    monkeypatch.setenv("PYFLOSSING_CACHE", str(tmp_path / "a" / "b"))
    before = os.umask(mask)
    try:
        folder = writable_folder(print)
    finally:
        os.umask(before)
    for made in (folder, folder.parent):
        assert stat.S_IMODE(made.stat().st_mode) == 0o755 & ~mask


def test_nobody_is_told_to_fetch_into_a_folder_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt = tmp_path / "apt"
    apt.mkdir()
    (apt / "sources.list").write_text("deb http://deb.example.invalid/debian bookworm main\n")
    (tmp_path / "open").mkdir()
    monkeypatch.setenv("PYFLOSSING_CACHE", str(tmp_path / "open" / "cache"))
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    look = partial(obtain, download=False, say=print, timeout=30, apt_folder=apt)
    assert "let `python -m parity` fetch it" in look().remedy
    (tmp_path / "open").chmod(0o777)
    attempt = look()
    assert "somebody else could plant files" in attempt.detail
    assert "fetch it" not in attempt.remedy


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    lock = tmp_path / f"{NAME}.lock"
    lock.symlink_to(target)
    with pytest.raises(FolderError, match=r"\.lock cannot be opened, and links are not followed"), locked(lock, print):
        pass
    assert not target.exists()
