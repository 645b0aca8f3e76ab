"""The working copy on which a decision about a share group is made: it replays what it decides."""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping
from uuid import UUID

from ottla.coordination.groups.timers import session_timer
from ottla.coordination.outcome import CoordinatorRecord, Outcome
from ottla.coordination.share_groups import records
from ottla.coordination.share_groups.assignor import assign
from ottla.coordination.share_groups.group import NOTHING, ShareGroup, ShareMember, StateTopic
from ottla.metadata.image import ClusterImage, TopicImage
from ottla.wire.group_records import decode_key, decode_value


class Draft:
    """A share group as it will be once the outcome is performed."""

    __slots__ = ("group", "image", "now_ms", "outcome")

    def __init__(
        self, group: ShareGroup, image: ClusterImage, now_ms: int, outcome: Outcome
    ) -> None:
        self.group = _copy(group)
        self.image = image
        self.now_ms = now_ms
        self.outcome = outcome

    def write(self, *written: CoordinatorRecord) -> None:
        """Adds records to the outcome and lets them happen to the copy."""
        for record in written:
            self.outcome.records.append(record)
            key = decode_key(record.key)
            value = None if record.value is None else decode_value(key, record.value)
            records.replay_into(self.group, key, value)

    def remove_member(self, member_id: str) -> None:
        """Takes a member out; the others are assigned its partitions with their next heartbeats."""
        group_id = self.group.group_id
        self.write(*records.member_tombstones(group_id, member_id))
        self.outcome.cancel_timer(session_timer(group_id, member_id))
        self.raise_epoch()

    def raise_epoch(self) -> None:
        """Asks for another assignment."""
        group = self.group
        epoch_record = records.epoch_record(group.group_id, group.epoch + 1, self.metadata_hash())
        self.write(epoch_record)

    def metadata_hash(self) -> int:
        """Of the subscribed topics and their partitions: another one asks for an assignment."""
        text = ",".join(
            f"{topic.topic_id}:{len(topic.partitions)}" for topic in self.subscribed_topics()
        )
        return binascii.crc32(text.encode())

    def subscribed_topics(self) -> list[TopicImage]:
        """The topics that exist of those the members subscribe to."""
        names = {
            name for member in self.group.members.values() for name in member.subscribed_topic_names
        }
        topics = self.image.topics
        return [topics[name] for name in sorted(names) if name in topics]

    def uninitialized(self) -> dict[UUID, frozenset[int]]:
        """The partitions of subscribed topics that have no state yet."""
        missing = {}
        for topic in self.subscribed_topics():
            if topic.topic_id in self.group.deleting:
                continue
            ready = self.group.initialized.get(topic.topic_id)
            partitions = frozenset(range(len(topic.partitions)))
            partitions -= ready.partitions if ready is not None else frozenset()
            if partitions:
                missing[topic.topic_id] = partitions
        return missing

    def begin_initializing(self, partitions: Mapping[UUID, frozenset[int]]) -> None:
        """Notes that state of the partitions is being made; unknown topics are passed over."""
        group = self.group
        initializing = dict(group.initializing)
        for topic_id, added in partitions.items():
            name = self._name_of(topic_id)
            if name is not None:
                known = initializing.get(topic_id, StateTopic(name, frozenset()))
                partitions_now = known.partitions | added
                initializing[topic_id] = known._replace(partitions=partitions_now)
        if initializing != group.initializing:
            self.write_state_partitions(initializing=initializing)

    def end_initializing(self, partitions: Mapping[UUID, frozenset[int]]) -> None:
        """Notes that the partitions have state and may be assigned."""
        group = self.group
        initializing, initialized = dict(group.initializing), dict(group.initialized)
        for topic_id, ready in partitions.items():
            coming = initializing.pop(topic_id, None)
            if coming is None:
                # Deleted meanwhile.
                continue
            left = coming.partitions - ready
            if left:
                initializing[topic_id] = coming._replace(partitions=left)
            known = initialized.get(topic_id, StateTopic(coming.name, frozenset()))
            initialized[topic_id] = known._replace(
                partitions=known.partitions | (coming.partitions & ready)
            )
        if initialized != group.initialized or initializing != group.initializing:
            self.write_state_partitions(initializing=initializing, initialized=initialized)

    def write_state_partitions(
        self,
        *,
        initializing: Mapping[UUID, StateTopic] | None = None,
        initialized: Mapping[UUID, StateTopic] | None = None,
        deleting: Mapping[UUID, str] | None = None,
    ) -> None:
        """Changes which partitions have state; ``None`` leaves a part as it is."""
        group = self.group
        self.write(
            records.state_partitions_record(
                group.group_id,
                group.initializing if initializing is None else initializing,
                group.initialized if initialized is None else initialized,
                group.deleting if deleting is None else deleting,
            )
        )

    def reassign(self) -> None:
        """Makes the assignment for the group's epoch."""
        group = self.group
        topics = {topic.name: topic.topic_id for topic in self.subscribed_topics()}
        made = assign(
            {member.member_id: _topic_ids(member, topics) for member in group.members.values()},
            {topic_id: topic.partitions for topic_id, topic in group.initialized.items()},
            group.target,
        )
        for member_id, parts in made.items():
            if group.target.get(member_id, NOTHING) != parts or member_id not in group.target:
                self.write(records.target_record(group.group_id, member_id, parts))
        self.write(records.target_epoch_record(group.group_id, group.epoch, self.now_ms))

    def _name_of(self, topic_id: UUID) -> str | None:
        return self.image.topic_names.get(topic_id)


def _topic_ids(member: ShareMember, topics: Mapping[str, UUID]) -> Iterable[UUID]:
    return [topics[name] for name in member.subscribed_topic_names if name in topics]


def _copy(group: ShareGroup) -> ShareGroup:
    copy = ShareGroup(group.group_id)
    for name in ShareGroup.__slots__:
        value = getattr(group, name)
        setattr(copy, name, dict(value) if isinstance(value, dict) else value)
    return copy
