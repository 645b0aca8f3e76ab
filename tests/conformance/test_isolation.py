"""Isolation over many segments: transactions of several producers, committed, aborted and open,
interleaved with one another and with plain records, read at both levels; before and after the
broker is killed, and after compaction.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
from collections.abc import Callable
from itertools import chain
from random import Random
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from ottla.log.names import CLEANER_CHECKPOINT
from ottla.log.names import TopicPartition as LogName
from ottla.log.text_files import parse_offset_checkpoint
from ottla.testing.apache_kafka import PEERS_DIRECTORY, ApacheKafka, java_command, run_tool
from ottla.testing.process import BrokerProcess
from ottla.testing.topics import create_topic
from ottla.testing.waiting import eventually

pytestmark = [pytest.mark.jvm, pytest.mark.slow]

TIMEOUT_S = 30.0
PRODUCERS = 4
STEPS = 600
TOPICS = {
    "events": {"segment.bytes": "1048576"},
    "table": {
        "segment.bytes": "1048576",
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "1",
    },
}
SETTINGS = {
    "log.cleaner.backoff.ms": "50",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
}
Target = BrokerProcess | ApacheKafka
LEVELS = ("read_committed", "read_uncommitted")


class Written(NamedTuple):
    """A record's place and key."""

    offset: int
    key: str


class Writer:
    """A producer, and the fate of what it has written. Only transactional ones are told to end."""

    def __init__(self, bootstrap: str, transactional_id: str | None) -> None:
        self.committed: list[Written] = []
        self.aborted: list[Written] = []
        self.open: list[Written] = []
        self.is_transactional = transactional_id is not None
        self.is_in_transaction = False
        config: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "linger.ms": 0,
            # librdkafka 2.16 never ends a transaction whose broker it threw away to bootstrap anew.
            "metadata.recovery.strategy": "none",
            "reconnect.backoff.max.ms": 100,
            "log_level": 0,
        }
        if transactional_id is not None:
            config["transactional.id"] = transactional_id
        self._producer = Producer(config)
        if self.is_transactional:
            self._producer.init_transactions(TIMEOUT_S)

    def write(self, topic: str, key: str, value: bytes) -> None:
        """One record; a transaction begins if none is open."""
        if self.is_transactional and not self.is_in_transaction:
            self._producer.begin_transaction()
            self.is_in_transaction = True

        def delivered(error: object, message: Message) -> None:
            assert error is None
            where = self.open if self.is_transactional else self.committed
            where.append(Written(message.offset(), key))

        self._producer.produce(topic, value, key, partition=0, on_delivery=delivered)
        assert self._producer.flush(TIMEOUT_S) == 0

    def end(self, *, commits: bool) -> None:
        """The open transaction becomes one or the other."""
        if commits:
            self._producer.commit_transaction(TIMEOUT_S)
            self.committed += self.open
        else:
            self._producer.abort_transaction(TIMEOUT_S)
            self.aborted += self.open
        self.open = []
        self.is_in_transaction = False


class Story:
    """What was written to a topic, and so what there is to read."""

    def __init__(self, bootstrap: str, topic: str, random: Random) -> None:
        self.topic = topic
        self._random = random
        self._writers = [Writer(bootstrap, f"{topic}-{number}") for number in range(PRODUCERS)]
        self._plain = Writer(bootstrap, None)

    def tell(self, steps: int) -> None:
        """Records and ends in random order; at last one transaction is open, others are not."""
        for _ in range(steps):
            writer = self._random.choice([*self._writers, self._plain])
            if writer.is_in_transaction and self._random.random() < 0.3:
                writer.end(commits=self._random.random() < 0.5)
            else:
                self._write(writer)
        for writer in self._writers:
            if writer.is_in_transaction:
                writer.end(commits=False)
        for writer in (*self._writers, self._plain):
            self._write(writer)
        for writer in self._writers[1:]:
            writer.end(commits=True)

    def commit_the_open_one(self) -> None:
        self._writers[0].end(commits=True)

    def _write(self, writer: Writer) -> None:
        key = f"key-{self._random.randrange(100)}"
        writer.write(self.topic, key, self._random.randbytes(self._random.randrange(20_000)))

    @property
    def all(self) -> list[Written]:
        every = [*self._writers, self._plain]
        return sorted(chain(*(each.committed + each.aborted + each.open for each in every)))

    @property
    def last_stable(self) -> list[Written]:
        """The committed records below the first open transaction."""
        every = [*self._writers, self._plain]
        limit = min((each.open[0].offset for each in self._writers if each.open), default=1 << 60)
        committed = sorted(chain(*(each.committed for each in every)))
        return [record for record in committed if record.offset < limit]

    def readable(self, isolation_level: str) -> list[Written]:
        return self.last_stable if isolation_level == "read_committed" else self.all


