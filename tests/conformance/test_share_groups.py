"""Share groups (KIP-932) with Apache Kafka's Java clients and tools, and with confluent-kafka."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import AcknowledgeType, Message, Producer, ShareConsumer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from ottla.testing.apache_kafka import PEERS_DIRECTORY, ApacheKafka, java_command, run_tool
from ottla.testing.process import BrokerProcess

# Locks and sessions are to run out, and members to hear of changes, within a second or so.
SETTINGS = {
    "group.share.heartbeat.interval.ms": "500",
    "group.share.min.heartbeat.interval.ms": "500",
    "group.share.session.timeout.ms": "5000",
    "group.share.min.session.timeout.ms": "1000",
    "group.share.min.record.lock.duration.ms": "1000",
}
SCENARIOS = [
    "implicit_acknowledgement",
    "accept_release_reject",
    "delivery_count_limit",
    "lock_that_runs_out",
    "renewed_lock",
    "several_consumers",
    "close_releases",
    "record_limit",
    "read_committed",
    "start_at_the_end",
    "administration",
]
Target = BrokerProcess | ApacheKafka
MakeTarget = Callable[..., Target]


@pytest.fixture(scope="module")
def sharing(new_target: MakeTarget) -> Iterator[Target]:
    """A broker with settings that suit share groups."""
    with new_target(SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def outcomes(sharing: Target) -> dict[str, str | None]:
    """Scenario of ``java/ShareScenarios.java`` -> the error it ended with, or None."""
    classes = PEERS_DIRECTORY / "java-classes"
    result = subprocess.run(
        java_command("ShareScenarios", [sharing.bootstrap_servers], extra_classpath=[classes]),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    # The clients' own log goes to stdout too.
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return {line["scenario"]: line["error"] for line in lines}


@pytest.mark.jvm
def test_every_java_scenario_stands_here(outcomes: dict[str, str | None]) -> None:
    assert sorted(outcomes) == sorted(SCENARIOS)


@pytest.mark.jvm
@pytest.mark.timeout(180)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_java(scenario: str, outcomes: dict[str, str | None]) -> None:
    assert outcomes[scenario] is None, outcomes[scenario]


class Group:
    """A topic with one partition, and a share group that reads it from its start."""

    def __init__(self, bootstrap: str, **configs: str) -> None:
        self.bootstrap = bootstrap
        suffix = uuid.uuid4().hex[:8]
        self.topic, self.name = f"shared-{suffix}", f"sharing-{suffix}"
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        [created] = self.admin.create_topics([NewTopic(self.topic, 1, 1)]).values()
        created.result(20)
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in {"share.auto.offset.reset": "earliest", **configs}.items()
        ]
        resource = ConfigResource(ResourceType.GROUP, self.name, incremental_configs=entries)
        [altered] = self.admin.incremental_alter_configs([resource]).values()
        altered.result(20)

    def produce(self, *values: str) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap})
        for value in values:
            producer.produce(self.topic, value)
        assert producer.flush(20) == 0

    def consumer(self, mode: str = "implicit") -> ShareConsumer:
        consumer = ShareConsumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": self.name,
                "share.acknowledgement.mode": mode,
            }
        )
        consumer.subscribe([self.topic])
        return consumer


def poll(consumer: ShareConsumer, count: int) -> list[Message]:
    """What comes, until there is so much."""
    got: list[Message] = []
    for _ in range(100):
        got += [each for each in consumer.poll(0.2) if each.error() is None]
        if len(got) >= count:
            break
    assert len(got) == count
    return got


def values(messages: list[Message]) -> list[str]:
    return [each.value().decode() for each in messages]


def test_confluent_consumers_get_each_record_once(sharing: Target) -> None:
    group = Group(sharing.bootstrap_servers)
    group.produce(*"abcdefgh")
    with group.consumer() as consumer:
        assert values(poll(consumer, 8)) == list("abcdefgh")
        consumer.commit_sync()
    group.produce("i")
    with group.consumer() as consumer:
        assert values(poll(consumer, 1)) == ["i"]


def test_confluent_consumers_accept_release_and_reject(sharing: Target) -> None:
    group = Group(sharing.bootstrap_servers)
    group.produce("accepted", "released", "rejected")
    with group.consumer("explicit") as consumer:
        kinds = [AcknowledgeType.ACCEPT, AcknowledgeType.RELEASE, AcknowledgeType.REJECT]
        for message, kind in zip(poll(consumer, 3), kinds, strict=True):
            consumer.acknowledge(message, kind)
        consumer.commit_sync()
        [again] = poll(consumer, 1)
        assert values([again]) == ["released"]
        consumer.acknowledge(again)
        consumer.commit_sync()
    group.produce("new")
    with group.consumer() as consumer:
        assert values(poll(consumer, 1)) == ["new"]


def test_what_was_acknowledged_is_not_delivered_after_a_crash(
    own_broker: MakeTarget,
) -> None:
    broker = own_broker(SETTINGS)
    group = Group(broker.bootstrap_servers)
    group.produce("accepted", "released", "held")
    consumer = group.consumer("explicit")
    accepted, released, _ = poll(consumer, 3)
    consumer.acknowledge(accepted)
    consumer.acknowledge(released, AcknowledgeType.RELEASE)
    consumer.commit_sync()
    broker.kill()
    broker.start()
    with group.consumer("explicit") as other:
        assert sorted(values(poll(other, 2))) == ["held", "released"]
    consumer.close()


DYING_MEMBER = """
import sys
from confluent_kafka import ShareConsumer
bootstrap, group, topic = sys.argv[1:]
mode = {"share.acknowledgement.mode": "explicit"}
consumer = ShareConsumer({"bootstrap.servers": bootstrap, "group.id": group, **mode})
consumer.subscribe([topic])
while not consumer.poll(0.2):
    pass
