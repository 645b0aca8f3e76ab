"""The disk in memory behaves as the machine's own: every test runs on both."""

from __future__ import annotations

import pathlib

import pytest

from ottla.ports.disk import Disk, SystemDisk
from ottla.testing.memory_disk import MemoryDisk


@pytest.fixture(params=["memory", "system"])
def disk(request: pytest.FixtureRequest) -> Disk:
    return MemoryDisk() if request.param == "memory" else SystemDisk()


@pytest.fixture
def root(disk: Disk, tmp_path: pathlib.Path) -> str:
    path = str(tmp_path / "root")
    disk.make_directories(path)
    return path


def put(disk: Disk, path: str, data: bytes) -> None:
    file = disk.open(path, create=True)
    assert file.write([data], 0) == len(data)
    file.close()


def test_bytes_are_read_where_they_were_written(disk: Disk, root: str) -> None:
    file = disk.open(f"{root}/a", create=True)
    assert file.write([b"one", memoryview(b"two"), bytearray(b"three")], 0) == 11
    assert file.write([b"TWO"], 3) == 3
    assert file.read(100, 0) == b"oneTWOthree"
    assert file.read(3, 3) == b"TWO"
    assert file.read(3, 50) == b""
    assert file.write([b"x"], 13) == 1
    assert file.read(100, 11) == b"\0\0x"
    assert (file.size_bytes(), file.path) == (14, f"{root}/a")
    file.sync()
    file.close()
    assert disk.read_file(f"{root}/a") == b"oneTWOthree\0\0x"


def test_a_file_is_cut_and_extended_with_zeros(disk: Disk, root: str) -> None:
    put(disk, f"{root}/a", b"123456")
    file = disk.open(f"{root}/a")
    file.truncate(3)
    file.truncate(5)
    assert file.read(10, 0) == b"123\0\0"
    file.close()


def test_names_come_and_go(disk: Disk, root: str) -> None:
    disk.make_directories(f"{root}/sub/deeper")
    disk.make_directories(f"{root}/sub/deeper")
    put(disk, f"{root}/sub/file", b"x")
    assert disk.list_directory(f"{root}/sub") == ["deeper", "file"]
    assert disk.is_directory(f"{root}/sub")
    assert not disk.is_directory(f"{root}/sub/file")
    assert disk.exists(f"{root}/sub/file")
    disk.remove(f"{root}/sub/file")
    assert not disk.exists(f"{root}/sub/file")
    disk.sync_directory(f"{root}/sub")
    disk.remove_tree(f"{root}/sub")
    disk.remove_tree(f"{root}/sub")
    assert disk.list_directory(root) == []


def test_a_rename_replaces_a_file_and_moves_a_directory_with_all_below(
    disk: Disk, root: str
) -> None:
    put(disk, f"{root}/new", b"new")
    put(disk, f"{root}/old", b"old")
    disk.rename(f"{root}/new", f"{root}/old")
    assert disk.list_directory(root) == ["old"]
    assert disk.read_file(f"{root}/old") == b"new"
    disk.make_directories(f"{root}/topic-0/inner")
    disk.make_directories(f"{root}/topic-01")
    put(disk, f"{root}/topic-0/inner/log", b"x")
    disk.rename(f"{root}/topic-0", f"{root}/topic-0.gone-delete")
    assert disk.read_file(f"{root}/topic-0.gone-delete/inner/log") == b"x"
    assert disk.list_directory(root) == ["old", "topic-0.gone-delete", "topic-01"]


def test_an_open_file_outlives_its_name(disk: Disk, root: str) -> None:
    file = disk.open(f"{root}/a", create=True)
    disk.remove(f"{root}/a")
    file.write([b"still here"], 0)
    assert file.read(20, 0) == b"still here"
    assert not disk.exists(f"{root}/a")
    file.close()


def test_what_is_missing_is_an_error_of_the_operating_system(disk: Disk, root: str) -> None:
    missing = f"{root}/missing"
    for use in (disk.open, disk.read_file, disk.remove, disk.list_directory, disk.modified_ms,
                disk.sync_directory, disk.lock_directory):  # fmt: skip
        with pytest.raises(FileNotFoundError):
            use(missing)
    with pytest.raises(FileNotFoundError):
        disk.rename(missing, f"{root}/b")
    with pytest.raises(FileNotFoundError):
        disk.open(f"{missing}/file", create=True)


def test_the_time_of_the_last_write_is_kept(disk: Disk, root: str) -> None:
    put(disk, f"{root}/a", b"x")
    assert disk.modified_ms(f"{root}/a") > 1_600_000_000_000


def test_a_directory_is_held_by_one(root: str, disk: Disk) -> None:
    if isinstance(disk, SystemDisk):
        pytest.skip("POSIX record locks are held by the process: see the broker's own test")
    lock = disk.lock_directory(root)
    with pytest.raises(BlockingIOError):
        disk.lock_directory(root)
    lock.release()
    disk.lock_directory(root).release()
