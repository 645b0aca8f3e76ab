"""Files of the operating system."""

from __future__ import annotations

import os
import pathlib

import pytest

from ottla.ports.disk import SystemDisk

MIB = 1024 * 1024


def test_reserved_blocks_leave_the_size_and_are_given_back(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    file = SystemDisk().open(str(path), create=True)
    file.write([b"data"], 0)
    if not file.reserve(4, 8 * MIB):
        pytest.skip("this file system can't")
    assert file.size_bytes() == 4
    assert os.stat(path).st_blocks * 512 >= 8 * MIB
    file.write([b"more"], 4)
    file.truncate(8)
    assert file.read(100, 0) == b"datamore"
    assert os.stat(path).st_blocks * 512 < MIB
    file.close()


def test_what_can_not_be_reserved_is_no_error(tmp_path: pathlib.Path) -> None:
    file = SystemDisk().open(str(tmp_path / "file"), create=True)
    assert not file.reserve(0, 1 << 60)
    file.close()
