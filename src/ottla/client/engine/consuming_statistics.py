"""The consumer's part of the statistics that ``stats_cb`` is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ottla.client.core.consuming.partition import AssignedPartition, Stage
from ottla.client.core.statistics import partition_entry, topic_entry
from ottla.client.values import OFFSET_INVALID

if TYPE_CHECKING:
    from ottla.client.engine.consuming import Consuming

_FETCH_STATES = {
    Stage.COMMITTED: "offset-query",
    Stage.RESET: "offset-query",
    Stage.LISTED: "offset-wait",
    Stage.VALIDATED: "validate-epoch-wait",
    Stage.FETCHED: "active",
    Stage.STOPPED: "stopped",
}


class ConsumingStatistics:
    """Gathers it."""

    def __init__(self, consuming: Consuming) -> None:
        self._consuming = consuming
        self._engine = consuming.engine
        self._began_ms = self._engine.now_ms()
        self._metadata_ms = self._began_ms
        self._assigned_ms = self._began_ms
        self._rebalances = 0
        self._rebalance_reason = ""

    def metadata_updated(self) -> None:
        """The view of the cluster was refreshed."""
        self._metadata_ms = self._engine.now_ms()

    def rebalanced(self, reason: str) -> None:
        """The group gave partitions to the consumer, or took them away."""
        self._rebalances += 1
        self._rebalance_reason = reason
        self._assigned_ms = self._engine.now_ms()

    def collect(self) -> Mapping[str, Any]:
        """What is merged into the top level."""
        now_ms = self._engine.now_ms()
        by_topic: dict[str, list[dict[str, Any]]] = {}
        for partition in self._consuming.assignment.values():
            by_topic.setdefault(partition.topic, []).append(self._partition(partition))
        fetcher = self._consuming.fetches.fetcher
        is_subscribed = bool(self._consuming.group.subscription)
        return {
            "rxmsgs": fetcher.received_messages,
            "rxmsg_bytes": fetcher.received_bytes,
            "topics": {
                topic: topic_entry(
                    topic,
                    [*partitions, partition_entry(-1)],
                    age_ms=now_ms - self._began_ms,
                    metadata_age_ms=now_ms - self._metadata_ms,
                )
                for topic, partitions in by_topic.items()
            },
            "cgrp": {
                "state": "up",
                "stateage": int(now_ms - self._began_ms),
                "join_state": "steady" if is_subscribed and by_topic else "init",
                "rebalance_age": int(now_ms - self._assigned_ms) if self._rebalances else 0,
                "rebalance_cnt": self._rebalances,
                "rebalance_reason": self._rebalance_reason,
                "assignment_size": len(self._consuming.assignment),
            },
        }

    def _partition(self, partition: AssignedPartition) -> dict[str, Any]:
        leader = self._engine.cluster.leader(*partition.key)
        leader_id = -1 if leader is None else leader.broker_id
        position, stored = partition.position, partition.stored
        is_committed = self._consuming.configuration.isolation_level == "read_committed"
        end = partition.last_stable_offset if is_committed else partition.high_watermark
        stored_offset = OFFSET_INVALID if stored is None else stored.offset
        return partition_entry(
            partition.number,
            broker=leader_id,
            leader=leader_id,
            desired=True,
            unknown=leader is None,
            fetchq_cnt=partition.queued_messages,
            fetch_state=_FETCH_STATES[partition.stage],
            query_offset=partition.start_offset,
            next_offset=max(0, partition.fetch_offset),
            app_offset=position.offset,
            stored_offset=stored_offset,
            stored_leader_epoch=-1 if stored is None else stored.leader_epoch,
            committed_offset=partition.committed_offset,
            eof_offset=partition.eof_offset,
            lo_offset=partition.log_start_offset,
            hi_offset=partition.high_watermark,
            ls_offset=partition.last_stable_offset,
            consumer_lag=_lag(end, partition.committed_offset),
            consumer_lag_stored=_lag(end, stored_offset),
            leader_epoch=partition.leader_epoch,
            rxmsgs=partition.received_messages,
            rxbytes=partition.received_bytes,
            msgs=partition.received_messages,
        )


def _lag(end: int, offset: int) -> int:
    return max(0, end - offset) if end >= 0 and offset >= 0 else -1
