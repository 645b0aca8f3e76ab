"""Moving partitions and electing leaders, where there are several brokers: Java's tools and ours.

Each side plays the whole scene with topics of its own, one side after the other: throttles belong
to brokers, so that two moves at a time would disturb each other.
"""

from __future__ import annotations

import json
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ottla
from ottla.testing.apache_cluster import ApacheCluster
from ottla.testing.kafka_tools import Comparison, JavaTools, Outcome
from ottla.testing.tool_invocations import SUFFIXES, SideBySide
from ottla.testing.waiting import eventually

pytestmark = [pytest.mark.jvm, pytest.mark.slow, pytest.mark.timeout(400)]

REASSIGN = "kafka-reassign-partitions $S"
ELECT = "kafka-leader-election $S"
# Which replica order is proposed, and in which order a broker's followers joined, is chance.
MASKS = {r'"replicas":\[[\d,]*\]': '"replicas":[...]', r"Isr: [\d,]+": "Isr: ..."}
SETTLING_SECONDS = 30


@pytest.fixture(scope="module")
def cluster() -> Iterator[ApacheCluster]:
    # Leaders move when a tool says so, and only then.
    with ApacheCluster({"auto.leader.rebalance.enable": "false"}) as running:
        yield running


@pytest.fixture(scope="module")
def both(cluster: ApacheCluster, java: JavaTools, files: pathlib.Path) -> SideBySide:
    variables = {"S": f"--bootstrap-server {cluster.bootstrap_servers}", "DIR": str(files)}
    return SideBySide(java, variables)


def plan(topic: str, *replicas: list[int]) -> dict[str, Any]:
    partitions = [
        {"topic": topic, "partition": number, "replicas": each}
        for number, each in enumerate(replicas)
    ]
    return {"version": 1, "partitions": partitions}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    directory = tmp_path_factory.mktemp("plans")
    for suffix in SUFFIXES:
        topic = f"move{suffix}"
        contents = {
            "topics": {"version": 1, "topics": [{"topic": topic}]},
            "move": plan(topic, [3, 2], [3, 1]),
            "grow": plan(topic, [3, 2, 1]),
            "elect": {"partitions": [{"topic": topic, "partition": 1}]},
        }
        for name, content in contents.items():
            (directory / f"{name}{suffix}.json").write_text(json.dumps(content))
    return directory


Run = Callable[[str], Outcome]


class Scene:
    """What one side does, line by line, and what came of it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.said: list[tuple[str, Outcome]] = []

    def do(self, line: str) -> Outcome:
        outcome = self._run(line)
        self.said.append((line, outcome))
        return outcome

    def do_until(self, line: str, is_over: Callable[[Outcome], bool]) -> Outcome:
        """Repeat what only looks; the last look counts."""
        deadline = time.monotonic() + SETTLING_SECONDS
        while True:
            outcome = self._run(line)
            if is_over(outcome) or time.monotonic() > deadline:
                self.said.append((line, outcome))
                return outcome
            time.sleep(0.1)


def play(scene: Callable[[Scene], None], both: SideBySide, comparison: Comparison) -> list[str]:
    """Both sides, one after the other; returns what was not the same."""
    sides = [
        Scene(lambda line, run=run: run(line, MASKS)) for run in (both.run_java, both.run_ours)
    ]
    for side in sides:
        scene(side)
    found = []
    for (line, of_java), (_, of_ours) in zip(*(side.said for side in sides), strict=True):
        if differences := comparison.differences(of_java, of_ours):
            found += [line, *(f"    {each}" for each in differences)]
    return found


def fill(cluster: ApacheCluster, topic: str) -> None:
    """More than a follower gets before its throttle sets in."""
    settings = {"bootstrap.servers": cluster.bootstrap_servers}
    with ottla.Producer(settings) as producer:
        for partition in range(2):
            producer.produce_lines(topic, (b"x" * 1000 + b"\n") * 8000, partition=partition)


def leader(cluster: ApacheCluster, topic: str) -> tuple[int, set[int]]:
    """The leader of a topic's first partition, and who is in sync."""
    with ottla.AdminClient({"bootstrap.servers": cluster.bootstrap_servers}) as admin:
        found = admin.list_topics(topic, timeout=30).topics[topic].partitions.get(0)
    return (found.leader, set(found.isrs)) if found is not None else (-1, set())


