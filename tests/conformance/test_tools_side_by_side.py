"""Java's command-line tools and ours: the same words, the same cluster, the same outcome.

``invocations/*.txt`` hold command lines as ``ottla.testing.tool_invocations`` reads them, in the
order they run, Java's tool first. ``$S`` stands for ``--bootstrap-server HOST:PORT``, ``$B`` for
the address alone, ``$DIR`` for a directory with the files below.
:class:`~ottla.testing.kafka_tools.Comparison` says what may differ.
"""

from __future__ import annotations

import json
import pathlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from ottla.testing.kafka_tools import Comparison, JavaTools, Outcome, run_ours
from ottla.testing.tool_invocations import SUFFIXES, SideBySide, without_sides

pytestmark = [pytest.mark.jvm, pytest.mark.slow]

INVOCATIONS = sorted((pathlib.Path(__file__).parent / "invocations").glob("*.txt"))
NUMBERS = {
    r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[:.]\d+": "<time>",
    r"(?<!exit )-?\b(\d+(?:[.,]\d+)*(?:E-?\d+)?|NaN|Infinity)\b": "<number>",
}
PARTITION = {"topic": "data", "partition": 0}
FILES = {
    "plan.csv": "data,0,3\ndata,2,4\n",
    "conf.properties": "# comment\nretention.ms = 1234000\nsegment.bytes:2097152\n",
    "dr.json": {"partitions": [{"topic": "other", "partition": 0, "offset": 1}], "version": 1},
    "dr3.json": {"partitions": [{"topic": "other", "partition": 0, "offset": 100}]},
    "dup.json": {"partitions": [PARTITION | {"offset": 1}] * 2, "version": 1},
    "empty.json": {},
    "topics.json": {"topics": [{"topic": "data"}], "version": 1},
    "notopic.json": {"topics": [{"topic": "nope"}], "version": 1},
    "re.json": {"partitions": [PARTITION | {"replicas": [1], "log_dirs": ["any"]}]},
    "re9.json": {"partitions": [PARTITION | {"replicas": [9]}]},
    "redup.json": {"partitions": [PARTITION | {"replicas": [1, 1]}]},
    "renope.json": {"partitions": [{"topic": "nope", "partition": 0, "replicas": [1]}]},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    directory = tmp_path_factory.mktemp("files")
    for name, content in FILES.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (directory / name).write_text(text)
    return directory


@pytest.fixture(scope="module")
def broker(new_target: Callable[[dict[str, str]], Any]) -> Iterator[Any]:
    with new_target({}) as running:
        yield running


@pytest.fixture(scope="module")
def log_directory(broker: Any, server: str) -> pathlib.Path:
    """Where the broker keeps its data."""
    found: pathlib.Path = getattr(broker, "data_directory", None) or broker.log_directory
    return found


@pytest.fixture(scope="module")
def server(broker: Any) -> Iterator[str]:
    """A broker with two topics, groups of both protocols, with a member and without."""
    servers: str = broker.bootstrap_servers
    produce(servers)
    stop = threading.Event()
    members = [
        threading.Thread(target=consume, args=(servers, kind, f"{use}-{kind}", stop))
        for kind in ("classic", "consumer")
        for use in ("g", "idle")
    ]
    for member in members:
        member.start()
    wait_for_groups(servers)
    yield servers
    stop.set()
    for member in members:
        member.join()


def produce(servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    topics = [NewTopic("data", 3, 1), NewTopic("other", 1, 1)]
    for created in admin.create_topics(topics).values():
        created.result()
    producer = Producer({"bootstrap.servers": servers})
    an_hour_ago_ms = int(time.time() * 1000) - 3_600_000
    for number in range(30):
        producer.produce(
            "data", f"v{number}", partition=number % 3, timestamp=an_hour_ago_ms + number * 1000
        )
    producer.produce("other", "x", partition=0)
    producer.flush()


def consume(servers: str, protocol: str, group: str, stop: threading.Event) -> None:
    """Read all there is and commit most of it; members of "idle" groups leave at once."""
    settings = {
        "bootstrap.servers": servers,
        "group.id": group,
        "client.id": f"cli-{protocol}",
        "group.protocol": protocol,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    consumer = Consumer(settings)
    consumer.subscribe(["data"])
    count = 0
    while not stop.is_set() and not (group.startswith("idle") and count == 30):
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            count += 1
            if count == 25:
                consumer.commit(asynchronous=False)
    consumer.close()


def wait_for_groups(servers: str) -> None:
    """Until two groups are stable and two empty, with offsets."""
    admin = AdminClient({"bootstrap.servers": servers})
    wanted = {"g-classic": "STABLE", "g-consumer": "STABLE"}
    wanted |= {"idle-classic": "EMPTY", "idle-consumer": "EMPTY"}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        listed = admin.list_consumer_groups().result().valid
        if {group.group_id: group.state.name for group in listed} == wanted:
            return
        time.sleep(0.1)
    raise AssertionError("the groups are not as they should be")


def lines_of(path: pathlib.Path) -> list[str]:
    lines = path.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
"""
CONTROLLERS = "1@one:9093:4L6g3nShT-eMCtK--X86sw,2@[::1]:9094:5L6g3nShT-eMCtK--X86sw"
STORAGE = (
    "info -c $C",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --ignore-formatted",
    "format -t 5L6g3nShT-eMCtK--X86sw -c $C --ignore-formatted",
    "info -c $C",
    "format -c $C",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --release-version 9.9",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --release-version 4.4",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --release-version 4.0 --feature metadata.version=20",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --feature nonsense=1",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --feature group.version=9",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --feature group.version",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --feature kraft.version=1",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --standalone",
    f"format -t 4L6g3nShT-eMCtK--X86sw -c $C --initial-controllers {CONTROLLERS}",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --release-version 3.4"
    " --add-scram SCRAM-SHA-256=[name=a,password=b]",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --release-version 3.9"
    " --feature eligible.leader.replicas.version=1",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --add-scram nonsense",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --add-scram SCRAM-SHA-1=[name=a,password=b]",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --add-scram SCRAM-SHA-256=name=a",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --add-scram SCRAM-SHA-256=[password=b]",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --add-scram SCRAM-SHA-256=[name=a]",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C --add-scram SCRAM-SHA-256=[name=a,password=b,x=y]",
    "format -t 4L6g3nShT-eMCtK--X86sw -c $C"
    " --add-scram SCRAM-SHA-512=[name=a,password=b,iterations=1]",
    "version-mapping",
    "feature-dependencies --feature eligible.leader.replicas.version=1",
    "bogus",
)


@pytest.mark.parametrize("path", INVOCATIONS, ids=lambda path: path.stem)
def test_our_tools_do_as_javas_do(
    path: pathlib.Path, server: str, files: pathlib.Path, java: JavaTools
) -> None:
    variables = {"S": f"--bootstrap-server {server}", "B": server, "DIR": str(files)}
    both = SideBySide(java, variables)
    found = []
    for line in lines_of(path):
        if difference := both.settled_differences(line):
            found += [line, *(f"    {each}" for each in difference)]
    assert not found, "\n".join(found)


def test_what_measures_tells_the_same(server: str, files: pathlib.Path, java: JavaTools) -> None:
    path = pathlib.Path(__file__).parent / "invocations" / "measuring" / "measuring.txt"
    both = SideBySide(java, {"S": f"--bootstrap-server {server}", "B": server, "DIR": str(files)})
    found = []
    for line in lines_of(path):
        if difference := both.differences(line, NUMBERS):
            found += [line, *(f"    {each}" for each in difference)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("pattern", "flags"),
    [
        ("data-*/*.log", ("--print-data-log",)),
        ("data-*/*.log", ("--deep-iteration", "--skip-record-metadata")),
        ("__consumer_offsets-*/*.log", ("--offsets-decoder",)),
    ],
)
def test_both_see_the_same_in_a_brokers_files(
    pattern: str, flags: tuple[str, ...], log_directory: pathlib.Path, java: JavaTools
) -> None:
    files = [path for path in log_directory.glob(pattern) if path.stat().st_size]
    assert files
    words = ["--files", ",".join(map(str, files)), *flags]
    of_java, of_ours = java.run("kafka-dump-log", words), run_ours("kafka-dump-log", words)
    assert of_ours.status == of_java.status == 0
    assert of_ours.stdout.splitlines() == of_java.stdout.splitlines()


def test_storage_is_formatted_the_same(
    tmp_path: pathlib.Path, java: JavaTools, comparison: Comparison
) -> None:
    found = []
    for line in STORAGE:
        outcomes = []
        for suffix, run in zip(SUFFIXES, (java.run, run_ours), strict=True):
            properties = tmp_path / f"server{suffix}.properties"
            directories = f"{tmp_path}/a{suffix},{tmp_path}/b{suffix}"
            properties.write_text(f"{SERVER_PROPERTIES}log.dirs={directories}\n")
            words = line.replace("$C", str(properties)).split()
            outcome = without_sides(run("kafka-storage", words))
            text = re.sub(r"(directory.id=)\S+|^Bootstrap metadata.*", r"\1", outcome.stdout)
            text = text.replace("metadata directory", "data directory")
            # Which of two directories is looked at first is chance in Java.
            errors = re.sub(r"/[ab]@", "/a@", outcome.stderr)
            outcomes.append(outcome._replace(stdout=text, stderr=errors))
        found += [f"{line}: {each}" for each in comparison.differences(*outcomes)]
    assert not found, "\n".join(found)
    formatted = (tmp_path / f"a{SUFFIXES[1]}" / "meta.properties").read_text()
    assert "cluster.id=4L6g3nShT-eMCtK--X86sw" in formatted


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--release-version 3.9",
        "--feature group.version=0 --feature transaction.version=1",
        "--feature metadata.version=25",
        "--add-scram SCRAM-SHA-256=[name=alice,password=secret,salt=QUJDREVGR0hJSktM]"
        ' --add-scram SCRAM-SHA-512=[name=alice,password="se=cret",salt=QUJD,iterations=5000]',
        "--add-scram SCRAM-SHA-256=[name=bob,salt=QUJD,saltedpassword=c2FsdGVk]",
    ],
)
def test_a_cluster_begins_with_the_same_records(
    options: str, tmp_path: pathlib.Path, java: JavaTools
) -> None:
    begun = []
    for outcome, directory in formatted(tmp_path, java, SERVER_PROPERTIES, options):
        assert outcome.status == 0
        begun.append(shown_records(directory / "bootstrap.checkpoint"))
    assert begun[0] == begun[1]


@pytest.mark.parametrize(
    "options",
    [
        "--no-initial-controllers",
        f"--initial-controllers {CONTROLLERS}",
        f"--initial-controllers {CONTROLLERS.replace('1@', '3@')}",
    ],
)
def test_a_quorum_begins_with_the_same_controllers(
    options: str, tmp_path: pathlib.Path, java: JavaTools
) -> None:
    begun = []
    quorum = SERVER_PROPERTIES.replace("quorum.voters=1@", "quorum.bootstrap.servers=")
    for outcome, directory in formatted(tmp_path, java, quorum, options):
        snapshot = directory / "__cluster_metadata-0" / f"{0:020}-{0:010}.checkpoint"
        begun.append((outcome.status, outcome.stdout.splitlines()[-1], shown_records(snapshot)))
    assert begun[0] == begun[1]


def formatted(
    tmp_path: pathlib.Path, java: JavaTools, settings: str, options: str
) -> Iterator[tuple[Outcome, pathlib.Path]]:
    """What Java's kafka-storage, then ours, did to a directory of its own, and that directory."""
    for suffix, run in zip(SUFFIXES, (java.run, run_ours), strict=True):
        properties, directory = tmp_path / f"server{suffix}.properties", tmp_path / suffix
        properties.write_text(f"{settings}log.dirs={directory}\n")
        words = f"format -t 4L6g3nShT-eMCtK--X86sw -c {properties} {options}".split()
        yield without_sides(run("kafka-storage", words)), directory


def shown_records(path: pathlib.Path) -> list[str] | None:
    """What a snapshot holds, None if it isn't there."""
    if not path.exists():
        return None
    shown = run_ours("kafka-dump-log", ["--files", str(path), "--cluster-metadata-decoder"])
    assert shown.status == 0
    lines = [line for line in shown.stdout.splitlines() if line.startswith("|")]
    return [
        re.sub(r"CreateTime: \d+|\"lastContainedLogTimestamp\":\d+", "", line) for line in lines
    ]


def test_there_are_many_of_them() -> None:
    assert sum(len(lines_of(path)) for path in INVOCATIONS) >= 150
