"""Log directories: Kafka's tool reads ours, our broker opens Kafka's."""

from __future__ import annotations

import pathlib
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from ottla.testing.apache_kafka import QUICK_START_FLAGS, ApacheKafka, run_tool
from ottla.testing.process import BrokerProcess
from ottla.testing.waiting import eventually

pytestmark = [pytest.mark.jvm, pytest.mark.slow]

NOT_READY = (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
DUMP = "org.apache.kafka.tools.DumpLogSegments"
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
FALSE_ALARM = re.compile(r"Non-consecutive offsets in \S+\n(  -1 is followed by \d+\n)+")
COMPLAINTS = re.compile(r"(?i)mismatch|corrupt|invalid|non-consecutive|not found|exception")


def fill(bootstrap: str, topic: str, **config: Any) -> None:
    """Several segments of batches by all codecs, and an offset of a group."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    settings = {"segment.bytes": "1048576", "index.interval.bytes": "4096"}
    admin.create_topics([NewTopic(topic, 1, 1, config=settings)])[topic].result(20)
    eventually(lambda: topic in admin.list_topics(timeout=10).topics, what="the topic")
    # Half of a value can be compressed: every codec is used, and segments still fill.
    source = random.Random(4)
    for number, codec in enumerate(CODECS):
        producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "compression.type": codec,
                "enable.idempotence": True,
                **config,
            }
        )
        for each in range(400):
            value = b"%d " % (number * 400 + each) + source.randbytes(2000) + bytes(1000)
            producer.produce(topic, value, b"key", 0, headers={"codec": codec})
        assert producer.flush(20) == 0
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "the-group"})
    # Kafka's refusals while it still makes __consumer_offsets are for the client to retry.
    eventually(lambda: commits(consumer, TopicPartition(topic, 0, 1234)), what="the commit")
    consumer.close()


def commits(consumer: Consumer, where: TopicPartition) -> bool:
    try:
        consumer.commit(offsets=[where], asynchronous=False)
    except KafkaException as error:
        if error.args[0].code() in NOT_READY:
            return False
        raise
    return True


def log_directory(broker: Any) -> pathlib.Path:
    if isinstance(broker, ApacheKafka):
        return broker.log_directory
    return pathlib.Path(broker.data_directory)


def dump(files: list[pathlib.Path], *flags: str) -> str:
    names = ",".join(map(str, sorted(files)))
    result = run_tool(DUMP, ["--files", names, *flags])
    # A mismatch between an index and its log is reported on stderr, at exit status 0. Iterating
    # over records, the tool expects every segment to begin with offset 0, its own too.
    errors = FALSE_ALARM.sub("", result.stderr.decode())
    assert not COMPLAINTS.search(errors), errors
    return result.stdout.decode()


def test_dump_log_segments_reads_what_we_wrote(own_broker: Callable[..., Any]) -> None:
    broker = own_broker()
    fill(broker.bootstrap_servers, "dumped")
    broker.stop()
    directory = log_directory(broker)
    partition = directory / "dumped-0"
    logs = list(partition.glob("*.log"))
    assert len(logs) > 1
    assert {path.name for path in partition.iterdir()} >= {
        "partition.metadata",
        "leader-epoch-checkpoint",
        *(log.with_suffix(suffix).name for log in logs for suffix in (".index", ".timeindex")),
    }
    files = [*logs, *partition.glob("*.index"), *partition.glob("*.timeindex")]
    files += partition.glob("*.snapshot")
    dumped = dump(files, "--deep-iteration")
    assert dumped.count("isvalid: true") == dumped.count("baseOffset: ") > 0
    offsets = [int(n) for n in re.findall(r"\| offset: (\d+)", dumped)]
    assert offsets == list(range(2000))
    for codec in CODECS:
        assert f"compresscodec: {codec}" in dumped

    internal = [
        log for log in directory.glob("__consumer_offsets-*/*.log") if log.stat().st_size > 0
    ]
    decoded = dump(internal, "--offsets-decoder")
    assert '"group":"the-group"' in decoded
    assert '"topic":"dumped"' in decoded
    assert '"offset":1234' in decoded


@pytest.fixture
def opened(tmp_path: pathlib.Path, target_name: str) -> Any:
    """A broker of the kind under test, on a directory that Apache Kafka wrote."""
    kafka = ApacheKafka(
        directory=tmp_path / "kafka",
        heap="512m",
        jvm_flags=QUICK_START_FLAGS,
        settings={"offsets.topic.num.partitions": "5"},
    )
    with kafka:
        fill(kafka.bootstrap_servers, "inherited")
    if target_name == "apache":
        with kafka:
            yield kafka
        return
    broker = BrokerProcess(kafka.log_directory, settings={"offsets.topic.num.partitions": "5"})
    with broker:
        yield broker


def test_our_broker_opens_what_kafka_wrote(opened: Any) -> None:
    bootstrap = opened.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = admin.list_topics(timeout=20).topics
    assert {"inherited", "__consumer_offsets"} <= set(topics)
    assert len(topics["__consumer_offsets"].partitions) == 5
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "the-group", "check.crcs": True}
    )
    where = TopicPartition("inherited", 0)
    assert [each.offset for each in consumer.committed([where], timeout=20)] == [1234]
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce("inherited", b"2000 and one more", partition=0)
    assert producer.flush(20) == 0
    consumer.assign([TopicPartition("inherited", 0, 0)])
    messages: list[Message] = []

    def has_all() -> bool:
        messages.extend(consumer.consume(500, timeout=0.2))
        assert all(message.error() is None for message in messages)
        return len(messages) == 2001

    eventually(has_all, what="all records")
    assert [int(message.value().split()[0]) for message in messages] == list(range(2001))
    assert [message.offset() for message in messages] == list(range(2001))
    consumer.close()
