"""Apache Kafka and we on the same log directories: its tools read ours, we read its own."""

from __future__ import annotations

import pathlib
import random
import re
import shutil
import uuid
from collections.abc import Mapping

import pytest

from ottla.log.config import LogConfig
from ottla.log.directory import LogDirectory, read_meta_properties
from ottla.log.names import TopicPartition
from ottla.log.partition_log import AppendOrigin, PartitionLog
from ottla.log.text_files import format_uuid
from ottla.ports.disk import SystemDisk
from ottla.records.batch import iter_headers, read_header
from ottla.records.compression import Codec
from ottla.records.control import ControlType, encode_end_transaction_batch
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.apache_kafka import QUICK_START_FLAGS, ApacheKafka, run_tool

pytestmark = [pytest.mark.jvm]

DUMP = "org.apache.kafka.tools.DumpLogSegments"
CONFIG = LogConfig(segment_bytes=40_000, index_interval_bytes=512)
PARTITION = TopicPartition("events", 0)


def open_directory(
    path: pathlib.Path, *, cluster_id: str = "ours", node_id: int = 1
) -> LogDirectory:
    return LogDirectory.open(
        SystemDisk(),
        str(path),
        cluster_id=cluster_id,
        node_id=node_id,
        new_directory_id=uuid.uuid4(),
        config_of=lambda topic: CONFIG,
        now_ms=1_700_000_000_000,
    )


