"""Kafka's own command-line tools, run by one JVM (``java/ToolServer.java``).

The byte-for-byte test alone starts the console producer and consumer as a user does.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Producer

from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.apache_kafka import run_tool
from ottla.testing.kafka_tools import JAVA_TOOLS, JavaTools
from ottla.testing.plain_messages import ask, error_codes
from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually

pytestmark = pytest.mark.jvm

# Tools with subcommands, which want the broker named first.
WITH_SUBCOMMANDS = {"kafka-features", "kafka-transactions"}
NewTopicName = Callable[..., str]
Unique = Callable[[str], str]
RunTool = Callable[..., str]


@pytest.fixture(scope="module")
def server() -> Iterator[JavaTools]:
    with JavaTools() as running:
        yield running


@pytest.fixture
def tool_at(server: JavaTools) -> RunTool:
    """As `tool`, with the broker as its first argument."""

    def run(
        bootstrap: str, name: str, *arguments: str, stdin: bytes = b"", fails: bool = False
    ) -> str:
        words = [*arguments, "--bootstrap-server", bootstrap]
        if name in WITH_SUBCOMMANDS:
            words = [*words[-2:], *arguments]
        status, *said = server.run(name, words, stdin)
        assert bool(status) == fails, said
        return "\n".join(said) if fails else said[0]

    return run


@pytest.fixture
def tool(tool_at: RunTool, bootstrap: str) -> RunTool:
    """Runs a tool and returns what it printed; its exit status must be the expected one."""
    return functools.partial(tool_at, bootstrap)


def rows(table: str) -> list[dict[str, str]]:
    """The rows of the first table in a tool's output, by column."""
    lines = [line.split() for line in table.splitlines() if line.strip()]
    start = next(n for n, line in enumerate(lines) if line[0] in ("GROUP", "GROUP-ID"))
    return [dict(zip(lines[start], line, strict=False)) for line in lines[start + 1 :]]


def test_kafka_topics(tool: RunTool, unique: Unique) -> None:
    name = unique("topic")
    create = ["--create", "--topic", name, "--partitions", "2", "--config", "retention.ms=5000000"]
    assert f"Created topic {name}." in tool("kafka-topics", *create)
    assert "already exists" in tool("kafka-topics", *create, fails=True)
    assert name in tool("kafka-topics", "--list").split()
    described = tool("kafka-topics", "--describe", "--topic", name)
    assert "PartitionCount: 2" in described
    assert "ReplicationFactor: 1" in described
    assert "retention.ms=5000000" in described
    tool("kafka-topics", "--alter", "--topic", name, "--partitions", "3")
    assert "PartitionCount: 3" in tool("kafka-topics", "--describe", "--topic", name)
    tool("kafka-topics", "--delete", "--topic", name)
    assert name not in tool("kafka-topics", "--list").split()
    bad = tool("kafka-topics", "--create", "--topic", "no/such?name", fails=True)
    assert "is invalid" in bad


def test_console_producer_and_consumer(tool: RunTool, new_topic: NewTopicName) -> None:
    topic = new_topic()
    tool(
        "kafka-console-producer",
        *("--topic", topic, "--reader-property", "parse.key=true"),
        *("--reader-property", "parse.headers=true"),
        stdin=b"h1:v1,h2:v2\tk1\tgr\xc3\xb6\xc3\x9fe\nh:v\tk2\tsecond\n",
    )
    shown = tool(
        "kafka-console-consumer",
        *("--topic", topic, "--from-beginning", "--max-messages", "2"),
        *("--formatter-property", "print.key=true", "--formatter-property", "print.headers=true"),
        *("--formatter-property", "print.offset=true", "--timeout-ms", "20000"),
    )
    assert shown == "Offset:0\th1:v1,h2:v2\tk1\tgröße\nOffset:1\th:v\tk2\tsecond\n"