def confluent_reads(bootstrap: str, topic: str, level: str, offset: int = 0) -> list[Written]:
    """What librdkafka's consumer is given from there to the end."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "isolation.level": level,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
            "fetch.message.max.bytes": 300_000,  # several fetches to a segment
        }
    )
    consumer.assign([TopicPartition(topic, 0, offset)])
    records: list[Written] = []
    while True:
        message = consumer.poll(TIMEOUT_S)
        assert message is not None, "the end is never reached"
        if message.error() is not None:
            break
        records.append(Written(message.offset(), message.key().decode()))
    consumer.close()
    return records


def java_reads(bootstrap: str) -> dict[tuple[str, str], dict[str, Any]]:
    """(topic, isolation level) → what java/EndReader.java found."""
    command = java_command(
        "EndReader", [bootstrap, *TOPICS], extra_classpath=[PEERS_DIRECTORY / "java-classes"]
    )
    printed = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return {(line["topic"], line["isolation"]): line for line in lines}


def check_readers(
    bootstrap: str, stories: list[Story], random: Random
) -> dict[tuple[str, str], int]:
    """Both clients see what each story says, at both levels and from anywhere.

    Returns the ends of the logs, as seen at each level.
    """
    found = java_reads(bootstrap)
    for story in stories:
        for level in LEVELS:
            wanted = story.readable(level)
            java = found[story.topic, level]
            assert [Written(*record) for record in java["records"]] == wanted
            # Behind the last record come markers: the consumer has passed them.
            assert java["position"] == java["end"] == java["administrators_end"]
            assert java["lag"] == 0
            assert java["end"] > wanted[-1].offset
            for offset in (0, *(random.randrange(java["end"]) for _ in range(2))):
                seen = confluent_reads(bootstrap, story.topic, level, offset)
                assert seen == [record for record in wanted if record.offset >= offset]
    return {key: java["end"] for key, java in found.items()}


def check_ends(bootstrap: str, story: Story, ends: dict[tuple[str, str], int]) -> None:
    """Where the log ends: at the first open record for some, behind everything for others."""
    listed = run_tool(
        "org.apache.kafka.tools.GetOffsetShell",
        ["--bootstrap-server", bootstrap, "--topic", story.topic],
    ).stdout.decode()
    [shown] = re.findall(rf"{story.topic}:0:(\d+)", listed)
    assert int(shown) == ends[story.topic, "read_uncommitted"]
    first_open = min(set(story.all) - set(story.last_stable) - set(aborted(story)))
    assert ends[story.topic, "read_committed"] == first_open.offset


def aborted(story: Story) -> list[Written]:
    return list(chain(*(writer.aborted for writer in story._writers)))


def compact(broker: Target) -> None:
    """Let the table be compacted, and wait until it has been."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    ratio = ConfigEntry(
        "min.cleanable.dirty.ratio", "0.01", incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ConfigResource.Type.TOPIC, "table", incremental_configs=[ratio])
    [altered] = admin.incremental_alter_configs([resource]).values()
    altered.result(TIMEOUT_S)
    is_apache = isinstance(broker, ApacheKafka)
    directory = broker.log_directory if is_apache else broker.data_directory
    eventually(lambda: cleaned_up_to(directory) > 0, what="the compaction", timeout_seconds=60)


def cleaned_up_to(directory: pathlib.Path) -> int:
    path = directory / CLEANER_CHECKPOINT
    data = path.read_bytes() if path.exists() else b""
    return parse_offset_checkpoint(data).get(LogName("table", 0), -1) if data else -1


def check_compacted(bootstrap: str, story: Story) -> None:
    """Less to read, and the same view of it."""
    before = story.readable("read_committed")
    found = java_reads(bootstrap)["table", "read_committed"]
    java = [Written(*record) for record in found["records"]]
    assert java == confluent_reads(bootstrap, "table", "read_committed")
    assert len(java) < len(before) / 2
    assert set(java) <= set(before)
    view = {record.key: record.offset for record in before}
    assert {record.key: record.offset for record in java} == view
    assert found["position"] == found["end"]
    assert set(confluent_reads(bootstrap, "table", "read_uncommitted")) <= set(story.all)


def test_readers_over_many_segments(own_broker: Callable[..., Target]) -> None:
    broker = own_broker(SETTINGS)
    bootstrap = broker.bootstrap_servers
    random = Random(3)
    for topic, config in TOPICS.items():
        create_topic(bootstrap, topic, 1, config)
    stories = [Story(bootstrap, topic, random) for topic in TOPICS]
    events, table = stories
    for story in stories:
        story.tell(STEPS)
    ends = check_readers(bootstrap, stories, random)
    check_ends(bootstrap, events, ends)
    broker.kill()
    broker.start()
    check_readers(bootstrap, stories, random)
    compact(broker)
    check_compacted(bootstrap, table)
    # What was open all the time is there when it is committed.
    for story in stories:
        story.commit_the_open_one()
    assert set(events.all) - set(events.last_stable) == set(aborted(events))
    broker.kill()
    broker.start()
    check_compacted(bootstrap, table)
    assert confluent_reads(bootstrap, "events", "read_committed") == events.last_stable
