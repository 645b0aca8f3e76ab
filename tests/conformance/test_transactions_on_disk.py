"""Transactions on disk: Kafka's tool reads our indexes, and brokers of both kinds take over from
each other in the middle of transactions."""

from __future__ import annotations

import pathlib
import re
import uuid

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from ottla.log.config import LogConfig
from ottla.log.names import TopicPartition as Partition
from ottla.log.partition_log import AppendOrigin, PartitionLog
from ottla.ports.disk import SystemDisk
from ottla.records.batch import read_header
from ottla.records.control import ControlType, encode_end_transaction_batch
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.apache_kafka import QUICK_START_FLAGS, ApacheKafka, run_tool
from ottla.testing.process import BrokerProcess
from ottla.testing.waiting import eventually

pytestmark = [pytest.mark.jvm]

DUMP = "org.apache.kafka.tools.DumpLogSegments"
SETTINGS = {"offsets.topic.num.partitions": "1", "transaction.state.log.num.partitions": "1"}
# A killed broker may register again only when its controller has missed it.
KAFKA_SETTINGS = {
    **SETTINGS,
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}
TIMEOUT_S = 30.0


def write(log: PartitionLog, data: bytes, origin: AppendOrigin = AppendOrigin.CLIENT) -> None:
    buffer = bytearray(data)
    header = read_header(buffer)
    guard = None
    if header.is_transactional and not header.is_control:
        guard = log.producers.verifications.begin(
            header.producer_id, 0, header.base_sequence, bumps_epochs=False, now_ms=0
        )
    log.append(buffer, [(0, header)], leader_epoch=0, now_ms=0, origin=origin, guard=guard)


def records_of(producer_id: int) -> bytes:
    return encode_batch(
        [Record(0, 1000, None, b"value")],
        producer_id=producer_id,
        producer_epoch=0,
        base_sequence=0,
        is_transactional=True,
    )


def end_of(producer_id: int, control_type: ControlType) -> bytes:
    return encode_end_transaction_batch(
        control_type, producer_id=producer_id, producer_epoch=0, coordinator_epoch=5,
        timestamp_ms=1000,
    )  # fmt: skip


def test_dump_log_segments_reads_our_transaction_index_and_snapshot(
    tmp_path: pathlib.Path,
) -> None:
    directory = tmp_path / "events-0"
    log = PartitionLog.create(
        SystemDisk(), str(directory), LogConfig(), Partition("events", 0), uuid.uuid4(), now_ms=0
    )
    for producer_id in (41, 42, 43):
        write(log, records_of(producer_id))
    write(log, end_of(42, ControlType.ABORT), AppendOrigin.COORDINATOR)
    write(log, end_of(43, ControlType.ABORT), AppendOrigin.COORDINATOR)
    log.close()
    files = [*directory.glob("*.txnindex"), *directory.glob("*.snapshot")]
    printed = run_tool(DUMP, ["--files", ",".join(map(str, files))]).stdout.decode()
    entries = re.findall(
        r"version: 0 offset: (\d+) producerId: (\d+) firstOffset: (\d+) lastStableOffset: (\d+)"
        r"|version: (\d+) producerId: (\d+) firstOffset: (\d+) lastOffset: (\d+) "
        r"lastStableOffset: (\d+)",
        printed,
    )
    numbers = [tuple(int(each) for each in entry if each) for entry in entries]
    assert len(numbers) == 2, printed
    assert {3, 42, 1, 0} <= set(numbers[0])
    assert {4, 43, 2, 0} <= set(numbers[1])
    assert re.search(r"producerId: 41 .*currentTxnFirstOffset: Optional.*0", printed), printed


