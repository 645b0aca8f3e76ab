"""Tools against an Apache Kafka that asks who one is: access rules, missing rights, passwords.

Its data lies in two directories, so that replicas can be moved from one to the other as well.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest

from ottla.testing.guarded_kafka import GuardedKafka
from ottla.testing.kafka_tools import JavaTools
from ottla.testing.tool_invocations import SUFFIXES, SideBySide
from ottla.testing.waiting import eventually

pytestmark = [pytest.mark.jvm, pytest.mark.slow, pytest.mark.timeout(300)]

INVOCATIONS = pathlib.Path(__file__).parent / "invocations" / "guarded"
LOGIN = """\
security.protocol=SASL_PLAINTEXT
sasl.mechanism=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  username="alice" password="{password}";
"""


@pytest.fixture(scope="module")
def kafka(directory: pathlib.Path) -> Iterator[GuardedKafka]:
    settings = {"log.dirs": f"{directory}/one,{directory}/other"}
    with GuardedKafka({"alice": "alices"}, settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """With the files that the lines name."""
    made = tmp_path_factory.mktemp("rights")
    (made / "alice.properties").write_text(LOGIN.format(password="alices"))
    (made / "wrong.properties").write_text(LOGIN.format(password="wrong"))
    (made / "nonsense.properties").write_text("security.protocol=NONSENSE\n")
    for suffix in SUFFIXES:
        where = {"topic": f"secret{suffix}", "partition": 0}
        (made / f"secret{suffix}.json").write_text(
            json.dumps({"partitions": [where | {"offset": 0}]})
        )
    return made


@pytest.fixture(scope="module")
def both(kafka: GuardedKafka, java: JavaTools, directory: pathlib.Path) -> SideBySide:
    guarded = f"--bootstrap-server {kafka.guarded_servers} --command-config {directory}"
    variables = {
        "S": f"--bootstrap-server {kafka.bootstrap_servers}",
        "A": f"{guarded}/alice.properties",
        "W": f"{guarded}/wrong.properties",
        "N": f"{guarded}/nonsense.properties",
        "G": kafka.guarded_servers,
        "DIR": str(directory),
    }
    return SideBySide(java, variables)


@pytest.mark.parametrize("name", ["acls", "rights"])
def test_our_tools_do_as_javas_do(name: str, both: SideBySide) -> None:
    found = []
    for line in (INVOCATIONS / f"{name}.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        if difference := both.settled_differences(line):
            found += [line, *(f"    {each}" for each in difference)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (r"kafka-console-producer $A --topic secret@ <<< x\n", "authorization failed"),
        ("kafka-console-consumer $A --topic secret@ --timeout-ms 8000", "Topic authorization"),
        ("kafka-console-consumer $A --topic secret@ --partition 0", "Topic authorization"),
        ("kafka-configs $A --describe --entity-type topics --entity-name secret@", "authorization"),
        ("kafka-topics $W --list", "Invalid username or password"),
        ("kafka-consumer-groups $W --list", "Invalid username or password"),
        ("kafka-get-offsets $W", "Invalid username or password"),
        ("kafka-console-consumer $W --topic secret@", "Invalid username or password"),
        ("kafka-console-share-consumer $W --topic secret@", "Invalid username or password"),
        ("kafka-topics $N --list", 'Invalid value "NONSENSE" for configuration property'),
        ("kafka-topics --bootstrap-server $G --command-config nosuch --list", "nosuch can't be"),
    ],
)
def test_who_may_not_is_told_so(line: str, said: str, both: SideBySide) -> None:
    """Where Java's tools exit with 0 or wait without end."""
    both.run_ours("kafka-topics $S --create --if-not-exists --topic secret@")
    outcome = both.run_ours(line)
    assert outcome.status == 1
    assert said.lower() in (outcome.stdout + outcome.stderr).lower()
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("tool", ["kafka-console-consumer", "kafka-console-share-consumer"])
def test_what_never_began_tells_no_count(tool: str, both: SideBySide) -> None:
    outcome = both.run_ours(f"{tool} $N --topic secret@")
    assert outcome.status == 1
    assert "NONSENSE" in outcome.stderr
    assert "Processed" not in outcome.stderr


def test_rules_are_removed_when_somebody_says_yes(both: SideBySide) -> None:
    """Java's tool asks a terminal only."""
    both.run_ours("kafka-acls $S --add --allow-principal User:x --operation Read --topic asked@")
    remove = "kafka-acls $S --remove --topic asked@"
    assert both.run_ours(rf"{remove} <<< n\n").status == 0
    assert "User:x" in both.run_ours("kafka-acls $S --list --topic asked@").stdout
    unanswered = both.run_ours(remove)
    assert unanswered.status == 1
    assert "--force" in unanswered.stderr
    assert both.run_ours(rf"{remove} <<< y\n").status == 0
    assert "User:x" not in both.run_ours("kafka-acls $S --list --topic asked@").stdout


def test_replicas_move_between_directories(both: SideBySide, directory: pathlib.Path) -> None:
    def has_arrived() -> bool:
        sides = both.run_java(f"{plan} --verify"), both.run_ours(f"{plan} --verify")
        return not any("in progress" in each.stdout for each in sides)

    # Kafka puts new replicas into either directory.
    masks = {r'"log_dirs":\["[^"]*"\]': '"log_dirs":[...]'}
    found = both.settled_differences("kafka-topics $S --create --topic dirs@")
    for name in ("one", "other"):
        plan = f"kafka-reassign-partitions $S --reassignment-json-file {directory}/{name}@.json"
        for suffix in SUFFIXES:
            replica = {"topic": f"dirs{suffix}", "partition": 0, "replicas": [1]}
            moves = [replica | {"log_dirs": [str(directory / name)]}]
            (directory / f"{name}{suffix}.json").write_text(json.dumps({"partitions": moves}))
        for action in ("execute", "verify", "cancel"):
            if action == "cancel":
                eventually(has_arrived)
            if difference := both.settled_differences(f"{plan} --{action}", masks):
                found += [action, *(f"    {each}" for each in difference)]
    assert not found, "\n".join(found)