def test_kafka_consumer_groups(tool: RunTool, new_topic: NewTopicName, unique: Unique) -> None:
    topic, group = new_topic(), unique("group")
    tool("kafka-console-producer", "--topic", topic, stdin=b"a\nb\nc\n")
    tool(
        "kafka-console-consumer",
        *("--topic", topic, "--from-beginning", "--max-messages", "3"),
        *("--group", group, "--timeout-ms", "20000"),
    )
    assert group in tool("kafka-consumer-groups", "--list").split()
    of_group = ["--group", group]
    [row] = rows(tool("kafka-consumer-groups", "--describe", *of_group))
    assert (row["TOPIC"], row["CURRENT-OFFSET"], row["LOG-END-OFFSET"]) == (topic, "3", "3")
    state = tool("kafka-consumer-groups", "--describe", *of_group, "--state")
    assert "Empty" in state
    reset = ["--reset-offsets", "--to-offset", "1", "--topic", topic, "--execute"]
    [row] = rows(tool("kafka-consumer-groups", *of_group, *reset))
    assert row["NEW-OFFSET"] == "1"
    [row] = rows(tool("kafka-consumer-groups", "--describe", *of_group))
    assert row["LAG"] == "2"
    tool("kafka-consumer-groups", "--delete-offsets", *of_group, "--topic", topic)
    tool("kafka-consumer-groups", "--delete", *of_group)
    assert group not in tool("kafka-consumer-groups", "--list").split()


def test_kafka_configs(tool: RunTool, new_topic: NewTopicName) -> None:
    topic = new_topic()
    of_topic = ["--entity-type", "topics", "--entity-name", topic]
    tool("kafka-configs", "--alter", *of_topic, "--add-config", "retention.ms=6000000")
    assert "retention.ms=6000000" in tool("kafka-configs", "--describe", *of_topic)
    tool("kafka-configs", "--alter", *of_topic, "--delete-config", "retention.ms")
    assert "retention.ms" not in tool("kafka-configs", "--describe", *of_topic)
    every = tool("kafka-configs", "--describe", "--all", *of_topic)
    assert "retention.ms=604800000" in every
    bad = ["--add-config", "retention.ms=soon"]
    assert "InvalidConfiguration" in tool("kafka-configs", "--alter", *of_topic, *bad, fails=True)
    of_brokers = ["--entity-type", "brokers", "--entity-default"]
    tool("kafka-configs", "--alter", *of_brokers, "--add-config", "log.cleaner.threads=2")
    assert "log.cleaner.threads=2" in tool("kafka-configs", "--describe", *of_brokers)
    tool("kafka-configs", "--alter", *of_brokers, "--delete-config", "log.cleaner.threads")
    assert "log.cleaner.threads" not in tool("kafka-configs", "--describe", *of_brokers)


def test_kafka_get_offsets_and_delete_records(
    tool: RunTool, new_topic: NewTopicName, tmp_path: Any
) -> None:
    topic = new_topic()
    tool("kafka-console-producer", "--topic", topic, stdin=b"a\nb\nc\n")
    plan = {"partitions": [{"topic": topic, "partition": 0, "offset": 2}], "version": 1}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    deleted = tool("kafka-delete-records", "--offset-json-file", str(tmp_path / "plan.json"))
    assert f"partition: {topic}-0\tlow_watermark: 2" in deleted
    of_topic = ["--topic", topic, "--time"]
    assert tool("kafka-get-offsets", *of_topic, "earliest").strip() == f"{topic}:0:2"
    assert tool("kafka-get-offsets", *of_topic, "latest").strip() == f"{topic}:0:3"


def test_kafka_log_dirs(tool: RunTool, new_topic: NewTopicName) -> None:
    topic = new_topic(2)
    tool("kafka-console-producer", "--topic", topic, stdin=b"a\nb\nc\n")
    shown = tool("kafka-log-dirs", "--describe", "--topic-list", topic)
    document = next(line for line in shown.splitlines() if line.startswith("{"))
    [broker] = json.loads(document)["brokers"]
    [log_dir] = broker["logDirs"]
    assert log_dir["error"] is None
    partitions = {each["partition"]: each for each in log_dir["partitions"]}
    assert set(partitions) == {f"{topic}-0", f"{topic}-1"}
    assert sum(each["size"] for each in partitions.values()) > 0


def test_the_cluster_and_its_versions(tool: RunTool) -> None:
    assert "Cluster ID: " in tool("kafka-cluster", "cluster-id")
    versions = tool("kafka-broker-api-versions")
    assert "Produce(0): 0 to 13" in versions
    assert "Fetch(1): 4 to 18" in versions


