"""A sender, brokers that answer as the test says, and a cluster of two brokers."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.client import _reference
from ottla.client.core.cluster import ClusterView
from ottla.client.core.producing.partition import Identity
from ottla.client.core.producing.sender import Answer, Request, Sender
from ottla.client.core.producing.settings import SenderSettings
from ottla.client.errors import KafkaError
from ottla.wire.api.k03_metadata import (
    DescribedPartition,
    DescribedTopic,
    ListedBroker,
    MetadataResponse,
)


def metadata(leaders: dict[int, int], epoch: int = 0, topic: str = "t") -> MetadataResponse:
    """Brokers 1 and 2, and a topic with these leaders by partition."""
    return MetadataResponse(
        brokers=[ListedBroker(node_id=n, host=f"b{n}", port=9092) for n in (1, 2)],
        cluster_id="c",
        controller_id=1,
        topics=[
            DescribedTopic(
                error_code=0,
                name=topic,
                partitions=[
                    DescribedPartition(
                        error_code=0,
                        partition_index=number,
                        leader_id=leader,
                        leader_epoch=epoch,
                        replica_nodes=[1, 2],
                        isr_nodes=[1, 2],
                        offline_replicas=[],
                    )
                    for number, leader in leaders.items()
                ],
            )
        ],
    )


class Bench:
    """A sender under test; time moves only when the test says so."""

    def __init__(self, leaders: dict[int, int], **settings: Any) -> None:
        self.now_ms = 1_000.0
        self.cluster = ClusterView()
        self.cluster.update(metadata(leaders))
        self.accumulator = _reference.Accumulator(clock=self)
        self.accumulator.set_partition_count("t", max(leaders) + 1)
        self.sender = Sender(SenderSettings(**settings), self.cluster)
        self.ready = {1, 2}
        if settings.get("is_idempotent"):
            self.sender.identify(Identity(7, 0))

    def wall_ms(self) -> int:
        return int(self.now_ms)

    def monotonic(self) -> float:
        return self.now_ms / 1000

    def produce(self, *values: str, partition: int = 0) -> None:
        """One batch of these values."""
        for value in values:
            self.accumulator.append("t", partition, None, value)
        batch = self.accumulator.take("t", partition)
        assert batch is not None
        self.sender.add(batch)

    def plan(self) -> list[Request]:
        requests: list[Request] = []
        while planned := self.sender.plan(self.now_ms, self.ready.__contains__):
            requests += planned
        return requests

    def answer(self, request: Request, error: int = 0, offset: int = 0, **also: Any) -> None:
        """Answer all batches of a request alike."""
        failure = KafkaError(error) if error else None
        self.sender.answered(
            request,
            dict.fromkeys(request.attempts, Answer(failure, offset, **also)),
            self.now_ms,
            0.5,
        )

    def outcomes(self) -> list[tuple[list[str], int | None]]:
        """Values and error code of the batches whose outcome is known since the last call."""
        told, self.sender.outcomes = self.sender.outcomes, []
        return [
            (self.values_of(outcome.batch), outcome.error.code() if outcome.error else None)
            for outcome in told
        ]

    @staticmethod
    def values_of(batch: Any) -> list[str]:
        return [record.value.decode() for record, _ in batch.entries()]

    @classmethod
    def sent(cls, request: Request) -> dict[int, list[str]]:
        """The values in a request by partition."""
        return {
            number: cls.values_of(attempt.pending.batch)
            for (_, number), attempt in request.attempts.items()
        }

    @classmethod
    def numbered(cls, requests: list[Request]) -> list[tuple[list[str], int, int]]:
        """Values, epoch and first sequence number of everything in the requests."""
        return [
            (cls.values_of(each.batch), each.identity.epoch, each.base_sequence)
            for request in requests
            for _, each in request.attempts.values()
        ]

    def move_leader(self, leaders: dict[int, int], epoch: int) -> None:
        self.cluster.update(metadata(leaders, epoch))


@pytest.fixture
def bench_of() -> type[Bench]:
    return Bench
