"""Share groups (KIP-932) with Apache Kafka's Java clients and tools, and with confluent-kafka."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

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

from ottla import ShareConsumer as OurShareConsumer
from ottla.testing.apache_kafka import PEERS_DIRECTORY, ApacheKafka, java_command, run_tool
from ottla.testing.kafka_tools import run_ours
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
    """A topic, and a share group that reads it from its start."""

    def __init__(self, bootstrap: str, partitions: int = 1, **configs: str) -> None:
        self.bootstrap = bootstrap
        suffix = uuid.uuid4().hex[:8]
        self.topic, self.name = f"shared-{suffix}", f"sharing-{suffix}"
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        [created] = self.admin.create_topics([NewTopic(self.topic, partitions, 1)]).values()
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

    def consumer(self, mode: str = "implicit", kind: Any = ShareConsumer) -> Any:
        """A member, of confluent_kafka's kind unless told otherwise."""
        consumer = kind(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": self.name,
                "share.acknowledgement.mode": mode,
            }
        )
        consumer.subscribe([self.topic])
        return consumer


def poll(consumer: Any, count: int) -> list[Any]:
    """What comes, until there is so much."""
    got: list[Message] = []
    for _ in range(100):
        got += [each for each in consumer.poll(0.2) if each.error() is None]
        if len(got) >= count:
            break
    assert len(got) == count
    return got


def values(messages: list[Any]) -> list[str]:
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
from {library} import ShareConsumer
bootstrap, group, topic = sys.argv[1:]
mode = {{"share.acknowledgement.mode": "explicit"}}
consumer = ShareConsumer({{"bootstrap.servers": bootstrap, "group.id": group, **mode}})
consumer.subscribe([topic])
while not consumer.poll(0.2):
    pass
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("library", ["confluent_kafka", "ottla"])
def test_the_records_of_a_consumer_that_dies_go_to_others(sharing: Target, library: str) -> None:
    group = Group(sharing.bootstrap_servers)
    group.produce("a", "b")
    arguments = [sharing.bootstrap_servers, group.name, group.topic]
    with subprocess.Popen(
        [sys.executable, "-c", DYING_MEMBER.format(library=library), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as member:
        assert member.stdout is not None
        assert member.stdout.readline() == "held\n"
        member.kill()
    # Long before its locks run out, which takes 30 s.
    other = OurShareConsumer if library == "confluent_kafka" else ShareConsumer
    with group.consumer(kind=other) as consumer:
        again = poll(consumer, 2)
        assert [(each.value(), each.delivery_count()) for each in again] == [(b"a", 2), (b"b", 2)]


@pytest.mark.parametrize(
    ("first", "second"), [(OurShareConsumer, ShareConsumer), (ShareConsumer, OurShareConsumer)]
)
def test_what_one_library_gives_back_the_other_gets(
    sharing: Target, first: Any, second: Any
) -> None:
    group = Group(sharing.bootstrap_servers)
    group.produce("accepted", "released", "rejected")

    def seen(message: Any) -> tuple[str, int]:
        return message.value().decode(), message.delivery_count()

    with group.consumer("explicit", first) as consumer:
        for message, kind in zip(poll(consumer, 3), AcknowledgeType, strict=False):
            consumer.acknowledge(message, kind)
        assert list(consumer.commit_sync().values()) == [None]
        assert [seen(each) for each in poll(consumer, 1)] == [("released", 2)]
        # What it still holds goes back when it is closed.
    with group.consumer("implicit", second) as consumer:
        assert [seen(each) for each in poll(consumer, 1)] == [("released", 3)]
        assert list(consumer.commit_sync().values()) == [None]
    group.produce("new")
    with group.consumer("implicit", first) as consumer:
        assert [seen(each) for each in poll(consumer, 1)] == [("new", 1)]


def drain(consumer: Any, got: list[str], stop: threading.Event) -> None:
    """Take what comes, a while after everything was produced."""
    with consumer:
        while not stop.is_set():
            for message in consumer.poll(0.2):
                assert message.error() is None, message.error()
                got.append(message.value().decode())


@pytest.mark.jvm
@pytest.mark.timeout(180)
def test_members_of_three_libraries_share_the_records_of_a_topic(sharing: Target) -> None:
    group = Group(sharing.bootstrap_servers, partitions=2)
    kinds = {"ours": OurShareConsumer, "confluent": ShareConsumer}
    got: dict[str, list[str]] = {name: [] for name in (*kinds, "java")}
    stop = threading.Event()
    threads = [
        threading.Thread(target=drain, args=(group.consumer(kind=kind), got[name], stop))
        for name, kind in kinds.items()
    ]
    command = java_command(
        "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
        [
            *("--bootstrap-server", group.bootstrap, "--topic", group.topic),
            *("--group", group.name, "--timeout-ms", "5000"),
        ],
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as java:
        assert java.stdout is not None
        lines = java.stdout
        threads.append(
            threading.Thread(
                target=lambda: got["java"].extend(line.decode().strip() for line in lines)
            )
        )
        for thread in threads:
            thread.start()
        sent = 0
        deadline = time.monotonic() + 90
        while min(map(len, got.values())) == 0 or sum(map(len, got.values())) < sent:
            assert time.monotonic() < deadline, {name: len(each) for name, each in got.items()}
            if min(map(len, got.values())) == 0:
                group.produce(*(str(number) for number in range(sent, sent + 10)))
                sent += 10
            stop.wait(0.1)
        stop.set()
        for thread in threads:
            thread.join()
    everything = [value for each in got.values() for value in each]
    assert sorted(everything, key=int) == [str(number) for number in range(sent)]


def test_our_tool_takes_part(sharing: Target) -> None:
    group = Group(sharing.bootstrap_servers)
    group.produce("accepted", "not a number", "1234")
    words = ["--bootstrap-server", group.bootstrap, "--topic", group.topic, "--group", group.name]

    def tool(*more: str) -> tuple[str, str]:
        outcome = run_ours("kafka-console-share-consumer", [*words, *more])
        assert outcome.status == 0, outcome.stderr
        return outcome.stdout, outcome.stderr

    counted = ["--formatter-property", "print.delivery=true"]
    assert tool("--max-messages", "1")[0] == "accepted\n"
    assert tool("--max-messages", "1", "--release", *counted)[0] == "Delivery:2\tnot a number\n"
    numbers = ["--value-deserializer", "IntegerDeserializer", "--reject-message-on-error"]
    shown, told = tool("--max-messages", "2", *numbers)
    assert shown == "825373492\n"
    assert "rejected a record: Size of data received by IntegerDeserializer is not 4" in told
    assert tool("--timeout-ms", "500")[0] == ""


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
