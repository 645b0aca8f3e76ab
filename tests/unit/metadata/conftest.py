"""A small cluster whose controller decides and whose image follows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, TypeVar

import pytest

from ottla.metadata.config.resolve import ConfigResolver
from ottla.metadata.controller.brokers import decide_bootstrap, decide_broker_registration
from ottla.metadata.controller.create_topics import NewTopic, decide_create_topics
from ottla.metadata.controller.decision import Decision
from ottla.metadata.image import EMPTY_IMAGE, ClusterImage, Endpoint
from ottla.metadata.records import MetadataRecord
from ottla.ports.entropy import SeededEntropy

T = TypeVar("T")


class Cluster:
    """Brokers 1 to n; what is decided is applied at once."""

    def __init__(
        self, broker_count: int = 1, static: Mapping[str, str] | None = None, seed: int = 7
    ) -> None:
        self.image: ClusterImage = EMPTY_IMAGE
        self.resolver = ConfigResolver(static or {}, 1)
        self.entropy = SeededEntropy(seed)
        self.records: list[MetadataRecord] = []
        self.run(decide_bootstrap(self.image, "abcdefghijklmnopqrstuw", 1, 1))
        for broker_id in range(1, broker_count + 1):
            self.register(broker_id)

    def register(self, broker_id: int, rack: str | None = None) -> None:
        directory = uuid.UUID(int=1000 + broker_id)
        decision = decide_broker_registration(
            self.image,
            broker_id,
            rack=rack,
            endpoints=[Endpoint("PLAINTEXT", "localhost", 9092, "PLAINTEXT")],
            log_directories=[directory],
        )
        self.run(decision)

    def run(self, decision: Decision[T]) -> T:
        self.image = self.image.apply(decision.records)
        self.records.extend(decision.records)
        return decision.reply

    def create(self, *topics: NewTopic, **options: Any) -> dict[str, Any]:
        decision = decide_create_topics(self.image, self.resolver, topics, self.entropy, **options)
        return dict(self.run(decision))


@pytest.fixture
def cluster() -> Cluster:
    """One broker, no topics."""
    return Cluster()


@pytest.fixture
def make_cluster() -> type[Cluster]:
    """Clusters of other shapes."""
    return Cluster
