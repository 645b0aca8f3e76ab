"""Hearing of rebalances."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from typing import Any

from ottla.client.values import TopicPartition as ClientPartition
from ottla.kafka_python.structs import TopicPartition


class ConsumerRebalanceListener(abc.ABC):
    """Told by ``poll`` which partitions go and which ones come."""

    @abc.abstractmethod
    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """These go to others: the last moment to commit."""

    @abc.abstractmethod
    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """These have come."""

    def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        """These are gone already; by default as if they were revoked."""
        self.on_partitions_revoked(lost)


def as_set(partitions: Iterable[ClientPartition]) -> set[TopicPartition]:
    """The client's partitions as kafka-python's."""
    return {TopicPartition(each.topic, each.partition) for each in partitions}


def callbacks(listener: ConsumerRebalanceListener | None) -> dict[str, Callable[..., Any]]:
    """The arguments of the client's ``subscribe`` that make it tell the listener."""
    if listener is None:
        return {}
    return {
        "on_assign": lambda _, partitions: listener.on_partitions_assigned(as_set(partitions)),
        "on_revoke": lambda _, partitions: listener.on_partitions_revoked(as_set(partitions)),
        "on_lost": lambda _, partitions: listener.on_partitions_lost(as_set(partitions)),
    }
