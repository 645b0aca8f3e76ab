"""Compacted topics and foreign eyes: clients read them, Kafka's tools and brokers open them."""

from __future__ import annotations

import pathlib
import random
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from ottla.log.config import LogConfig
from ottla.log.directory import LogDirectory, read_meta_properties
from ottla.log.names import CLEANER_CHECKPOINT
from ottla.log.names import TopicPartition as LogName
from ottla.log.partition_log import PartitionLog
from ottla.log.text_files import parse_offset_checkpoint
from ottla.ports.disk import SystemDisk
from ottla.records.batch import iter_headers
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.apache_kafka import QUICK_START_FLAGS, ApacheKafka, run_tool
from ottla.testing.compaction import clean_now
from ottla.testing.process import BrokerProcess
from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually
from ottla.wire.api.k65_describe_transactions import DescribeTransactionsRequest

DUMP = "org.apache.kafka.tools.DumpLogSegments"
TABLE = {
    "cleanup.policy": "compact",
    "segment.bytes": "1048576",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "86400000",
}
SETTINGS = {"log.cleaner.backoff.ms": "50", "offsets.topic.num.partitions": "2"}
Model = dict[bytes, bytes]


def create(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1, config=TABLE)])[topic].result(20)
    eventually(lambda: topic in admin.list_topics(timeout=10).topics, what="the topic")


