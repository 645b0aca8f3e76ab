"""The working copy on which a decision about one consumer group is made."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from ottla.coordination.groups.consumer import group_log, topics
from ottla.coordination.groups.consumer.group import ConsumerGroup, MemberCalled, TopicsSeen
from ottla.coordination.groups.consumer.member import ConsumerMember
from ottla.coordination.groups.group_log import written
from ottla.coordination.groups.timers import TimerKey, TimerKind, session_timer
from ottla.coordination.outcome import Outcome
from ottla.wire.group_records import GroupRecordKey, GroupRecordValue
from ottla.wire.group_records.consumer import ConsumerGroupMetadataValue

if TYPE_CHECKING:
    from ottla.coordination.groups.shard import GroupShard

_LAST_EPOCH = 2**31 - 1


class ConsumerDraft:
    """A group as it will be once ``outcome`` is performed.

    Each record emitted is replayed on a copy of the group, so that what follows is decided on the
    state it will meet, by the very code that will bring it about.
    """

    __slots__ = (
        "_has_raised_epoch",
        "_raises_epoch_once",
        "_topic_ids",
        "group",
        "now_ms",
        "outcome",
        "shard",
    )

    def __init__(
        self,
        shard: GroupShard,
        group: ConsumerGroup,
        outcome: Outcome,
        now_ms: int,
        *,
        raises_epoch_once: bool = False,
    ) -> None:
        """
        Args:
            raises_epoch_once: all that happens belongs to one epoch.
        """
        self._raises_epoch_once = raises_epoch_once
        self._has_raised_epoch = False
        self._topic_ids: dict[frozenset[str], frozenset[UUID]] = {}
        self.shard = shard
        self.group = group.draft()
        self.outcome = outcome
        self.now_ms = now_ms

    def emit(self, key: GroupRecordKey, value: GroupRecordValue | None) -> None:
        """Adds a record to the outcome and lets it happen to the copy."""
        self.outcome.records.append(written(key, value))
        self.group.replay(key, value)

    def put_subscription(self, member: ConsumerMember) -> None:
        """Records who the member is and what it subscribes to."""
        group_id = self.group.group_id
        self.emit(group_log.member_key(group_id, member.member_id), group_log.member_value(member))

    def put_assignment(self, member: ConsumerMember) -> None:
        """Records what the member owns, and at which epoch."""
        group_id = self.group.group_id
        key = group_log.current_key(group_id, member.member_id)
        self.outcome.records.append(written(key, group_log.current_value(member)))
        # What the record says, without reading it: there is one for each member of a group.
        self.group.assign(member)

    def remove(self, member_id: str) -> None:
        """Takes a member out; the caller raises the epoch."""
        group_id = self.group.group_id
        self.emit(group_log.current_key(group_id, member_id), None)
        self.emit(group_log.target_key(group_id, member_id), None)
        self.emit(group_log.member_key(group_id, member_id), None)

    def topic_ids(self, member: ConsumerMember) -> frozenset[UUID]:
        """The topics that a member subscribes to and that exist."""
        names = self.group.topics_of(member)
        # Most members subscribe alike, so each wording is looked up once.
        found = self._topic_ids.get(names)
        if found is None:
            found = self._topic_ids[names] = topics.topic_ids(self.shard.image, names)
        return found

    def put_epoch(self, metadata_hash: int) -> None:
        """Raises the group epoch: members, subscriptions or topics have changed."""
        epoch = min(self.group.epoch + 1, _LAST_EPOCH)
        if self._raises_epoch_once and self._has_raised_epoch:
            if metadata_hash == self.group.metadata_hash:
                return
            epoch = self.group.epoch
        self._has_raised_epoch = True
        self.emit(
            group_log.group_key(self.group.group_id),
            ConsumerGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash),
        )
        if self.group.has_partition_metadata:
            self.emit(group_log.partition_metadata_key(self.group.group_id), None)

    def forget_regex(self, regex: str) -> None:
        """Forgets what a regular expression matched, now that nobody subscribes by it."""
        if regex in self.group.resolved:
            self.emit(group_log.regex_key(self.group.group_id, regex), None)

    def see_topics(self, *, with_patterns: bool) -> None:
        """Remembers that the group is up to date with the cluster's topics."""
        event = TopicsSeen(self.group.group_id, self.shard.image.topics, with_patterns, self.now_ms)
        self._emit(event)

    def call(self, member: ConsumerMember) -> None:
        """Gives a classic member that is told to join again its rebalance timeout to do so."""
        if member.member_id in self.group.called:
            return
        self._emit(MemberCalled(self.group.group_id, member.member_id, is_called=True))
        self.set_timer(TimerKind.MEMBER_JOIN, member.member_id, member.rebalance_timeout_ms)

    def has_come(self, member_id: str) -> None:
        """A classic member has joined again."""
        if member_id in self.group.called:
            self._emit(MemberCalled(self.group.group_id, member_id, is_called=False))
            self.cancel_timer(TimerKind.MEMBER_JOIN, member_id)

    def _emit(self, event: TopicsSeen | MemberCalled) -> None:
        self.outcome.events.append(event)
        self.group.apply(event)

    # Timers

    def restart_session(self, member_id: str, timeout_ms: int) -> None:
        """Gives the member another session timeout from now."""
        key = session_timer(self.group.group_id, member_id)
        self.outcome.set_timer(key, self.now_ms + timeout_ms)

    def set_timer(self, kind: TimerKind, member_id: str, timeout_ms: int) -> None:
        """Sets one of the member's other timers anew."""
        key = TimerKey(kind, self.group.group_id, member_id)
        self.outcome.set_timer(key, self.now_ms + timeout_ms)

    def cancel_timer(self, kind: TimerKind, member_id: str) -> None:
        """Cancels one of the member's timers."""
        self.outcome.cancel_timer(TimerKey(kind, self.group.group_id, member_id))

    def cancel_timers(self, member_id: str) -> None:
        """Cancels all timers of a member that is no more."""
        for kind in (
            TimerKind.SESSION,
            TimerKind.REVOCATION,
            TimerKind.MEMBER_JOIN,
            TimerKind.MEMBER_SYNC,
        ):
            self.cancel_timer(kind, member_id)
