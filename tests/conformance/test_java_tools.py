"""Kafka's own command-line tools, run by one JVM (``java/ToolServer.java``).

The byte-for-byte test alone starts the console producer and consumer as a user does.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ottla.testing.apache_kafka import (
    PEERS_DIRECTORY,
    java_command,
    run_tool,
)

pytestmark = pytest.mark.jvm

TOOLS = {
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
}
NewTopicName = Callable[..., str]
Unique = Callable[[str], str]
RunTool = Callable[..., str]


class ToolServer:
    """The JVM that runs the tools."""

    def __init__(self) -> None:
        command = java_command(
            "ToolServer",
            extra_classpath=[PEERS_DIRECTORY / "java-classes"],
        )
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, main_class: str, arguments: list[str], stdin: bytes) -> tuple[int, bytes, bytes]:
        request = {
            "main": main_class,
            "arguments": arguments,
            "stdin": base64.b64encode(stdin).decode(),
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        outputs = (base64.b64decode(answer[name]) for name in ("stdout", "stderr"))
        return (answer["status"], *outputs)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def server() -> Iterator[ToolServer]:
    made = ToolServer()
    yield made
    made.close()


@pytest.fixture
def tool(server: ToolServer, bootstrap: str) -> RunTool:
    """Runs a tool and returns what it printed; its exit status must be the expected one."""

    def run(name: str, *arguments: str, stdin: bytes = b"", fails: bool = False) -> str:
        words = [*arguments, "--bootstrap-server", bootstrap]
        status, output, errors = server.run(TOOLS[name], words, stdin)
        said = output.decode(), errors.decode()
        assert bool(status) == fails, said
        return "\n".join(said) if fails else said[0]

    return run


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


@pytest.mark.slow
def test_a_log_file_comes_back_byte_for_byte(bootstrap: str, new_topic: NewTopicName) -> None:
    topic = new_topic()
    lines = b"".join(b"2026-05-22 line %d: %s\n" % (n, b"x" * (n % 200)) for n in range(25_000))
    at = ["--bootstrap-server", bootstrap, "--topic", topic]
    run_tool(TOOLS["kafka-console-producer"], at, stdin=lines)
    limit = ["--from-beginning", "--max-messages", "25000", "--timeout-ms", "30000"]
    assert run_tool(TOOLS["kafka-console-consumer"], [*at, *limit]).stdout == lines
