"""Assigned partitions that do not exist, as far as anybody knows or may know."""

from __future__ import annotations

from collections.abc import Iterable

from ottla.client.core.cluster import ClusterView, TopicView
from ottla.client.core.consuming.partition import AssignedPartition, Key, PartitionError
from ottla.client.errors import KafkaError
from ottla.wire.errors import ErrorCode


class MissingPartitions:
    """Tells once of each assigned partition that it is missing, and again when it was there.

    A topic or partition that was just made takes a while to be known to all brokers; what is hidden
    from who may not see it is told at once.

    Args:
        propagation_max_ms: how long it may take (``topic.metadata.propagation.max.ms``).
    """

    __slots__ = ("_missing_since_ms", "_propagation_max_ms", "_told")

    def __init__(self, propagation_max_ms: float) -> None:
        self._propagation_max_ms = propagation_max_ms
        self._missing_since_ms: dict[Key, float] = {}
        self._told: set[Key] = set()

    def forget(self, partition: AssignedPartition) -> None:
        """It is not assigned any more, or it is there."""
        self._missing_since_ms.pop(partition.key, None)
        self._told.discard(partition.key)

    def find(
        self, partitions: Iterable[AssignedPartition], cluster: ClusterView, now_ms: float
    ) -> list[PartitionError]:
        """What to tell the application after the view of the cluster was refreshed."""
        errors = []
        for partition in partitions:
            view = cluster.topics.get(partition.topic)
            if view is not None and partition.number < len(view.partitions):
                self.forget(partition)
                continue
            since_ms = self._missing_since_ms.setdefault(partition.key, now_ms)
            code = _why_missing(view)
            is_final = code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
            may_still_come = now_ms - since_ms < self._propagation_max_ms and not is_final
            if may_still_come or partition.key in self._told:
                continue
            self._told.add(partition.key)
            errors.append(_missing(partition, code))
        return errors


def _why_missing(view: TopicView | None) -> int:
    if view is not None and view.partitions:
        return KafkaError._UNKNOWN_PARTITION
    if view is not None and view.error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED:
        return view.error_code
    return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def _missing(partition: AssignedPartition, code: int) -> PartitionError:
    text = f"{KafkaError(code).str()}: {partition.topic} [{partition.number}] is assigned"
    error = KafkaError(code, text)
    return PartitionError(partition, partition.version, error, partition.fetch_offset)