print("held", flush=True)
sys.stdin.read()
"""


def test_the_records_of_a_consumer_that_dies_go_to_others(sharing: Target) -> None:
    group = Group(sharing.bootstrap_servers)
    group.produce("a", "b")
    arguments = [sharing.bootstrap_servers, group.name, group.topic]
    with subprocess.Popen(
        [sys.executable, "-c", DYING_MEMBER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as member:
        assert member.stdout is not None
        assert member.stdout.readline() == "held\n"
        member.kill()
    # Long before its locks run out, which takes 30 s.
    with group.consumer() as consumer:
        assert values(poll(consumer, 2)) == ["a", "b"]


@pytest.mark.jvm
def test_kafka_share_groups_tool(sharing: Target) -> None:
    group = Group(sharing.bootstrap_servers)
    group.produce("a", "b", "c")
    with group.consumer() as consumer:
        poll(consumer, 3)
        consumer.commit_sync()

    def tool(*arguments: str) -> str:
        command = "org.apache.kafka.tools.consumer.group.ShareGroupCommand"
        bootstrap = ["--bootstrap-server", sharing.bootstrap_servers]
        result = run_tool(command, [*bootstrap, *arguments])
        return result.stdout.decode()

    assert group.name in tool("--list").split()
    described = tool("--describe", "--group", group.name)
    row = next(line.split() for line in described.splitlines() if group.topic in line)
    assert (row[:3], row[4]) == ([group.name, group.topic, "0"], "0")
    reset = ["--reset-offsets", "--to-earliest", "--topic", group.topic, "--execute"]
    assert group.topic in tool("--group", group.name, *reset)
    with group.consumer() as consumer:
        assert values(poll(consumer, 3)) == ["a", "b", "c"]
    assert "was successful" in tool("--delete", "--group", group.name)
    assert group.name not in tool("--list").split()


@pytest.mark.jvm
def test_console_share_consumer(sharing: Target) -> None:
    group = Group(sharing.bootstrap_servers)
    group.produce("a", "b", "c")
    result = run_tool(
        "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
        [
            *("--bootstrap-server", sharing.bootstrap_servers),
            *("--topic", group.topic, "--group", group.name),
            *("--max-messages", "3", "--timeout-ms", "20000"),
        ],
    )
    assert result.stdout.decode().split() == ["a", "b", "c"]


@pytest.mark.jvm
def test_kafka_reads_the_records_of_share_groups() -> None:
    with BrokerProcess(settings=SETTINGS) as broker:
        group = Group(broker.bootstrap_servers)
        group.produce("accepted", "rejected", "accepted", "held")
        with group.consumer("explicit") as consumer:
            kinds = [AcknowledgeType.ACCEPT, AcknowledgeType.REJECT, AcknowledgeType.ACCEPT]
            for message, kind in zip(poll(consumer, 4), kinds, strict=False):
                consumer.acknowledge(message, kind)
            consumer.commit_sync()
        broker.stop()

        def decoded(topic: str, decoder: str) -> str:
            logs = [
                str(log)
                for log in broker.data_directory.glob(f"**/{topic}-*/*.log")
                if log.stat().st_size > 0
            ]
            arguments = ["--files", ",".join(logs), decoder]
            return run_tool("org.apache.kafka.tools.DumpLogSegments", arguments).stdout.decode()

        state = decoded("__share_group_state", "--share-group-state-decoder")
        assert f'"groupId":"{group.name}"' in state
        # A snapshot when the state begins, then updates.
        for field in ('"createTimestamp":', '"deliveryState":2', '"deliveryState":4'):
            assert field in state
        membership = decoded("__consumer_offsets", "--offsets-decoder")
        for field in ('"initializedTopics":', '"subscribedTopicNames":', '"assignmentEpoch":'):
            assert field in membership
