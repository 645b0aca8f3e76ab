"""The ``ottla`` command and our console tools against a broker."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ottla import Consumer
from ottla.cli.main import main
from ottla.testing.kafka_tools import run_ours
from ottla.testing.waiting import eventually

MAIN = "import sys; from ottla.cli.main import main; sys.exit(main())"
TOOL = "import sys; from ottla.cli.kafka.entry import run; sys.exit(run(sys.argv[1], sys.argv[2:]))"
Capture = pytest.CaptureFixture[str]


class Said:
    """An exit code and what was printed."""

    def __init__(self, status: int, capsys: Capture) -> None:
        self.status = status
        self.out, self.err = capsys.readouterr()


@pytest.fixture
def ottla(bootstrap: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Runs ``ottla`` in this process against the shared broker."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap)

    def run(*words: str, stdin: bytes = b"") -> Said:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        return Said(main(list(words)), capsys)

    return run


@pytest.fixture
def consumed(bootstrap: str) -> Callable[..., list[dict[str, Any]]]:
    """What ``ottla consume`` shows, in a process of its own whose output is bytes."""

    def run(topic: str, *words: str) -> list[dict[str, Any]]:
        command = [sys.executable, "-c", MAIN, "consume", topic, "-o", "json"]
        shown = subprocess.run(
            [*command, "-b", bootstrap, *words], capture_output=True, check=True, timeout=60
        )
        return [json.loads(line) for line in shown.stdout.splitlines()]

    return run


def test_a_topic_from_its_creation_to_its_end(
    ottla: Callable[..., Said], unique: Callable[[str], str]
) -> None:
    name = unique("topic")
    assert ottla("topics", "create", name, "-p", "2", "-c", "retention.ms=99999").status == 0
    again = ottla("topics", "create", name)
    assert again.status == 1
    assert "already" in again.err
    described = ottla("topics", "describe", name, "-o", "json")
    assert [row["partition"] for row in json.loads(described.out)] == [0, 1]
    assert "retention.ms" in ottla("configs", "show", "topic", name).out
    assert ottla("configs", "set", "topic", name, "retention.ms").status == 0
    assert "retention.ms" not in ottla("configs", "show", "topic", name).out
    refused = ottla("topics", "delete", name)
    assert refused.status == 1
    assert "--yes" in refused.err
    assert ottla("topics", "delete", name, "--yes").status == 0
    missing = ottla("topics", "describe", name)
    assert missing.status == 1
    assert "no topic" in missing.err


def test_records_in_and_out(
    ottla: Callable[..., Said],
    consumed: Callable[..., list[dict[str, Any]]],
    new_topic: Callable[..., str],
) -> None:
    topic = new_topic()
    assert ottla("produce", topic, "hello", "-k", "a", "-H", "x=y").status == 0
    lines = ottla("produce", topic, "--key-separator", "=", stdin=b"b=1\nplain\n")
    assert "2 records delivered" in lines.err
    records = consumed(topic)
    assert [(each["key"], each["value"]) for each in records] == [
        ("a", "hello"), ("b", "1"), (None, "plain"),
    ]  # fmt: skip
    assert records[0]["headers"] == {"x": "y"}
    assert [each["offset"] for each in consumed(topic, "--tail", "1")] == [2]


def test_lag_in_records_and_in_seconds(
    ottla: Callable[..., Said],
    consumed: Callable[..., list[dict[str, Any]]],
    new_topic: Callable[..., str],
    group: str,
) -> None:
    topic = new_topic()
    ottla("produce", topic, stdin=b"1\n2\n3\n")
    assert len(consumed(topic, "--group", group, "-n", "1")) == 1
    [row] = json.loads(ottla("groups", "lag", group, "-o", "json").out)
    assert (row["offset"], row["end"], row["lag"]) == (1, 3, 2)
    assert row["seconds"] >= 0
    assert ottla("groups", "delete", group, "--yes").status == 0
    gone = ottla("groups", "lag", group)
    assert gone.status == 1
    assert "no group" in gone.err


def test_the_doctor_finds_a_healthy_cluster_healthy(ottla: Callable[..., Said]) -> None:
    found = json.loads(ottla("doctor", "-o", "json").out)
    by_subject = {each["subject"]: each["level"] for each in found}
    for subject in ("connection", "brokers", "offline partitions", "under-replicated partitions"):
        assert by_subject[subject] == "ok"


def test_nobody_there_is_told_in_time(capsys: Capture) -> None:
    said = Said(main(["topics", "list", "-b", "127.0.0.1:1", "--timeout", "0.5"]), capsys)
    assert said.status == 1
    assert "No broker answered at 127.0.0.1:1" in said.err


def test_what_the_console_producer_reads_the_console_consumer_writes(
    bootstrap: str, new_topic: Callable[..., str]
) -> None:
    topic = new_topic()
    pick = random.Random(7)
    lines = [pick.randbytes(pick.randrange(3000)).replace(b"\n", b"") for _ in range(2000)]
    data = b"\n".join(lines) + b"\n"
    server = ["--bootstrap-server", bootstrap]
    base = [sys.executable, "-c", TOOL]
    words = [*base, "kafka-console-producer", *server, "--topic", topic]
    subprocess.run(words, input=data, check=True, timeout=60)
    words = [*base, "kafka-console-consumer", *server, "--topic", topic]
    words += ["--from-beginning", "--max-messages", str(len(lines))]
    shown = subprocess.run(words, capture_output=True, check=True, timeout=60)
    assert shown.stdout == data
    assert shown.stderr.decode().splitlines()[-1] == f"Processed a total of {len(lines)} messages"


def test_a_record_that_is_too_large_is_told(bootstrap: str, new_topic: Callable[..., str]) -> None:
    words = ["--bootstrap-server", bootstrap, "--topic", new_topic(**{"max.message.bytes": "1000"})]
    outcome = run_ours("kafka-console-producer", words, b"x" * 5000 + b"\n")
    assert outcome.status == 1
    assert "was not delivered" in outcome.stderr


def test_a_group_is_reset(
    ottla: Callable[..., Said],
    bootstrap: str,
    new_topic: Callable[..., str],
    unique: Callable[[str], str],
) -> None:
    topic, group = new_topic(2), unique("group")
    at = ["--bootstrap-server", bootstrap, "--topic", topic]
    assert run_ours("kafka-console-producer", at, b"a\nb\nc\nd\n").status == 0
    reset = ("groups", "reset", group, "-t", topic, "-o", "json")
    planned = ottla(*reset, "--to", "latest")
    assert planned.status == 0
    assert sum(row["to"] for row in json.loads(planned.out)) == 4
    assert "--execute" in planned.err
    nothing = ottla("groups", "reset", group, "--to", "earliest")
    assert (nothing.status, "--topic" in nothing.err) == (1, True)
    unasked = ottla(*reset, "--to", "latest", "--execute")
    assert (unasked.status, "--yes" in unasked.err) == (1, True)
    assert ottla(*reset, "--to", "latest", "--execute", "--yes").status == 0
    back = json.loads(ottla("groups", "reset", group, "--to", "-100", "-o", "json").out)
    assert sum(row["change"] for row in back) == -4
    for where in ("soon", "P", "2026-05-22", "--5", "1.5"):
        assert ottla(*reset, f"--to={where}").status == 1
    assert sum(row["to"] for row in json.loads(ottla(*reset, "--to", "PT1H").out)) == 0
    assert ottla("groups", "reset", group, "--to", "earliest", "-t", "no-such-topic").status == 1


def test_a_group_at_work_is_not_reset(
    ottla: Callable[..., Said],
    bootstrap: str,
    new_topic: Callable[..., str],
    unique: Callable[[str], str],
) -> None:
    topic, group = new_topic(), unique("group")
    with Consumer({"bootstrap.servers": bootstrap, "group.id": group}) as consumer:
        consumer.subscribe([topic])
        eventually(lambda: consumer.poll(0.1) is None and consumer.assignment(), what="a member")
        said = ottla("groups", "reset", group, "--to", "earliest", "-t", topic, "--execute", "-y")
        assert said.status == 1
        assert "1 member" in said.err
        assert "stop them first" in said.err


def test_who_stops_reading_ends_the_consumer(bootstrap: str, new_topic: Callable[..., str]) -> None:
    """Also when nothing more comes: it would wait for ever."""
    topic = new_topic()
    at = ["--bootstrap-server", bootstrap, "--topic", topic]
    run_ours("kafka-console-producer", at, b"a\nb\n")
    command = [sys.executable, "-c", TOOL, "kafka-console-consumer", *at, "--from-beginning"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as consumer:
        assert consumer.stdout is not None
        assert consumer.stderr is not None
        assert consumer.stdout.readline() == b"a\n"
        consumer.stdout.close()
        assert b"Traceback" not in consumer.stderr.read()
        assert consumer.wait(30) == 1
