"""Consume, transform, produce: kill -9 of copiers and broker, and the copy equals the source."""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from ottla.testing.apache_kafka import PEERS_DIRECTORY, java_command, why_unavailable
from ottla.testing.copy_drill import GROUP, SOURCE, TARGET, CopyDrill
from ottla.testing.process import BrokerProcess

PYTHON_COPIER = pathlib.Path(__file__).parent / "copiers" / "python_copier.py"
JAVA_CLASSES = PEERS_DIRECTORY / "java-classes"
# A dead member is to be missed soon.
SETTINGS = {
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.num.partitions": "3",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "group.consumer.min.session.timeout.ms": "500",
    "group.consumer.session.timeout.ms": "2000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "300",
}
# Only these show their group membership to the transaction's coordinator (KIP-447).
IN_A_GROUP = [
    ("confluent-kafka", "classic"),
    ("confluent-kafka", "consumer"),
    ("kafka-python", "classic"),
    ("java", "classic"),
    ("java", "consumer"),
]
EVERY_COPIER = [*IN_A_GROUP, ("aiokafka", "none")]


def copier_command(client: str, settings: dict[str, Any]) -> list[str]:
    """What starts a copier of this client."""
    told = json.dumps(settings)
    if client == "java":
        if reason := why_unavailable():
            pytest.skip(reason)
        return java_command("ExactlyOnceCopier", [told], extra_classpath=[JAVA_CLASSES])
    return [sys.executable, str(PYTHON_COPIER), client, told]


def commands(bootstrap: str, client: str, protocol: str) -> list[list[str]]:
    """Two copiers: in a group one static and one dynamic member, or half of the partitions each."""
    made = []
    for number in range(2):
        settings: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "source": SOURCE,
            "target": TARGET,
            "group": GROUP,
            "transactional_id": f"copier-{number}",
            "session_timeout_ms": 2000,
        }
        if protocol == "none":
            settings["partitions"] = [number, number + 2]
        else:
            settings["group_protocol"] = protocol
            settings["instance_id"] = "static" if number == 0 else None
        made.append(copier_command(client, settings))
    return made


def run_drill(
    broker: BrokerProcess, client: str, protocol: str, random: Random, kills: int
) -> None:
    drill = CopyDrill(broker, commands(broker.bootstrap_servers, client, protocol), random)
    drill.run(kills)
    print(f"{client} ({protocol}): {dict(drill.kills)} killed, {drill.record_count} records")
    assert not drill.problems, "\n".join(drill.problems)


@pytest.mark.slow
@pytest.mark.parametrize(("client", "protocol"), EVERY_COPIER)
def test_a_copy_outlives_kills_exactly_once(
    client: str,
    protocol: str,
    make_broker: Callable[..., BrokerProcess],
    random: Random,
    kill_count: int,
) -> None:
    run_drill(make_broker(settings=SETTINGS), client, protocol, random, kill_count)
