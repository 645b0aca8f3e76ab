"""Apache Kafka's Java producer, consumer and admin client: ``java/ClientScenarios.java``."""

from __future__ import annotations

import json
import subprocess

import pytest

from ottla.testing.apache_kafka import PEERS_DIRECTORY, java_command

pytestmark = pytest.mark.jvm

SCENARIOS = [
    "records_come_back_as_they_went",
    "idempotent_producer",
    "offsets_by_time_and_at_the_ends",
    "commits",
    "topics",
    "configs",
    "deleted_records",
    "cluster",
    "groups",
    "errors",
]


@pytest.fixture(scope="module")
def outcomes(bootstrap: str) -> dict[str, str | None]:
    """Scenario -> the error it ended with, or None."""
    classes = PEERS_DIRECTORY / "java-classes"
    result = subprocess.run(
        java_command("ClientScenarios", [bootstrap], extra_classpath=[classes]),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    # The clients' own log goes to stdout too.
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return {line["scenario"]: line["error"] for line in lines}


def test_every_scenario_stands_here(outcomes: dict[str, str | None]) -> None:
    assert sorted(outcomes) == sorted(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, outcomes: dict[str, str | None]) -> None:
    assert outcomes[scenario] is None, outcomes[scenario]
