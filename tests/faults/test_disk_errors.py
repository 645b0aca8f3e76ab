"""Disks that fill up, fail or stall: Kafka's error, the directory offline, the others go on, and
nothing acknowledged is lost once the disk is well again."""

from __future__ import annotations

import itertools
import pathlib
import threading
from collections.abc import Callable, Iterator

import pytest

from ottla.testing import mounted_disk, syscall_faults
from ottla.testing.mounted_disk import SmallDisk
from ottla.testing.process import BrokerProcess
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import batch_of, fetch, produce, produce_request, read_records
from ottla.testing.syscall_faults import SyscallFault
from ottla.testing.topics import create_topic
from ottla.testing.waiting import eventually
from ottla.wire.api.k03_metadata import MetadataRequest
from ottla.wire.errors import ErrorCode

MIB = 1024 * 1024
TOPIC = "load"
PARTITIONS = 4
MakeBroker = Callable[..., BrokerProcess]

needs_mounts = pytest.mark.skipif(
    mounted_disk.why_unavailable() is not None, reason=str(mounted_disk.why_unavailable())
)
needs_strace = pytest.mark.skipif(
    syscall_faults.why_unavailable() is not None, reason=str(syscall_faults.why_unavailable())
)


class Cluster:
    """A broker with two log directories, and what it acknowledged."""

    def __init__(self, make_broker: MakeBroker, first: pathlib.Path, second: pathlib.Path) -> None:
        self.first, self.second = first, second
        self.broker = make_broker(first, settings={"log.dirs": f"{first},{second}"})
        create_topic(self.broker.bootstrap_servers, TOPIC, PARTITIONS, {})
        self.acknowledged: dict[int, list[bytes]] = {index: [] for index in range(PARTITIONS)}
        self._numbers = itertools.count()

    def partitions_in(self, directory: pathlib.Path) -> list[int]:
        return sorted(int(each.name.rpartition("-")[2]) for each in directory.glob(f"{TOPIC}-*"))

    def produce(self, connection: Connection, partition: int, size_bytes: int = 100) -> ErrorCode:
        value = b"%d:" % next(self._numbers) + bytes(size_bytes)
        produced = produce(connection, TOPIC, partition, batch_of([value]))
        if produced.error_code == 0:
            self.acknowledged[partition].append(value)
        return ErrorCode(produced.error_code)

    def assert_nothing_lost(self) -> None:
        with Connection(self.broker.bootstrap_servers) as connection:
            for partition, values in self.acknowledged.items():
                found = [each.value for each in read_records(connection, TOPIC, partition, 0)]
                there = set(found)
                assert [value for value in values if value not in there] == []
                in_order = [value for value in found if value in set(values)]
                assert in_order == values

    def errors(self) -> list[str]:
        return [str(each["message"]) for each in self.broker.events if each["level"] == "error"]


def assert_only_directory_failed(cluster: Cluster, failed: pathlib.Path) -> None:
    """One line about it; its partitions answer with Kafka's error, the others serve."""
    other = cluster.first if failed == cluster.second else cluster.second
    with Connection(cluster.broker.bootstrap_servers) as connection:
        for partition in cluster.partitions_in(failed):
            assert cluster.produce(connection, partition) is ErrorCode.KAFKA_STORAGE_ERROR
            fetched = fetch(connection, TOPIC, partition, 0)
            assert fetched.error_code == ErrorCode.KAFKA_STORAGE_ERROR
        for partition in cluster.partitions_in(other):
            assert cluster.produce(connection, partition) is ErrorCode.NONE
            assert fetch(connection, TOPIC, partition, 0).error_code == 0
    errors = cluster.errors()
    assert len(errors) == 1, errors
    assert str(failed) in errors[0]
    assert "Traceback" not in cluster.broker.log


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path / "small", 8 * MIB) as disk:
        yield disk


@needs_mounts
def test_a_full_disk_takes_its_directory_offline(
    make_broker: MakeBroker, small_disk: SmallDisk, tmp_path: pathlib.Path
) -> None:
    full = small_disk.mount_point / "logs"
    cluster = Cluster(make_broker, tmp_path / "data", full)
    assert len(cluster.partitions_in(full)) == PARTITIONS / 2
    on_full_disk = itertools.cycle(cluster.partitions_in(full))
    with Connection(cluster.broker.bootstrap_servers) as connection:
        codes = {cluster.produce(connection, next(on_full_disk), 300_000) for _ in range(40)}
    assert codes == {ErrorCode.NONE, ErrorCode.KAFKA_STORAGE_ERROR}
    assert_only_directory_failed(cluster, full)
    assert cluster.broker.stop() == 0

    small_disk.grow(64 * MIB)
    cluster.broker.start()
    cluster.assert_nothing_lost()
    with Connection(cluster.broker.bootstrap_servers) as connection:
        for partition in range(PARTITIONS):
            assert cluster.produce(connection, partition) is ErrorCode.NONE
    cluster.assert_nothing_lost()
    cluster.broker.close()