def test_partitions_are_moved(
    cluster: ApacheCluster, both: SideBySide, comparison: Comparison
) -> None:
    turn = iter(SUFFIXES)

    def scene(side: Scene) -> None:
        move = f"{REASSIGN} --reassignment-json-file $DIR/move@.json"
        config = "kafka-configs $S --describe --entity-type"
        topic = f"move{next(turn)}"
        side.do(
            "kafka-topics $S --create --if-not-exists --topic move@ --replica-assignment 1:2,2:1"
        )
        eventually(lambda: leader(cluster, topic)[0] == 1, what="a leader")
        fill(cluster, topic)
        generate = f"{REASSIGN} --generate --topics-to-move-json-file $DIR/topics@.json"
        side.do(f"{generate} --broker-list 1,2,3")
        side.do(f"{generate} --broker-list 1,2,3 --disable-rack-aware")
        side.do(f"{generate} --broker-list 9")
        side.do(f"{move} --verify")
        side.do(f"{move} --execute --throttle 1")
        side.do_until(f"{REASSIGN} --list", lambda said: "adding" in said.stdout)
        side.do(f"{move} --execute --throttle 2")
        side.do(f"{move} --execute --throttle 2 --additional")
        side.do(f"{config} topics --entity-name move@")
        side.do(f"{config} brokers --entity-name 3")
        side.do(f"{move} --verify")
        side.do(f"{move} --cancel --preserve-throttles")
        side.do_until(f"{REASSIGN} --list", lambda said: "No partition" in said.stdout)
        side.do(f"{config} topics --entity-name move@")
        side.do(f"{move} --cancel")
        side.do_until(f"{config} topics --entity-name move@", lambda said: "=" not in said.stdout)
        side.do(f"{config} brokers --entity-name 3")
        side.do(
            f"{REASSIGN} --reassignment-json-file $DIR/grow@.json --execute "
            "--disallow-replication-factor-change"
        )
        side.do(f"{move} --execute")
        side.do_until(f"{move} --verify", lambda said: said.stdout.count("is completed") == 2)
        side.do_until(
            "kafka-topics $S --describe --topic move@",
            lambda said: "Replicas: 3,2" in said.stdout and "Leader: 3" in said.stdout,
        )
        side.do(f"{ELECT} --election-type preferred --path-to-json-file $DIR/elect@.json")
        side.do("kafka-topics $S --delete --topic move@")

    found = play(scene, both, comparison)
    assert not found, "\n".join(found)


def test_leaders_are_elected(
    cluster: ApacheCluster, both: SideBySide, comparison: Comparison
) -> None:
    topics = [f"{name}{suffix}" for name in ("tidy", "unclean") for suffix in SUFFIXES]
    found: list[str] = []

    def same(line: str) -> None:
        if differences := both.differences(line, MASKS):
            found.extend([line, *(f"    {each}" for each in differences)])

    for name, replicas in (("tidy", "3:1"), ("unclean", "3:2")):
        config = "--if-not-exists --config min.insync.replicas=1"
        same(f"kafka-topics $S --create --topic {name}@ --replica-assignment {replicas} {config}")
    for topic in topics:
        eventually(
            lambda topic=topic: (
                leader(cluster, topic)[1] == ({3, 1} if "tidy" in topic else {3, 2})
            ),
            timeout_seconds=30,
            what="replicas in sync",
        )
    preferred = f"{ELECT} --election-type preferred --partition 0"
    same(f"{preferred} --topic tidy@")
    first, second, third = cluster.nodes
    assert first.is_running
    third.kill()
    for topic in topics:
        eventually(
            lambda topic=topic: leader(cluster, topic) in [(1, {1}), (2, {2})],
            timeout_seconds=60,
            what="the leader moves",
        )
    same(f"{preferred} --topic tidy@")
    second.kill()
    third.start()
    for topic in topics[2:]:
        eventually(
            lambda topic=topic: leader(cluster, topic)[0] == -1,
            timeout_seconds=60,
            what="no leader",
        )
    same(f"{preferred} --topic unclean@")
    same(f"{ELECT} --election-type unclean --topic unclean@ --partition 0")
    for topic in topics[:2]:
        eventually(
            lambda topic=topic: 3 in leader(cluster, topic)[1], timeout_seconds=60, what="in sync"
        )
    same(f"{preferred} --topic tidy@")
    second.start()
    assert not found, "\n".join(found)


