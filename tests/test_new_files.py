"""Files that are made: who may read them, and what they must not follow."""

import os
import stat
import threading

import pytest

from pyflossing._support.files import write_atomically
from pyflossing._support.folders import LOCK, alone_in


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_a_new_file_follows_the_umask_and_leaves_it_as_it_is(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "file", b"content")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask


def test_many_threads_leave_the_umask_as_it_is(tmp_path):
    before = os.umask(0o022)
    try:
        threads = [threading.Thread(target=write_atomically, args=(tmp_path / str(i), b"x")) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    target = tmp_path / "elsewhere"
    place = tmp_path / "run"
    place.mkdir()
    (place / LOCK).symlink_to(target)
    with pytest.raises(OSError, match=r"cannot write: .*\.lock"), alone_in(place, ()):
        pass
    assert not target.exists()