def fill(log: PartitionLog, seed: int) -> None:
    """A few segments of every kind of batch a client or a coordinator sends."""
    pick = random.Random(seed)
    sequence = 0
    for number in range(300):
        time_ms = 1_700_000_000_000 + number * 10 + pick.randrange(-200, 200)
        records = [
            Record(index, time_ms + index, b"key", pick.randbytes(pick.randrange(400)))
            for index in range(pick.randrange(1, 9))
        ]
        idempotent = number % 3 == 0
        buffer = bytearray(
            encode_batch(
                records,
                codec=pick.choice(list(Codec)),
                producer_id=42 if idempotent else -1,
                producer_epoch=0 if idempotent else -1,
                base_sequence=sequence if idempotent else -1,
            )
        )
        sequence += len(records) if idempotent else 0
        append(log, buffer, AppendOrigin.CLIENT, leader_epoch=number // 120)
    marker = encode_end_transaction_batch(
        ControlType.COMMIT,
        producer_id=43,
        producer_epoch=0,
        coordinator_epoch=1,
        timestamp_ms=1_700_000_010_000,
    )
    append(log, bytearray(marker), AppendOrigin.COORDINATOR, leader_epoch=2)


def append(log: PartitionLog, buffer: bytearray, origin: AppendOrigin, leader_epoch: int) -> None:
    log.append(
        buffer,
        [(0, read_header(buffer))],
        leader_epoch=leader_epoch,
        now_ms=1_700_000_000_000,
        origin=origin,
    )


def dump(directory: pathlib.Path, suffixes: tuple[str, ...], *flags: str) -> str:
    files = sorted(path for path in directory.iterdir() if path.suffix in suffixes)
    assert files
    ran = run_tool(DUMP, ["--files", ",".join(map(str, files)), *flags])
    assert complaints(ran.stderr.decode()) == []
    return ran.stdout.decode()


def complaints(errors: str) -> list[str]:
    """What the tool finds wrong.

    Of every segment that doesn't start at offset 0, of its own making too, Kafka 4.3.1 says that
    "-1 is followed by" its first offset: that says nothing.
    """
    harmless = re.compile(
        r"Non-consecutive offsets in .*?(\d{20})\.log\n  -1 is followed by 0*(\d+)\n"
    )
    rest = harmless.sub(lambda found: "" if int(found[1]) == int(found[2]) else found[0], errors)
    return rest.splitlines()


def apache_kafka(directory: pathlib.Path, settings: Mapping[str, str] | None = None) -> ApacheKafka:
    return ApacheKafka(
        directory=directory, settings=settings, heap="512m", jvm_flags=QUICK_START_FLAGS
    )


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A partition directory of ours, closed cleanly."""
    path = tmp_path_factory.mktemp("ours")
    directory = open_directory(path)
    log = directory.create_partition(PARTITION, uuid.uuid4(), CONFIG, now_ms=0)
    fill(log, seed=1)
    assert log.segment_count > 3
    directory.close()
    return path / str(PARTITION)


def test_apache_kafka_reads_every_batch_and_record(ours: pathlib.Path) -> None:
    printed = dump(ours, (".log",), "--deep-iteration", "--print-data-log")
    batches = [line for line in printed.splitlines() if line.startswith("baseOffset:")]
    assert len(batches) == 301
    assert all("isvalid: true" in line for line in batches)
    offsets = [int(found) for found in re.findall(r"^\| offset: (\d+) ", printed, re.MULTILINE)]
    assert offsets == list(range(len(offsets)))


def test_apache_kafka_finds_the_indexes_right(ours: pathlib.Path) -> None:
    printed = dump(ours, (".index", ".timeindex"))
    assert printed.count("position:") > 50
    assert printed.count("timestamp:") > 20
    assert "mismatch" not in printed.lower()
    verified = dump(ours, (".index", ".timeindex"), "--verify-index-only")
    assert "not found" not in verified.lower()
    checked = dump(ours, (".index", ".timeindex"), "--index-sanity-check")
    assert "passed sanity check" in checked


def test_apache_kafka_reads_the_producer_snapshots(ours: pathlib.Path) -> None:
    printed = dump(ours, (".snapshot",))
    assert "producerId: 42 producerEpoch: 0" in printed
    assert "producerId: 43 producerEpoch: 0 coordinatorEpoch: 1" in printed


def read_values(log: PartitionLog) -> list[bytes | None]:
    values = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        with log.read(offset, 1 << 20) as found:
            data = found.read()
        for position, header in iter_headers(data):
            records = [] if header.is_control else decode_records(data, position)
            values += [record.value for record in records]
            offset = header.next_offset
    return values


@pytest.mark.slow
@pytest.mark.parametrize("is_clean", [True, False])
def test_we_open_what_apache_kafka_wrote(tmp_path: pathlib.Path, is_clean: bool) -> None:
    lines = [f"line {number} {'x' * (number % 700)}" for number in range(3000)]
    # The smallest segments Kafka takes, so that there are several.
    settings = {"log.segment.bytes": "1048576", "log.index.interval.bytes": "1024"}
    kafka = apache_kafka(tmp_path / "kafka", settings)
    with kafka:
        kafka.run_tool("org.apache.kafka.tools.TopicCommand", ["--create", "--topic", "lines"])
        kafka.run_tool(
            "org.apache.kafka.tools.ConsoleProducer",
            ["--topic", "lines"],
            stdin="".join(line + "\n" for line in lines).encode(),
        )
        if not is_clean:
            kafka.kill()
    meta = read_meta_properties(SystemDisk(), str(kafka.log_directory))
    assert meta is not None
    topic_text = (kafka.log_directory / "lines-0" / "partition.metadata").read_text()
    directory = open_directory(
        kafka.log_directory, cluster_id=meta.cluster_id, node_id=meta.node_id
    )
    try:
        assert directory.was_clean is is_clean
        assert directory.meta.directory_id == meta.directory_id
        log = directory.partitions[TopicPartition("lines", 0)]
        assert log.topic_id is not None
        assert topic_text.endswith(format_uuid(log.topic_id))
        assert log.recovered.cut_bytes == 0
        assert read_values(log) == [line.encode() for line in lines]
        assert log.leader_epochs.entries[0].start_offset == 0
        assert len(list(log.producers)) == 1
    finally:
        directory.close()


@pytest.mark.slow
def test_apache_kafka_goes_on_where_we_stopped(tmp_path: pathlib.Path) -> None:
    """Kafka writes, we append, Kafka reads all of it and appends."""
    kafka = apache_kafka(tmp_path / "kafka")
    with kafka:
        kafka.run_tool("org.apache.kafka.tools.TopicCommand", ["--create", "--topic", "lines"])
        kafka.run_tool(
            "org.apache.kafka.tools.ConsoleProducer", ["--topic", "lines"], stdin=b"kafka\n"
        )
    meta = read_meta_properties(SystemDisk(), str(kafka.log_directory))
    assert meta is not None
    directory = open_directory(
        kafka.log_directory, cluster_id=meta.cluster_id, node_id=meta.node_id
    )
    log = directory.partitions[TopicPartition("lines", 0)]
    epoch = log.leader_epochs.latest_epoch
    buffer = bytearray(encode_batch([Record(0, 1_700_000_000_000, None, b"ottla")]))
    append(log, buffer, AppendOrigin.CLIENT, leader_epoch=epoch)
    log.high_watermark = log.log_end_offset
    directory.close()
    with apache_kafka(tmp_path / "kafka") as again:
        read = again.run_tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            ["--topic", "lines", "--from-beginning", "--max-messages", "2"],
        )
    assert read.stdout.splitlines() == [b"kafka", b"ottla"]
    shutil.rmtree(tmp_path / "kafka")