# What the documents print, in the order it makes sense to type it: what follows ``<`` is standard
# input, ``...`` stands for a tool that goes on until it is interrupted.
READ_ONE = "kafka-console-consumer $S --from-beginning --max-messages 1"
PRINTED = (
    ("kafka-topics.sh --create --topic orders $S --partitions 3 --replication-factor 2", "orders"),
    ("kafka-topics.sh --list $S", "orders"),
    ("kafka-topics.sh --describe --topic orders $S", "PartitionCount: 3"),
    (
        "kafka-topics.sh --create --topic demo-topic $S --partitions 3 --replication-factor 1",
        "demo",
    ),
    ("kafka-topics.sh --describe --topic demo-topic $S", "Partition: 2"),
    ("kafka-console-producer.sh --topic demo-topic $S < one", ""),
    ("kafka-console-consumer.sh --topic demo-topic $S --from-beginning ...", "one"),
    (
        "kafka-console-consumer.sh --topic demo-topic $S --from-beginning "
        "--property print.partition=true --property print.offset=true ...",
        r"Partition:\d\tOffset:0\tone",
    ),
    ("kafka-console-producer $S --topic my_topic < two", ""),
    ("kafka-console-consumer $S --topic my_topic ...", "two"),
    ("kafka-console-producer.sh --topic orders $S < three", ""),
    (f"{READ_ONE} --topic orders --group order-processors", "three"),
    ("kafka-consumer-groups.sh $S --describe --group order-processors", "orders +[012]"),
    (f"{READ_ONE} --topic demo-topic --group my-group", "one"),
    ("kafka-consumer-groups.sh --list $S", "my-group"),
    ("kafka-consumer-groups.sh --describe --group my-group $S", "demo-topic +[012]"),
    (
        "kafka-consumer-groups.sh --reset-offsets --group my-group --topic demo-topic "
        "--to-earliest --execute $S",
        "demo-topic +[012] +0",
    ),
    (f"{READ_ONE} --topic demo-topic --group foo", "one"),
    ("kafka-consumer-groups $S --list", "foo"),
    ("kafka-consumer-groups $S --describe --group foo", "foo +demo-topic"),
)


@pytest.mark.parametrize("where", ["ours", "three nodes of Apache Kafka"])
def test_what_documents_print_works(where: str, request: pytest.FixtureRequest) -> None:
    """As printed, but for the address and what is typed into a producer."""
    if where == "ours":
        servers = request.getfixturevalue("own_broker")().bootstrap_servers
    else:
        servers = request.getfixturevalue("cluster").bootstrap_servers
    for line, expected in PRINTED:
        if where == "ours":
            # There is one broker, which is what both tools would say.
            line = line.replace("--replication-factor 2", "--replication-factor 1")
        typed(line.replace("$S", f"--bootstrap-server {servers}"), expected, servers)


def typed(line: str, expected: str, servers: str) -> None:
    """Run a line as the installed program that it names."""
    line, _, text = line.partition(" < ")
    name, *words = line.removesuffix(" ...").split()
    command = [str(pathlib.Path(sys.executable).with_name(name)), *words]
    if not line.endswith(" ..."):
        done = subprocess.run(
            command, input=f"{text}\n", capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        assert re.search(expected, done.stdout), (line, done.stdout, done.stderr)
        return
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as run:
        assert run.stdout is not None
        shown = threading.Event()
        if "from-beginning" not in line:
            # It shows what comes from now on: something has to come.
            threading.Thread(target=trickle, args=(servers, shown), daemon=True).start()
        try:
            # Warnings come first.
            shown_lines = iter(run.stdout.readline, "")
            first = next((each for each in shown_lines if re.search(expected, each)), None)
        finally:
            shown.set()
            run.send_signal(signal.SIGINT)
        _, told = run.communicate(timeout=30)
        assert first is not None, (line, told)
        assert run.returncode == 130, told
        assert "Traceback" not in told


def trickle(servers: str, is_enough: threading.Event) -> None:
    """Produce to my_topic again and again."""
    with ottla.Producer({"bootstrap.servers": servers}) as producer:
        while not is_enough.wait(0.2):
            producer.produce("my_topic", b"two")
            producer.flush(10)