@needs_mounts
def test_a_full_first_disk_stops_the_broker(
    make_broker: MakeBroker, small_disk: SmallDisk, tmp_path: pathlib.Path
) -> None:
    # The first directory holds the metadata: without it nothing can be promised any more.
    full = small_disk.mount_point / "logs"
    cluster = Cluster(make_broker, full, tmp_path / "data")
    [partition, *_] = cluster.partitions_in(full)
    with Connection(cluster.broker.bootstrap_servers) as connection:
        codes = []
        while codes[-1:] != [ErrorCode.KAFKA_STORAGE_ERROR]:
            codes.append(cluster.produce(connection, partition, 300_000))
    eventually(lambda: not cluster.broker.is_running, what="the broker's end")
    assert "Traceback" not in cluster.broker.log

    small_disk.grow(64 * MIB)
    cluster.broker.kill()
    cluster.broker.start()
    cluster.assert_nothing_lost()
    cluster.broker.close()


@needs_strace
@pytest.mark.parametrize("syscall", ["fdatasync", "pwrite64"])
def test_a_disk_that_fails_is_never_asked_again(
    syscall: str, make_broker: MakeBroker, tmp_path: pathlib.Path
) -> None:
    cluster = Cluster(make_broker, tmp_path / "one", tmp_path / "two")
    failing, other = cluster.partitions_in(cluster.second)
    segment = cluster.second / f"{TOPIC}-{failing}" / f"{0:020d}.log"
    with Connection(cluster.broker.bootstrap_servers) as connection:
        for partition in range(PARTITIONS):
            assert cluster.produce(connection, partition) is ErrorCode.NONE
        fault = SyscallFault(
            cluster.broker.pid,
            syscall,
            "error=EIO:when=3",
            path=str(segment),
            log=tmp_path / "trace",
        )
        with fault:
            codes = [cluster.produce(connection, failing) for _ in range(6)]
            assert cluster.produce(connection, other) is ErrorCode.KAFKA_STORAGE_ERROR
            assert_only_directory_failed(cluster, cluster.second)
            calls = fault.calls
    assert codes == [ErrorCode.NONE] * 2 + [ErrorCode.KAFKA_STORAGE_ERROR] * 4
    assert len(calls) == 3, calls
    assert "EIO" in calls[-1]
    cluster.broker.kill()
    cluster.broker.start()
    cluster.assert_nothing_lost()


@needs_strace
def test_a_failed_fsync_fails_everything_that_waited_for_it(
    make_broker: MakeBroker, tmp_path: pathlib.Path
) -> None:
    cluster = Cluster(make_broker, tmp_path / "one", tmp_path / "two")
    [failing, _] = cluster.partitions_in(cluster.second)
    segment = cluster.second / f"{TOPIC}-{failing}" / f"{0:020d}.log"
    with Connection(cluster.broker.bootstrap_servers) as connection:
        assert cluster.produce(connection, failing) is ErrorCode.NONE
        # The second sync fails, late: meanwhile more has been appended.
        fault = SyscallFault(
            cluster.broker.pid,
            "fdatasync",
            "error=EIO:delay_enter=300000:when=2+",
            path=str(segment),
            log=tmp_path / "trace",
        )
        with fault:
            assert cluster.produce(connection, failing) is ErrorCode.NONE
            request = produce_request(TOPIC, {failing: batch_of([b"doubtful"])})
            for _ in range(20):
                connection.send(request, 12)
            answers = [connection.receive() for _ in range(20)]
    codes = [each.responses[0].partition_responses[0].error_code for each in answers]
    assert codes == [ErrorCode.KAFKA_STORAGE_ERROR] * 20
    cluster.broker.kill()
    cluster.broker.start()
    cluster.assert_nothing_lost()


@needs_strace
def test_a_slow_disk_delays_only_those_who_wait_for_it(
    make_broker: MakeBroker, tmp_path: pathlib.Path
) -> None:
    broker = make_broker(tmp_path / "data")
    create_topic(broker.bootstrap_servers, TOPIC, 1, {})
    fault = SyscallFault(broker.pid, "fdatasync", "delay_exit=700000", log=tmp_path / "trace")
    with Connection(broker.bootstrap_servers) as waiting, fault:
        batch = batch_of([b"value"])
        waiting.send(produce_request(TOPIC, {0: batch}), 12)
        waiting.send(produce_request(TOPIC, {0: batch}, timeout_ms=50), 12)
        fault.wait_for_call()
        answered = threading.Event()
        with Connection(broker.bootstrap_servers) as other:
            # Nobody may read yet what a power cut could take back.
            assert fetch(other, TOPIC, 0, 0).high_watermark == 0
            assert produce(other, TOPIC, 0, batch, acks=1).error_code == 0
            assert other.ask(MetadataRequest(topics=[]), 12).brokers
            answered.set()
        codes = [waiting.receive().responses[0].partition_responses[0].error_code for _ in range(2)]
        assert codes == [ErrorCode.NONE, ErrorCode.REQUEST_TIMED_OUT]
    with Connection(broker.bootstrap_servers) as connection:
        eventually(lambda: len(list(read_records(connection, TOPIC, 0, 0))) == 3)
    assert not [each for each in broker.events if each["level"] != "info"]
