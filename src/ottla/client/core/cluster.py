"""What the client knows of the cluster: brokers, topics, partitions and their leaders."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import NamedTuple

from ottla.wire.api.k03_metadata import DescribedPartition, DescribedTopic, MetadataResponse
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ErrorCode

NO_LEADER = -1
NO_EPOCH = -1


class Broker(NamedTuple):
    """A broker and where it listens."""

    broker_id: int
    host: str
    port: int
    rack: str | None = None


class PartitionView(NamedTuple):
    """A partition: its leader, the epoch of that leader, and its replicas."""

    number: int
    leader_id: int = NO_LEADER
    leader_epoch: int = NO_EPOCH
    replicas: tuple[int, ...] = ()
    in_sync: tuple[int, ...] = ()
    offline: tuple[int, ...] = ()
    error_code: int = 0


class TopicView(NamedTuple):
    """A topic and its partitions by number; without partitions, the error says why."""

    name: str
    topic_id: uuid.UUID = ZERO_UUID
    is_internal: bool = False
    error_code: int = 0
    partitions: tuple[PartitionView, ...] = ()


class Changes(NamedTuple):
    """What an answer changed: topics that are new, other or gone, and partitions led by another."""

    topics: frozenset[str] = frozenset()
    leaders: frozenset[tuple[str, int]] = frozenset()


class ClusterView:
    """The cluster as the newest of all answers have it.

    Brokers answer from what each of them knows, so an answer may be older than one before it. A
    leader is only ever replaced by one of a later epoch (KIP-320), except that a topic made anew
    under the same name (its id tells, KIP-516) begins from the start.
    """

    __slots__ = ("_names", "brokers", "cluster_id", "controller_id", "topics")

    def __init__(self) -> None:
        self.brokers: dict[int, Broker] = {}
        self.topics: dict[str, TopicView] = {}
        self.cluster_id: str | None = None
        self.controller_id = NO_LEADER
        self._names: dict[uuid.UUID, str] = {}

    def partition(self, topic: str, number: int) -> PartitionView | None:
        """A partition, None if it is not known."""
        view = self.topics.get(topic)
        if view is None or not 0 <= number < len(view.partitions):
            return None
        return view.partitions[number]

    def leader(self, topic: str, number: int) -> Broker | None:
        """The broker that leads a partition, None if it has no leader or it can't be reached."""
        view = self.topics.get(topic)
        if view is None or not 0 <= number < len(view.partitions):
            return None
        return self.brokers.get(view.partitions[number].leader_id)

    def name_of(self, topic_id: uuid.UUID) -> str | None:
        """The name of the topic with this id, None if no topic is known by it."""
        return self._names.get(topic_id)

    def update(self, response: MetadataResponse, *, is_complete: bool = False) -> Changes:
        """Take over an answer to a Metadata request.

        Args:
            response: the answer.
            is_complete: it lists all topics, so those that it lacks are gone.
        """
        self.brokers = {
            b.node_id: Broker(b.node_id, b.host, b.port, b.rack) for b in response.brokers
        }
        self.cluster_id = response.cluster_id or self.cluster_id
        self.controller_id = response.controller_id
        changed: set[str] = set()
        leaders: set[tuple[str, int]] = set()
        listed: set[str] = set()
        for described in response.topics:
            name = described.name or self._names.get(described.topic_id)
            if name is None:
                continue
            listed.add(name)
            before = self.topics.get(name)
            after = _merged(name, before, described)
            if after != before:
                self._put(after)
                changed.add(name)
                leaders |= _moved(before, after)
        if is_complete:
            for name in self.topics.keys() - listed:
                self._drop(name)
                changed.add(name)
        return Changes(frozenset(changed), frozenset(leaders))

    def learn_leader(
        self,
        topic: str,
        number: int,
        leader_id: int,
        leader_epoch: int,
        brokers: Iterable[Broker] = (),
    ) -> bool:
        """Take over what Produce and Fetch answers say of a new leader (KIP-951).

        Returns:
            Whether it was news: a later epoch, and a leader whose address is known.
        """
        partition = self.partition(topic, number)
        if partition is None or leader_epoch <= partition.leader_epoch:
            return False
        addresses = {broker.broker_id: broker for broker in brokers}
        if leader_id not in self.brokers and leader_id not in addresses:
            return False
        self.brokers |= addresses
        view = self.topics[topic]
        partitions = list(view.partitions)
        partitions[number] = partition._replace(
            leader_id=leader_id, leader_epoch=leader_epoch, error_code=0
        )
        self._put(view._replace(partitions=tuple(partitions)))
        return True

    def forget_topic(self, topic: str) -> None:
        """Nobody wants to know of the topic any more."""
        if topic in self.topics:
            self._drop(topic)

    def forget_brokers(self) -> None:
        """None of the brokers can be reached: begin again with the bootstrap servers (KIP-899)."""
        self.brokers = {}
        self.controller_id = NO_LEADER

    def _put(self, topic: TopicView) -> None:
        before = self.topics.get(topic.name)
        if before is not None and before.topic_id != topic.topic_id:
            self._names.pop(before.topic_id, None)
        self.topics[topic.name] = topic
        if topic.topic_id != ZERO_UUID:
            self._names[topic.topic_id] = topic.name

    def _drop(self, name: str) -> None:
        self._names.pop(self.topics.pop(name).topic_id, None)


