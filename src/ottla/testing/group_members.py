"""What tests of consumer groups ask of their members, whatever client these are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

_PATIENCE_SECONDS = 20


class HoldsPartitions(Protocol):
    """A member, as far as its partitions go."""

    @property
    def assignment(self) -> set[str]:
        """The partitions it holds now, each ``topic-partition``."""
        ...


def partitions_of(topic: str, count: int) -> set[str]:
    """All partitions of a topic, as members name them."""
    return {f"{topic}-{number}" for number in range(count)}


def share_everything(members: Iterable[HoldsPartitions], wanted: set[str]) -> bool:
    """Whether every member holds something, no two the same, and together all."""
    held = [member.assignment for member in members]
    return all(held) and sum(map(len, held)) == len(wanted) and set().union(*held) == wanted


def produce_values(
    bootstrap_servers: str, topic: str, partitions: int, values: Iterable[str]
) -> None:
    """Produce values, one partition after the other in turns; ``confluent-kafka`` has to be there.

    Raises:
        TimeoutError: not all of them were acknowledged.
    """
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 0})
    for number, value in enumerate(values):
        producer.produce(topic, value.encode(), partition=number % partitions)
    if left := producer.flush(_PATIENCE_SECONDS):
        raise TimeoutError(f"{left} records for {topic} were not acknowledged")
