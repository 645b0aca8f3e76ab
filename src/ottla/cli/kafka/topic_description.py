"""What ``kafka-topics --describe`` prints of a topic and its partitions."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ottla.cli.kafka.uuids import ZERO, format_uuid

DEFAULT_CONFIG = 5
"""The source of a setting that nobody has set (DescribeConfigs)."""


class Setting(NamedTuple):
    """One setting of a topic and where its value comes from."""

    name: str
    value: str | None
    source: int


class PartitionView(NamedTuple):
    """A partition; ``eligible`` and ``last_known`` are None where the broker doesn't tell."""

    number: int
    leader: int
    replicas: Sequence[int]
    in_sync: Sequence[int]
    eligible: Sequence[int] | None = None
    last_known: Sequence[int] | None = None


class TopicView(NamedTuple):
    """A topic and its partitions in order."""

    name: str
    topic_id: uuid.UUID
    partitions: Sequence[PartitionView]


class Move(NamedTuple):
    """A reassignment that is under way."""

    replicas: Sequence[int]
    adding: Sequence[int]
    removing: Sequence[int]


Moves = Mapping[tuple[str, int], Move]


class ChosenPartitions(NamedTuple):
    """Which partitions and topics are wanted; all where nothing is set."""

    under_replicated: bool = False
    unavailable: bool = False
    under_min_isr: bool = False
    at_min_isr: bool = False
    only_overrides: bool = False
    live_brokers: frozenset[int] = frozenset()

    @property
    def are_all(self) -> bool:
        """Whether the report is not about some partitions only."""
        reports = self.under_replicated, self.unavailable, self.under_min_isr, self.at_min_isr
        return not any(reports)

    def has(self, partition: PartitionView, move: Move | None, min_in_sync: int) -> bool:
        """Whether a partition is one of those."""
        in_sync = len(partition.in_sync)
        has_leader = partition.leader >= 0
        return (
            self.are_all
            or (self.under_replicated and replication_factor(partition, move) > in_sync)
            or (self.unavailable and not (has_leader and partition.leader in self.live_brokers))
            or (self.under_min_isr and (not has_leader or in_sync < min_in_sync))
            or (self.at_min_isr and in_sync == min_in_sync)
        )


def replication_factor(partition: PartitionView, move: Move | None) -> int:
    """How many replicas the partition has but for those a reassignment is only adding."""
    changing = () if move is None else (*move.adding, *move.removing)
    if move is None or not set(partition.replicas) & set(changing):
        return len(partition.replicas)
    return len(move.replicas) - len(move.adding)


def describe_topic(
    topic: TopicView, settings: Iterable[Setting], moves: Moves, chosen: ChosenPartitions
) -> Iterator[str]:
    """The lines about a topic: itself, then its partitions."""
    settings = list(settings)
    own = [setting for setting in settings if setting.source != DEFAULT_CONFIG]
    if chosen.are_all and topic.partitions and (own or not chosen.only_overrides):
        yield _topic_line(topic, own, moves)
    if chosen.only_overrides:
        return
    values = {setting.name: setting.value for setting in settings}
    min_in_sync = int(values.get("min.insync.replicas") or 1)
    for partition in topic.partitions:
        move = moves.get((topic.name, partition.number))
        if chosen.has(partition, move, min_in_sync):
            yield _partition_line(topic.name, partition, move)


def _topic_line(topic: TopicView, own: Iterable[Setting], moves: Moves) -> str:
    first = topic.partitions[0]
    factor = replication_factor(first, moves.get((topic.name, first.number)))
    parts = [f"Topic: {topic.name}"]
    if topic.topic_id != ZERO:
        parts.append(f"TopicId: {format_uuid(topic.topic_id)}")
    parts.append(f"PartitionCount: {len(topic.partitions)}")
    parts.append(f"ReplicationFactor: {factor}")
    configs = ",".join(f"{each.name}={_shown(each.value)}" for each in own)
    return "\t".join([*parts, f"Configs: {configs}"])


def _shown(value: str | None) -> str:
    return "null" if value is None else value


def _partition_line(topic: str, partition: PartitionView, move: Move | None) -> str:
    parts = [
        f"\tTopic: {topic}",
        f"Partition: {partition.number}",
        f"Leader: {partition.leader if partition.leader >= 0 else 'none'}",
        f"Replicas: {_ids(partition.replicas)}",
        f"Isr: {_ids(partition.in_sync)}",
    ]
    if move is not None:
        parts.append(f"Adding Replicas: {_ids(move.adding)}")
        parts.append(f"Removing Replicas: {_ids(move.removing)}")
    parts.append(f"Elr: {_ids_or_unknown(partition.eligible)}")
    parts.append(f"LastKnownElr: {_ids_or_unknown(partition.last_known)}")
    return "\t".join(parts)


def _ids(brokers: Iterable[int]) -> str:
    return ",".join(map(str, brokers))


def _ids_or_unknown(brokers: Iterable[int] | None) -> str:
    return "N/A" if brokers is None else _ids(brokers)
