"""Files of the operating system."""

from __future__ import annotations

import os
import pathlib
import threading

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


@pytest.mark.parametrize(("size_bytes", "is_elsewhere"), [(32 * MIB, True), (MIB, False)])
def test_who_closes_a_removed_file_does_not_wait_for_its_blocks(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    size_bytes: int,
    is_elsewhere: bool,
) -> None:
    closers: list[int] = []
    close = os.close
    file = SystemDisk().open(str(tmp_path / "file"), create=True)
    file.truncate(size_bytes)
    os.remove(tmp_path / "file")

    def closing(descriptor: int) -> None:
        closers.append(threading.get_ident())
        close(descriptor)

    monkeypatch.setattr(os, "close", closing)
    file.close()
    for thread in threading.enumerate():
        if thread.name == "close":
            thread.join()
    assert [each != threading.get_ident() for each in closers] == [is_elsewhere]