def fill(bootstrap: str, topic: str, model: Model, seed: int, count: int = 8000) -> None:
    """Records of all codecs over few keys, a tombstone now and then."""
    source = random.Random(seed)
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "compression.type": codec,
                "enable.idempotence": True,
                "linger.ms": 5,
                "batch.size": 30_000,
            }
        )
        for number in range(count // 5):
            key = b"key-%d" % source.randrange(300)
            value = None if source.random() < 0.05 else source.randbytes(700)
            producer.produce(topic, value, key, 0, headers={"codec": codec})
            model.pop(key, None)
            if value is not None:
                model[key] = value
            if number % 100 == 0:
                producer.poll(0)
        assert producer.flush(20) == 0


def read(bootstrap: str, topic: str) -> tuple[Model, list[int]]:
    """What a consumer ends up with, and the offsets it saw."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "check.crcs": True,
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: Model = {}
    offsets = []
    while True:
        message = consumer.poll(10)
        assert message is not None
        error = message.error()
        if error is not None:
            assert error.code() == KafkaError._PARTITION_EOF
            break
        offsets.append(message.offset())
        found.pop(message.key(), None)
        if message.value() is not None:
            found[message.key()] = message.value()
    consumer.close()
    return found, offsets


def cleaned_up_to(directory: pathlib.Path, topic: str) -> int:
    try:
        data = (directory / CLEANER_CHECKPOINT).read_bytes()
    except FileNotFoundError:
        return -1
    # Kafka's is empty until there is something to say.
    return parse_offset_checkpoint(data).get(LogName(topic, 0), -1) if data else -1


def last_segment(directory: pathlib.Path, topic: str) -> int:
    return max(int(path.stem) for path in (directory / f"{topic}-0").glob("*.log"))


def wait_until_cleaned(directory: pathlib.Path, topic: str) -> None:
    eventually(
        lambda: 0 < last_segment(directory, topic) <= cleaned_up_to(directory, topic),
        what="the compaction",
        timeout_seconds=60,
    )


def dump(files: list[pathlib.Path], *flags: str) -> str:
    ran = run_tool(DUMP, ["--files", ",".join(map(str, sorted(files))), *flags])
    # Of every compacted log, its own too, the tool says that offsets are missing.
    gaps = re.compile(r"Non-consecutive offsets in \S+\n(  -?\d+ is followed by \d+\n)+")
    errors = gaps.sub("", ran.stderr.decode())
    assert not re.search(r"(?i)mismatch|corrupt|invalid|not found|exception", errors), errors
    return ran.stdout.decode()


@pytest.mark.jvm
@pytest.mark.slow
def test_clients_and_tools_read_what_we_compacted(tmp_path: pathlib.Path) -> None:
    model: Model = {}
    directory = tmp_path / "data"
    with BrokerProcess(directory, settings=SETTINGS) as broker:
        create(broker.bootstrap_servers, "table")
        fill(broker.bootstrap_servers, "table", model, seed=1)
        wait_until_cleaned(directory, "table")
        found, offsets = read(broker.bootstrap_servers, "table")
        assert found == model
        assert offsets == sorted(set(offsets))
        assert len(offsets) < 4000
        ran = run_tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            [
                "--bootstrap-server", broker.bootstrap_servers, "--topic", "table",
                "--from-beginning", "--max-messages", str(len(offsets)),
                "--formatter-property", "print.offset=true",
                "--formatter-property", "print.value=false",
            ],
        )  # fmt: skip
        java_offsets = [int(each) for each in re.findall(rb"Offset:(\d+)", ran.stdout)]
        assert java_offsets == offsets
    partition = directory / "table-0"
    logs = list(partition.glob("*.log"))
    printed = dump(logs, "--deep-iteration", "--print-data-log")
    batches = [line for line in printed.splitlines() if line.startswith("baseOffset:")]
    assert batches
    assert all("isvalid: true" in line for line in batches)
    assert any("deleteHorizonMs: OptionalLong[" in line for line in batches)
    seen = [int(each) for each in re.findall(r"\| offset: (\d+)", printed)]
    assert seen == offsets
    indexes = [*partition.glob("*.index"), *partition.glob("*.timeindex")]
    verified = dump(indexes, "--verify-index-only")
    assert "not found" not in verified.lower()
    dump(list(partition.glob("*.snapshot")))


def open_directory(path: pathlib.Path) -> LogDirectory:
    meta = read_meta_properties(SystemDisk(), str(path))
    assert meta is not None
    return LogDirectory.open(
        SystemDisk(),
        str(path),
        cluster_id=meta.cluster_id,
        node_id=meta.node_id,
        new_directory_id=uuid.uuid4(),
        config_of=lambda topic: LogConfig(),
        now_ms=1_900_000_000_000,
    )


def view(log: PartitionLog) -> tuple[Model, bool]:
    """The table, and whether any batch has a delete horizon."""
    found: Model = {}
    has_horizon = False
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        with log.read(offset, 1 << 20, end_offset=log.log_end_offset) as piece:
            data = piece.read()
        for position, header in iter_headers(data):
            has_horizon = has_horizon or header.has_delete_horizon
            for record in [] if header.is_control else decode_records(data, position):
                assert record.key is not None
                found.pop(record.key, None)
                if record.value is not None:
                    found[record.key] = record.value
            offset = header.next_offset
    return found, has_horizon


@pytest.mark.jvm
@pytest.mark.slow
def test_apache_kafka_and_we_compact_the_same_log_in_turns(tmp_path: pathlib.Path) -> None:
    model: Model = {}
    settings = {**SETTINGS, "log.initial.task.delay.ms": "500"}
    kafka = ApacheKafka(
        directory=tmp_path / "kafka", heap="512m", jvm_flags=QUICK_START_FLAGS, settings=settings
    )
    with kafka:
        create(kafka.bootstrap_servers, "table")
        fill(kafka.bootstrap_servers, "table", model, seed=2)
        wait_until_cleaned(kafka.log_directory, "table")
    clean_what_kafka_cleaned(kafka.log_directory, model)
    with kafka:
        assert read(kafka.bootstrap_servers, "table")[0] == model
        fill(kafka.bootstrap_servers, "table", model, seed=3)
        wait_until_cleaned(kafka.log_directory, "table")
        assert read(kafka.bootstrap_servers, "table")[0] == model
    directory = open_directory(kafka.log_directory)
    assert view(directory.partitions[LogName("table", 0)])[0] == model
    directory.close()


def clean_what_kafka_cleaned(path: pathlib.Path, model: Model) -> None:
    directory = open_directory(path)
    log = directory.partitions[LogName("table", 0)]
    log.config = LogConfig(
        segment_bytes=1 << 20, compacts=True, deletes_old_segments=False, delete_retention_ms=0
    )
    assert log.first_dirty_offset > 0
    assert view(log) == (model, True)
    epoch = log.leader_epochs.latest_epoch
    for number in range(300):
        key, value = b"key-%d" % (number % 10), b"of ours %d" % number * 500
        batch = bytearray(encode_batch([Record(0, 1_800_000_000_000, key, value)]))
        log.append(batch, list(iter_headers(batch)), leader_epoch=epoch, now_ms=1_900_000_000_000)
        model.pop(key, None)
        model[key] = value
    before = log.size_bytes
    log.advance_high_watermark(log.log_end_offset)
    log.flush()
    # Now every delete horizon that Kafka set has passed.
    cleaning = clean_now(SystemDisk(), directory, log, 1_900_000_000_000)
    assert cleaning.written_bytes < cleaning.read_bytes
    assert log.size_bytes < before
    assert view(log)[0] == model
    directory.close()


def test_offsets_of_groups_survive_their_compaction(
    own_broker: Callable[..., Any], target_name: str
) -> None:
    """``__consumer_offsets`` is compacted for real, and loaded from what is left."""
    settings = {
        "log.cleaner.backoff.ms": "50",
        "offsets.topic.num.partitions": "1",
        "offsets.topic.segment.bytes": "1048576",
        "log.cleaner.min.cleanable.ratio": "0.01",
        "group.initial.rebalance.delay.ms": "0",
    }
    if target_name == "apache":
        settings["log.initial.task.delay.ms"] = "500"
    broker = own_broker(settings)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic("read", 20, 1)])["read"].result(20)
    consumers = [
        Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": f"group-{number}"})
        for number in range(3)
    ]
    eventually(lambda: commit(consumers[0], 1), what="the first commit")
    directory = pathlib.Path(
        broker.log_directory if isinstance(broker, ApacheKafka) else broker.data_directory
    )
    offset = 1
    while cleaned_up_to(directory, "__consumer_offsets") < 1000:
        offset += 1
        assert offset < 5000
        for consumer in consumers:
            assert commit(consumer, offset)
    for consumer in consumers:
        consumer.close()
    broker.restart()
    for number in range(3):
        consumer = Consumer(
            {"bootstrap.servers": broker.bootstrap_servers, "group.id": f"group-{number}"}
        )
        wanted = [TopicPartition("read", index) for index in range(20)]
        committed = consumer.committed(wanted, timeout=30)
        assert {each.offset for each in committed} == {offset}
        consumer.close()


def commit(consumer: Consumer, offset: int) -> bool:
    from confluent_kafka import KafkaException

    try:
        consumer.commit(
            offsets=[TopicPartition("read", index, offset, "m" * 300) for index in range(20)],
            asynchronous=False,
        )
    except KafkaException:
        return False
    return True


def test_transactional_ids_survive_the_compaction_of_their_log(
    own_broker: Callable[..., Any], target_name: str
) -> None:
    """``__transaction_state`` is compacted for real, and loaded from what is left."""
    settings = {
        "log.cleaner.backoff.ms": "50",
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.segment.bytes": "1048576",
        "log.cleaner.min.cleanable.ratio": "0.01",
        "offsets.topic.num.partitions": "1",
    }
    if target_name == "ottla":
        settings["log.flush.policy"] = "os"
    broker = own_broker(settings)
    servers = broker.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic("written", 1, 1)])["written"].result(20)
    # Long ids fill the log sooner.
    names = [f"writer-{number}-".ljust(1000, "x") for number in range(2)]
    producers = [Producer({"bootstrap.servers": servers, "transactional.id": n}) for n in names]
    for producer in producers:
        producer.init_transactions(30)
    directory = pathlib.Path(
        broker.log_directory if isinstance(broker, ApacheKafka) else broker.data_directory
    )
    committed = 0
    while cleaned_up_to(directory, "__transaction_state") < 100:
        assert committed < 6000
        producers[committed % 2].begin_transaction()
        producers[committed % 2].produce("written", b"%d" % committed, b"key")
        producers[committed % 2].commit_transaction(30)
        committed += 1
    before = described(servers, names)
    assert {each[2] for each in before} == {"CompleteCommit"}
    broker.restart()
    assert eventually(lambda: described(broker.bootstrap_servers, names)) == before
    again = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": names[0]})
    again.init_transactions(30)
    again.begin_transaction()
    again.produce("written", b"%d" % committed, b"key")
    again.commit_transaction(30)
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "reader",
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition("written", 0, 0)])
    values: list[int] = []
    while len(values) <= committed:
        message = consumer.poll(20)
        assert message is not None
        assert message.error() is None
        values.append(int(message.value()))
    assert values == list(range(committed + 1))
    consumer.close()


def described(bootstrap: str, names: list[str]) -> list[tuple[int, int, str]]:
    """Producer id, epoch and state of transactional ids; empty while they can't be told."""
    with Connection(bootstrap) as connection:
        reply = connection.ask(DescribeTransactionsRequest(transactional_ids=names), 0)
    if any(each.error_code for each in reply.transaction_states):
        return []
    return [
        (each.producer_id, each.producer_epoch, each.transaction_state)
        for each in reply.transaction_states
    ]
