"""What a broker that can't start says: what is wrong, and what to do about it."""

from __future__ import annotations

import asyncio
import errno
import pathlib
import resource
import socket
import subprocess
import sys
from collections.abc import Mapping

import pytest

from ottla.broker.configuration import configuration_of
from ottla.broker.node import BrokerNode, StartError
from ottla.broker.open_files import max_connections_within, raise_open_file_limit
from ottla.broker.opening import open_data
from ottla.broker.start_errors import directory_error
from ottla.log.errors import LogDirectoryFailed
from ottla.metadata.topic_names import GROUP_METADATA_TOPIC
from ottla.ports.disk import SystemDisk
from ottla.ports.entropy import SystemEntropy
from ottla.testing.process import COMMAND, BrokerProcess


def start_error(settings: Mapping[str, str]) -> StartError:
    async def main() -> None:
        node = BrokerNode(configuration_of(settings, origin="test"))
        await node.start()
        await node.stop()

    with pytest.raises(StartError) as raised:
        asyncio.run(main())
    return raised.value


def test_a_file_in_the_place_of_the_directory(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    for directory in (path, path / "below"):
        error = start_error({"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": str(directory)})
        assert "is a file, not a directory" in error.message
        assert "--data" in error.hint


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "can't write to /data: no permission"),
        (errno.EROFS, "can't write to /data: the file system is read-only"),
        (errno.ENOSPC, "no space left on the disk of /data"),
        (errno.EMFILE, "too many open files"),
        (errno.EIO, "can't use /data: broken"),
    ],
)
def test_a_disk_that_refuses(number: int, message: str) -> None:
    failure = LogDirectoryFailed("offline")
    failure.__cause__ = OSError(number, "broken", "/data")
    error = directory_error(failure)
    assert error.message == message
    assert error.hint


def test_a_host_nobody_knows(tmp_path: pathlib.Path) -> None:
    # Names below .invalid never resolve (RFC 2606).
    settings = {"listeners": "PLAINTEXT://broker.invalid:0", "log.dirs": str(tmp_path / "data")}
    error = start_error(settings)
    assert "the host 'broker.invalid' is not known" in error.message
    assert "--listen" in error.hint


def test_an_address_of_another_machine(tmp_path: pathlib.Path) -> None:
    settings = {"listeners": "PLAINTEXT://192.0.2.1:0", "log.dirs": str(tmp_path / "data")}
    error = start_error(settings)
    assert "Cannot assign requested address" in error.message
    assert "no address of this machine" in error.hint


def test_a_port_in_use_leaves_a_clean_directory(tmp_path: pathlib.Path) -> None:
    data = tmp_path / "data"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = start_error({"listeners": f"PLAINTEXT://127.0.0.1:{port}", "log.dirs": str(data)})
    assert "Address already in use" in error.message
    assert "port 0" in error.hint
    assert (data / ".kafka_cleanshutdown").exists()


def test_a_process_whose_port_is_taken_leaves_a_clean_directory_clean(
    tmp_path: pathlib.Path,
) -> None:
    data = tmp_path / "data"
    with BrokerProcess(data) as broker:
        broker.stop()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [str(COMMAND), "broker", "--data", str(data), "--listen", address]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "Address already in use" in ended.stdout + ended.stderr
    assert (data / ".kafka_cleanshutdown").exists()


class FewFiles(SystemDisk):
    """A disk on which a directory can't be used, for want of descriptors or of a working disk."""

    def __init__(self, directory: pathlib.Path, number: int) -> None:
        self._directory = str(directory)
        self._number = number

    def list_directory(self, path: str) -> list[str]:
        if path == self._directory:
            raise OSError(self._number, "refused", path)
        return super().list_directory(path)


def test_too_few_descriptors_take_no_directory_offline(tmp_path: pathlib.Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    settings = {"log.dirs": f"{first},{second}"}
    configuration = configuration_of(settings, origin="test")
    broken = open_data(configuration, FewFiles(second, errno.EIO), SystemEntropy(), now_ms=0)
    assert list(broken.offline) == [str(second)]
    asyncio.run(broken.store.close())
    broken.abandon()
    with pytest.raises(StartError) as raised:
        open_data(configuration, FewFiles(second, errno.EMFILE), SystemEntropy(), now_ms=0)
    assert "too many open files" in raised.value.message


def test_metadata_in_another_directory_than_the_first(tmp_path: pathlib.Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    def settings(*directories: pathlib.Path) -> dict[str, str]:
        return {
            "listeners": "PLAINTEXT://127.0.0.1:0",
            "log.dirs": ",".join(map(str, directories)),
        }

    async def main() -> None:
        node = BrokerNode(configuration_of(settings(first), origin="test"))
        await node.start()
        await node.stop()

    asyncio.run(main())
    error = start_error(settings(second, first))
    assert str(first) in error.message
    assert error.hint == f"name {first} first"


def test_damaged_metadata_lets_go_of_its_file_and_of_unclean_directories(
    tmp_path: pathlib.Path,
) -> None:
    settings = {"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": str(tmp_path)}

    async def main() -> None:
        node = BrokerNode(configuration_of(settings, origin="test"))
        await node.start()
        await node.stop()

    asyncio.run(main())
    mark = tmp_path / ".kafka_cleanshutdown"
    mark.unlink()
    [database] = [each for each in tmp_path.iterdir() if each.suffix in (".sqlite", ".db")]
    content = database.read_bytes()
    database.write_bytes(b"no database" * 1000)
    start_error(settings)
    # Only a start that stores the new leader epochs may end in a clean mark.
    assert not mark.exists()
    database.write_bytes(content)
    asyncio.run(main())
    assert mark.exists()


def test_connections_leave_room_for_the_files_of_the_logs() -> None:
    assert max_connections_within(None) == sys.maxsize
    assert max_connections_within(20_000) == 15_000
    limit = raise_open_file_limit()
    assert limit in (None, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def test_an_unlimited_hard_limit_that_can_not_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(which: int, limits: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_open_file_limit() == 256


def test_nothing_of_adopted_topics_is_deleted(tmp_path: pathlib.Path) -> None:
    """A directory with logs and without our metadata, as Apache Kafka leaves one."""
    settings = {"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": str(tmp_path)}

    async def main() -> None:
        node = BrokerNode(configuration_of(settings, origin="test"))
        await node.start()
        try:
            await node.create_topics_on_demand(["old", GROUP_METADATA_TOPIC])
            offsets = node.partitions.find(GROUP_METADATA_TOPIC, 0)
            assert offsets.settings.is_compacted
            assert not offsets.settings.deletes_old_segments
        finally:
            await node.stop()

    asyncio.run(main())
    for path in tmp_path.glob("metadata.sqlite*"):
        path.unlink()

    async def adopt() -> None:
        node = BrokerNode(configuration_of(settings, origin="test"))
        await node.start()
        try:
            old = node.partitions.find("old", 0)
            assert old.leader_epoch == old.log.leader_epochs.latest_epoch + 1
            assert old.settings.log.retention_ms == -1
            offsets = node.partitions.find(GROUP_METADATA_TOPIC, 0)
            assert offsets.settings.is_compacted
            assert not offsets.settings.deletes_old_segments
        finally:
            await node.stop()

    asyncio.run(adopt())
