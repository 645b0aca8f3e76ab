"""The disks behind the log: all three keep one contract, and the simulated one crashes by it."""

from __future__ import annotations

import errno
import pathlib

import pytest

from ottla.ports.disk import Disk, SystemDisk
from ottla.testing.memory_disk import MemoryDisk
from ottla.testing.simulation.disk import SimulatedDisk


@pytest.fixture(params=["system", "memory", "simulated"])
def disk(request: pytest.FixtureRequest) -> Disk:
    disks: dict[str, Disk] = {
        "system": SystemDisk(),
        "memory": MemoryDisk(),
        "simulated": SimulatedDisk(1),
    }
    return disks[request.param]


@pytest.fixture
def root(disk: Disk, tmp_path: pathlib.Path) -> str:
    path = f"{tmp_path}/deep/er"
    disk.make_directories(path)
    disk.make_directories(path)
    return path


def test_files_are_read_and_written_at_positions(disk: Disk, root: str) -> None:
    file = disk.open(f"{root}/f", create=True)
    assert file.write([b"abc", bytearray(b"def"), memoryview(b"g")], 2) == 7
    assert file.read(100, 0) == b"\0\0abcdefg"
    assert file.read(2, 3) == b"bc"
    assert file.read(5, 50) == b""
    file.truncate(4)
    assert (file.size_bytes(), disk.read_file(f"{root}/f")) == (4, b"\0\0ab")
    file.truncate(6)
    assert disk.read_file(f"{root}/f") == b"\0\0ab\0\0"
    file.sync()
    file.close()
    assert disk.modified_ms(f"{root}/f") > 0


def test_names_are_changed_and_listed(disk: Disk, root: str) -> None:
    for name in "bac":
        disk.open(f"{root}/{name}", create=True).close()
    disk.rename(f"{root}/c", f"{root}/a")
    assert disk.list_directory(root) == ["a", "b"]
    disk.remove(f"{root}/b")
    disk.make_directories(f"{root}/d/e")
    disk.open(f"{root}/d/e/f", create=True).close()
    disk.rename(f"{root}/d", f"{root}/g")
    assert disk.exists(f"{root}/g/e/f")
    assert disk.is_directory(f"{root}/g")
    assert not disk.is_directory(f"{root}/a")
    disk.sync_directory(root)
    disk.remove_tree(f"{root}/g")
    disk.remove_tree(f"{root}/g")
    assert disk.list_directory(root) == ["a"]


def test_an_open_file_outlives_its_name(disk: Disk, root: str) -> None:
    file = disk.open(f"{root}/f", create=True)
    file.write([b"still here"], 0)
    disk.rename(f"{root}/f", f"{root}/g")
    disk.remove(f"{root}/g")
    assert file.read(10, 0) == b"still here"
    file.close()


def test_what_is_missing_is_not_found(disk: Disk, root: str) -> None:
    for use in (
        lambda: disk.open(f"{root}/f"),
        lambda: disk.open(f"{root}/no/f", create=True),
        lambda: disk.read_file(f"{root}/f"),
        lambda: disk.remove(f"{root}/f"),
        lambda: disk.rename(f"{root}/f", f"{root}/g"),
        lambda: disk.list_directory(f"{root}/no"),
        lambda: disk.sync_directory(f"{root}/no"),
        lambda: disk.modified_ms(f"{root}/f"),
    ):
        with pytest.raises(FileNotFoundError):
            use()
    assert not disk.exists(f"{root}/f")


def test_a_lock_can_be_taken_again_once_released() -> None:
    for disk in (MemoryDisk(), SimulatedDisk()):
        disk.make_directories("/d")
        lock = disk.lock_directory("/d")
        with pytest.raises(BlockingIOError):
            disk.lock_directory("/d")
        lock.release()
        disk.lock_directory("/d")


def crashed(seed: int) -> SimulatedDisk:
    """Synced: a file's first sector, and its name. Not synced: its rest, and another name."""
    disk = SimulatedDisk(seed)
    disk.make_directories("/d")
    disk.sync_directory("/")
    file = disk.open("/d/kept", create=True)
    file.write([b"s" * 512], 0)
    file.sync()
    disk.sync_directory("/d")
    file.write([b"u" * 5000], 512)
    other = disk.open("/d/perhaps", create=True)
    other.write([b"x"], 0)
    other.sync()
    after = disk.crash()
    with pytest.raises(OSError, match="has crashed"):
        file.read(1, 0)
    return after


def test_a_crash_keeps_what_was_synced_and_any_part_of_the_rest() -> None:
    names, tails = set(), set()
    for seed in range(300):
        disk = crashed(seed)
        content = disk.read_file("/d/kept")
        assert content[:512] == b"s" * 512
        assert set(content[512:]) <= {0, ord("u")}
        tails.add(content[512:])
        names.add(disk.exists("/d/perhaps"))
    assert names == {True, False}
    # Lost, whole, torn in between, and the size without the bytes.
    assert {b"", b"u" * 5000, bytes(5000)} < tails
    assert any(b"u" in tail and b"\0" in tail for tail in tails)


def test_the_same_seed_crashes_the_same_way() -> None:
    for seed in range(20):
        once, again = crashed(seed), crashed(seed)
        assert once.read_file("/d/kept") == again.read_file("/d/kept")
        assert once.list_directory("/d") == again.list_directory("/d")


def test_a_rename_is_done_or_not_done() -> None:
    outcomes = set()
    for seed in range(50):
        disk = SimulatedDisk(seed)
        for name in ("old", "new"):
            file = disk.open(f"/{name}", create=True)
            file.write([name.encode()], 0)
            file.sync()
        disk.sync_directory("/")
        disk.rename("/new", "/old")
        after = disk.crash()
        outcomes.add((after.read_file("/old"), after.exists("/new")))
    assert outcomes == {(b"old", True), (b"new", False)}


def test_a_failed_sync_is_not_made_good_by_the_next_one() -> None:
    contents = set()
    for seed in range(50):
        disk = SimulatedDisk(seed)
        file = disk.open("/f", create=True)
        disk.sync_directory("/")
        file.write([b"lost"], 0)
        disk.fail_operation(0, errno.EIO)
        with pytest.raises(OSError, match="Input/output"):
            file.sync()
        file.sync()
        assert file.read(4, 0) == b"lost"
        contents.add(disk.crash().read_file("/f"))
    assert b"" in contents


def test_a_full_disk_writes_what_fits_at_most() -> None:
    disk = SimulatedDisk(1, capacity_bytes=1000)
    file = disk.open("/f", create=True)
    file.write([b"x" * 900], 0)
    with pytest.raises(OSError, match="No space left") as failure:
        file.write([b"y" * 200], 900)
    assert failure.value.errno == errno.ENOSPC
    assert file.size_bytes() <= 1000
    file.write([b"z" * 100], 0)