def test_leader_election_and_reassignments(tool: RunTool, new_topic: NewTopicName) -> None:
    topic = new_topic()
    election = ["--election-type", "preferred", "--topic", topic, "--partition", "0"]
    assert "Valid replica already elected" in tool("kafka-leader-election", *election)
    listed = tool("kafka-reassign-partitions", "--list")
    assert "No partition reassignments found." in listed


def columns(table: str) -> list[dict[str, str]]:
    """The rows of kafka-transactions, whose columns are divided by tabs, by their headings."""
    head, *lines = [[cell.strip() for cell in line.split("\t")] for line in table.splitlines()]
    return [dict(zip(head, line, strict=True)) for line in lines if any(line)]


def test_kafka_transactions(
    tool: RunTool, bootstrap: str, new_topic: NewTopicName, unique: Unique
) -> None:
    topic, name = new_topic(2), unique("id")
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"v", partition=1)
    producer.flush()
    pattern = ["--transactional-id-pattern", name[:-1] + "."]
    [row] = columns(tool("kafka-transactions", "list", *pattern))
    assert (row["TransactionalId"], row["TransactionState"]) == (name, "Ongoing")
    assert not columns(tool("kafka-transactions", "list", "--duration-filter", "600000", *pattern))
    [row] = columns(tool("kafka-transactions", "describe", "--transactional-id", name))
    assert (row["TopicPartitions"], row["TransactionTimeoutMs"]) == (f"{topic}-1", "60000")
    at = ["--topic", topic, "--partition", "1"]
    [row] = columns(tool("kafka-transactions", "describe-producers", *at))
    assert row["CurrentTransactionStartOffset"] == "0"
    tool("kafka-transactions", "forceTerminateTransaction", "--transactionalId", name)
    [row] = columns(tool("kafka-transactions", "describe", "--transactional-id", name))
    assert row["TransactionState"] in ("PrepareAbort", "CompleteAbort", "Empty")
    unknown = ["--transactional-id", unique("nobody")]
    assert "not be found" in tool("kafka-transactions", "describe", *unknown, fails=True)
    producer.purge()


def test_a_hanging_transaction_is_found_and_aborted(
    tool_at: RunTool, own_broker: Callable[..., Any]
) -> None:
    broker = own_broker({"transaction.partition.verification.enable": "false"})
    tool = functools.partial(tool_at, broker.bootstrap_servers)
    tool("kafka-topics", "--create", "--topic", "t", "--partitions", "1")
    with Connection(broker.bootstrap_servers) as connection:
        init = {"transactional_id": "lost", "transaction_timeout_ms": 60_000}

        def initialised() -> Any:
            ask(connection, 10, 4, {"key_type": 1, "coordinator_keys": ["lost"]})
            granted = ask(connection, 22, 4, init)
            return granted if granted.error_code == 0 else None

        granted = eventually(initialised, what="a producer")
        batch = encode_batch(
            [Record(0, int(time.time() * 1000), b"k", b"v")],
            producer_id=granted.producer_id,
            producer_epoch=granted.producer_epoch,
            base_sequence=0,
            is_transactional=True,
        )
        # Without AddPartitionsToTxn: the coordinator never hears of it.
        data = {"name": "t", "partition_data": [{"index": 0, "records": batch}]}
        fields = {"transactional_id": "lost", "acks": -1, "timeout_ms": 9000, "topic_data": [data]}
        assert set(error_codes(ask(connection, 0, 9, fields), 9)) == {0}
    find = ["find-hanging", "--broker-id", "1", "--max-transaction-timeout", "0"]
    [row] = columns(tool("kafka-transactions", *find))
    assert (row["Topic"], row["Partition"], row["StartOffset"]) == ("t", "0", "0")
    at = ["--topic", "t", "--partition", "0"]
    tool("kafka-transactions", "abort", *at, "--start-offset", "0")
    assert not columns(tool("kafka-transactions", *find))
    [row] = columns(tool("kafka-transactions", "describe-producers", *at))
    assert row["CurrentTransactionStartOffset"] == "None"


