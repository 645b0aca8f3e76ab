"""Apache Kafka's Java clients in transactions, with both versions of the protocol."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from ottla.testing.apache_kafka import PEERS_DIRECTORY, java_command

pytestmark = pytest.mark.jvm

SCENARIOS = [
    "commits_and_aborts",
    "many_in_a_row",
    "an_empty_transaction",
    "a_second_producer_fences_the_first",
    "an_open_transaction_times_out",
    "a_copy_with_its_offsets",
    "aborted_offsets",
    "listed_and_described",
    "aborted_by_an_administrator",
    "fenced_by_an_administrator",
]
SETTINGS = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "200"}


@pytest.mark.parametrize("transaction_version", [0, 1, 2])
def test_the_java_clients(transaction_version: int, own_broker: Callable[..., Any]) -> None:
    broker = own_broker(SETTINGS)
    classes = PEERS_DIRECTORY / "java-classes"
    arguments = [broker.bootstrap_servers, str(transaction_version)]
    result = subprocess.run(
        java_command("TransactionScenarios", arguments, extra_classpath=[classes]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    # The clients' own log goes to stdout too.
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    outcomes = {line["scenario"]: line["error"] for line in lines}
    assert outcomes == dict.fromkeys(SCENARIOS), "\n".join(filter(None, outcomes.values()))
