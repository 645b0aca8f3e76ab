"""Settings of the programs whose behaviour other programs judge."""

from __future__ import annotations

import pytest

from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.verifiable_consumer import _build, consumer_settings

BASE = ["--topic", "t", "--group-id", "g", "--bootstrap-server", "h:1"]


def settings(*words: str) -> dict[str, str]:
    return consumer_settings(_build().parse_args([*BASE, *words]))


def test_kafkas_assignors_by_their_classes() -> None:
    name = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
    found = settings("--assignment-strategy", name, "--session-timeout", "7000")
    assert found["partition.assignment.strategy"] == "cooperative-sticky"
    assert found["session.timeout.ms"] == "7000"
    # Something else in its place would be judged for what it isn't.
    with pytest.raises(ToolFailure, match="no assignor StickyAssignor"):
        settings("--assignment-strategy", "org.apache.kafka.clients.consumer.StickyAssignor")


def test_the_newer_protocol_has_its_own_settings() -> None:
    found = settings("--group-protocol", "CONSUMER", "--group-remote-assignor", "uniform")
    assert found["group.protocol"] == "consumer"
    assert found["group.remote.assignor"] == "uniform"
    assert "partition.assignment.strategy" not in found
    assert settings("--reset-policy", "none")["auto.offset.reset"] == "error"