def _merged(name: str, before: TopicView | None, described: DescribedTopic) -> TopicView:
    """The topic as an answer describes it, with those leaders that are known to be later."""
    if described.error_code != ErrorCode.NONE and not described.partitions:
        if before is None or described.error_code in _TOPIC_IS_GONE:
            return TopicView(name, error_code=described.error_code)
        # The broker can't tell at the moment: what was known is the best guess.
        return before._replace(error_code=described.error_code)
    known: tuple[PartitionView, ...] = ()
    if before is not None and _is_same_topic(before.topic_id, described.topic_id):
        known = before.partitions
    partitions = tuple(
        _merged_partition(known[index] if index < len(known) else None, index, partition)
        for index, partition in _without_gaps(described.partitions)
    )
    if before is not None and before.topic_id == described.topic_id != ZERO_UUID:
        # A topic never loses partitions: an answer with fewer is older.
        partitions += known[len(partitions) :]
    return TopicView(
        name, described.topic_id, described.is_internal, described.error_code, partitions
    )


_TOPIC_IS_GONE = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INVALID_TOPIC_EXCEPTION,
    }
)


def _is_same_topic(before: uuid.UUID, after: uuid.UUID) -> bool:
    """Whether ids are those of one topic; brokers before Kafka 2.8 have none."""
    return before == after or ZERO_UUID in (before, after)


def _without_gaps(
    described: Iterable[DescribedPartition],
) -> Iterable[tuple[int, DescribedPartition | None]]:
    """Partitions by number from 0 on; those that the answer leaves out are unknown."""
    by_number = {p.partition_index: p for p in described if p.partition_index >= 0}
    # No more numbers than entries: an answer can't make us fill up two billion unknown ones.
    count = min(max(by_number, default=-1) + 1, 2 * len(by_number))
    return ((number, by_number.get(number)) for number in range(count))


def _merged_partition(
    known: PartitionView | None, number: int, described: DescribedPartition | None
) -> PartitionView:
    if described is None:
        return known or PartitionView(number, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if known is not None and NO_EPOCH < described.leader_epoch < known.leader_epoch:
        return known
    return PartitionView(
        number,
        described.leader_id,
        described.leader_epoch,
        tuple(described.replica_nodes),
        tuple(described.isr_nodes),
        tuple(described.offline_replicas),
        described.error_code,
    )


def _moved(before: TopicView | None, after: TopicView) -> set[tuple[str, int]]:
    known = before.partitions if before is not None else ()
    return {
        (after.name, partition.number)
        for partition in after.partitions
        if partition.number >= len(known)
        or (known[partition.number].leader_id, known[partition.number].leader_epoch)
        != (partition.leader_id, partition.leader_epoch)
    }