def test_kafka_features(tool_at: RunTool, own_broker: Callable[..., Any]) -> None:
    broker = own_broker()
    tool = functools.partial(tool_at, broker.bootstrap_servers, "kafka-features")

    def level() -> str:
        [line] = [each for each in tool("describe").splitlines() if "transaction.version" in each]
        assert "SupportedMinVersion: 0" in line
        assert "SupportedMaxVersion: 2" in line
        return line.split("FinalizedVersionLevel: ")[1].split()[0]

    def feature(level: int) -> list[str]:
        return ["--feature", f"transaction.version={level}"]

    assert level() == "2"
    assert "can be downgraded to 1" in tool("downgrade", *feature(1), "--dry-run")
    assert level() == "2"
    tool("downgrade", *feature(1))
    assert level() == "1"
    assert "only supports versions 0-2" in tool("upgrade", *feature(9), fails=True)
    tool("downgrade", *feature(2), fails=True)
    tool("upgrade", *feature(2))
    assert level() == "2"
    tool("disable", "--feature", "transaction.version")
    assert level() == "0"


@pytest.mark.slow
def test_a_log_file_comes_back_byte_for_byte(bootstrap: str, new_topic: NewTopicName) -> None:
    topic = new_topic()
    lines = b"".join(b"2026-05-22 line %d: %s\n" % (n, b"x" * (n % 200)) for n in range(25_000))
    at = ["--bootstrap-server", bootstrap, "--topic", topic]
    run_tool(JAVA_TOOLS["kafka-console-producer"], at, stdin=lines)
    limit = ["--from-beginning", "--max-messages", "25000", "--timeout-ms", "30000"]
    assert run_tool(JAVA_TOOLS["kafka-console-consumer"], [*at, *limit]).stdout == lines


def test_kafka_consumer_groups_of_the_new_protocol(
    tool: RunTool, new_topic: NewTopicName, unique: Unique, member: Callable[..., Any]
) -> None:
    topic, group = new_topic(), unique("group")
    one = member("confluent-kafka", group=group, topics=[topic], protocol="consumer")
    eventually(lambda: one.assignment == {f"{topic}-0"}, what="the member consumes")
    of_group = ["--describe", "--group", group]

    def is_stable() -> bool:
        [row] = rows(tool("kafka-consumer-groups", *of_group, "--state", "--verbose"))
        shown = (row["STATE"], row["ASSIGNMENT-STRATEGY"], row["#MEMBERS"])
        return shown == ("Stable", "uniform", "1") and row["GROUP-EPOCH"] == "1"

    eventually(is_stable, what="the state")
    [row] = rows(tool("kafka-consumer-groups", *of_group, "--members", "--verbose"))
    assert (row["CURRENT-EPOCH"], row["TARGET-EPOCH"]) == ("1", "1")
    assert row["CURRENT-ASSIGNMENT"] == row["TARGET-ASSIGNMENT"] == f"{topic}:0"
    listed = rows(tool("kafka-consumer-groups", "--list", "--state", "--type"))
    assert [row["TYPE"] for row in listed if row["GROUP"] == group] == ["Consumer"]
    assert group in tool("kafka-consumer-groups", "--list", "--type", "consumer").split()
    assert group not in tool("kafka-consumer-groups", "--list", "--type", "classic").split()
    assert "is not empty" in tool("kafka-consumer-groups", "--delete", "--group", group)
    one.leave()
    tool("kafka-consumer-groups", "--delete", "--group", group)
    assert group not in tool("kafka-consumer-groups", "--list").split()


def test_a_group_can_be_configured(tool: RunTool, unique: Unique) -> None:
    of_group = ["--entity-type", "groups", "--entity-name", unique("group")]
    change = ["--add-config", "consumer.session.timeout.ms=50000"]
    tool("kafka-configs", "--alter", *of_group, *change)
    assert "consumer.session.timeout.ms=50000" in tool("kafka-configs", "--describe", *of_group)
    bad = ["--add-config", "consumer.session.timeout.ms=5"]
    assert "InvalidConfiguration" in tool("kafka-configs", "--alter", *of_group, *bad, fails=True)