class World:
    """Clients of one broker."""

    def __init__(self, broker: ApacheKafka | BrokerProcess) -> None:
        self.bootstrap = broker.bootstrap_servers

    def create(self, topic: str) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(TIMEOUT_S)

    def begin(self, transactional_id: str, *values: str) -> Producer:
        producer = Producer(
            {"bootstrap.servers": self.bootstrap, "transactional.id": transactional_id}
        )
        producer.init_transactions(TIMEOUT_S)
        producer.begin_transaction()
        for value in values:
            producer.produce("events", value, partition=0)
        assert producer.flush(TIMEOUT_S) == 0
        return producer

    def values(self, isolation_level: str, count: int) -> list[str]:
        """All there is to read, once it is as much as expected."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "reader",
                "isolation.level": isolation_level,
                "enable.partition.eof": True,
            }
        )
        consumer.assign([TopicPartition("events", 0, 0)])
        values: list[str] = []

        def is_at_the_end() -> bool:
            message = consumer.poll(0.2)
            if message is None:
                return False
            error = message.error()
            if error is None:
                values.append((message.value() or b"").decode())
                return False
            assert error.code() == KafkaError._PARTITION_EOF
            return len(values) >= count

        eventually(is_at_the_end, what=f"{count} values")
        consumer.close()
        return values

    def committed(self, isolation_level: str, patience_s: float = 5) -> int:
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "copiers",
                "isolation.level": isolation_level,
            }
        )
        try:
            [found] = consumer.committed([TopicPartition("events", 0)], timeout=patience_s)
        finally:
            consumer.close()
        return int(found.offset)

    def commit_offset(self, producer: Producer, offset: int) -> None:
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "copiers"})
        producer.send_offsets_to_transaction(
            [TopicPartition("events", 0, offset)], consumer.consumer_group_metadata(), TIMEOUT_S
        )
        consumer.close()


@pytest.mark.slow
def test_brokers_of_both_kinds_take_over_open_transactions(tmp_path: pathlib.Path) -> None:
    """Apache Kafka, killed; then ours, killed; then Apache Kafka again."""
    directory = tmp_path / "kafka"
    kafka = ApacheKafka(
        directory=directory, heap="512m", jvm_flags=QUICK_START_FLAGS, settings=KAFKA_SETTINGS
    )
    with kafka:
        world = World(kafka)
        world.create("events")
        committed = world.begin("first", "kafka commits")
        world.commit_offset(committed, 1)
        committed.commit_transaction(TIMEOUT_S)
        world.begin("second", "kafka aborts").abort_transaction(TIMEOUT_S)
        left_open = world.begin("third", "kafka leaves open")
        world.commit_offset(left_open, 2)
        kafka.kill()

    with BrokerProcess(kafka.log_directory, settings=SETTINGS) as ours:
        world = World(ours)
        assert world.values("read_committed", 1) == ["kafka commits"]
        assert len(world.values("read_uncommitted", 3)) == 3
        assert world.committed("read_uncommitted") == 1
        with pytest.raises(KafkaException):
            world.committed("read_committed", patience_s=1)
        # The producer's next instance aborts what the one before left open.
        resumed = world.begin("third", "ours commits")
        assert world.committed("read_committed") == 1
        world.commit_offset(resumed, 3)
        resumed.commit_transaction(TIMEOUT_S)
        world.begin("second", "ours aborts").abort_transaction(TIMEOUT_S)
        left_open = world.begin("first", "ours leaves open")
        world.commit_offset(left_open, 4)
        assert world.values("read_committed", 2) == ["kafka commits", "ours commits"]
        ours.kill()

    with ApacheKafka(
        directory=directory, heap="512m", jvm_flags=QUICK_START_FLAGS, settings=KAFKA_SETTINGS
    ) as again:
        world = World(again)
        assert world.values("read_committed", 2) == ["kafka commits", "ours commits"]
        assert world.committed("read_uncommitted") == 3
        with pytest.raises(KafkaException):
            world.committed("read_committed", patience_s=1)
        resumed = world.begin("first", "kafka commits again")
        resumed.commit_transaction(TIMEOUT_S)
        expected = ["kafka commits", "ours commits", "kafka commits again"]
        assert world.values("read_committed", 3) == expected
        assert world.committed("read_committed") == 3
