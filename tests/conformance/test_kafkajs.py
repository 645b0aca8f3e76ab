"""kafkajs: the scenarios of ``node/scenarios.js``, run by one Node process."""

from __future__ import annotations

import json
import pathlib
import subprocess

import pytest

pytestmark = pytest.mark.node

SCRIPT = pathlib.Path(__file__).parent / "node" / "scenarios.js"
SCENARIOS = [
    "records_come_back_as_they_went",
    "idempotent_producer",
    "offsets_of_topics",
    "offsets_of_groups",
    "topics_and_partitions",
    "configs",
    "deleted_records",
    "cluster",
    "errors",
]


@pytest.fixture(scope="module")
def outcomes(bootstrap: str) -> dict[str, str | None]:
    """Scenario -> the error it ended with, or None."""
    result = subprocess.run(
        ["node", str(SCRIPT), bootstrap, "kafkajs"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return {line["scenario"]: line["error"] for line in lines}


def test_every_scenario_stands_here(outcomes: dict[str, str | None]) -> None:
    assert sorted(outcomes) == sorted(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, outcomes: dict[str, str | None]) -> None:
    assert outcomes[scenario] is None, outcomes[scenario]
