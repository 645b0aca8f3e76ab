"""Assigned partitions that do not exist, as far as anybody knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ottla.client.core.cluster import ClusterView
from ottla.client.core.consuming.partition import AssignedPartition, PartitionError
from ottla.client.errors import KafkaError


class MissingTopics:
    """Tells once of each assigned partition that it is missing, and again when it was there."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: set[tuple[str, int]] = set()

    def forget(self, partition: AssignedPartition) -> None:
        """It is not assigned any more."""
        self._told.discard(partition.key)

    def find(
        self,
        partitions: Iterable[AssignedPartition],
        cluster: ClusterView,
        is_given_up: Callable[[str], bool],
    ) -> list[PartitionError]:
        """What to tell the application after the view of the cluster was refreshed.

        Args:
            partitions: all that are assigned.
            cluster: the view.
            is_given_up: whether a topic has been missing for long.
        """
        errors = []
        for partition in partitions:
            view = cluster.topics.get(partition.topic)
            if view is not None and partition.number < len(view.partitions):
                self._told.discard(partition.key)
                continue
            is_topic_there = view is not None and bool(view.partitions)
            if partition.key in self._told or not (is_topic_there or is_given_up(partition.topic)):
                continue
            self._told.add(partition.key)
            code = (
                KafkaError._UNKNOWN_PARTITION
                if is_topic_there
                else KafkaError.UNKNOWN_TOPIC_OR_PART
            )
            error = KafkaError(code, f"{KafkaError(code).str()}: {partition.topic} "
                               f"[{partition.number}] is assigned")  # fmt: skip
            errors.append(
                PartitionError(partition, partition.version, error, partition.fetch_offset)
            )
        return errors
