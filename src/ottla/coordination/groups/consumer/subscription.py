"""What a member subscribes to, and what a change of it means for the group."""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from ottla.coordination.groups.consumer import group_log, patterns, topics
from ottla.coordination.groups.consumer.draft import ConsumerDraft
from ottla.coordination.groups.consumer.member import ConsumerMember, MemberState
from ottla.coordination.groups.consumer.reconciliation import Goal, Owned
from ottla.coordination.groups.consumer.reconciliation import reconcile as reconcile_member
from ottla.coordination.groups.timers import TimerKind
from ottla.wire.api.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from ottla.wire.group_records.consumer import ConsumerGroupRegularExpressionValue

if TYPE_CHECKING:
    from ottla.coordination.groups.commands import ClientContext

# How soon patterns are matched again when topics keep coming and going.
_MIN_PATTERNS_INTERVAL_MS = 1_000


class Change(Enum):
    """What a request changed of a subscription."""

    NOTHING = 0
    #: Another regular expression, whose topics aren't known yet.
    PATTERN = 1
    #: Other topics: the group epoch has to grow.
    TOPICS = 2


def updated(
    member: ConsumerMember, request: ConsumerGroupHeartbeatRequest, context: ClientContext
) -> ConsumerMember:
    """The member with what the request says; null means unchanged."""
    names = request.subscribed_topic_names
    regex = request.subscribed_topic_regex
    timeout_ms = request.rebalance_timeout_ms
    if says_nothing_new(member, request, context):
        return member
    return member._replace(
        instance_id=request.instance_id or member.instance_id,
        rack_id=request.rack_id or member.rack_id,
        rebalance_timeout_ms=member.rebalance_timeout_ms if timeout_ms == -1 else timeout_ms,
        server_assignor=request.server_assignor or member.server_assignor,
        topics=member.topics if names is None else frozenset(names),
        regex=member.regex if regex is None else regex,
        client_id=context.client_id,
        client_host=context.client_host,
        classic=None,
    )


def says_nothing_new(
    member: ConsumerMember, request: ConsumerGroupHeartbeatRequest, context: ClientContext
) -> bool:
    """Whether the request leaves out all of the subscription, as nearly all heartbeats do."""
    return (
        request.subscribed_topic_names is None
        and request.subscribed_topic_regex is None
        and request.instance_id is None
        and request.rack_id is None
        and request.server_assignor is None
        and request.rebalance_timeout_ms == -1
        and member.classic is None
        and member.client_id == context.client_id
        and member.client_host == context.client_host
    )


def record(draft: ConsumerDraft, member: ConsumerMember, new: ConsumerMember) -> Change:
    """Records the member's subscription if it changed, and the group epoch if that has to grow.

    Raises:
        ProtocolError: INVALID_REGULAR_EXPRESSION.
    """
    group = draft.group
    change = Change.TOPICS if new.topics != member.topics else Change.NOTHING
    if new.regex != member.regex:
        change = max(change, _change_of_pattern(draft, new), key=lambda each: each.value)
    is_new = new.member_id not in group.members
    if is_new or (new is not member and new.subscription != member.subscription):
        draft.put_subscription(new)
    if member.regex and member.regex not in group.regex_counts:
        draft.forget_regex(member.regex)
    schedule_patterns(draft)
    image_topics = draft.shard.image.topics
    must_bump = group.epoch == 0 or change is Change.TOPICS
    if must_bump or group.topics_seen is not image_topics:
        subscribed = group.subscribed_topics()
        metadata_hash = topics.metadata_hash(draft.shard.image, subscribed)
        if must_bump or metadata_hash != group.metadata_hash:
            draft.put_epoch(metadata_hash)
        if group.topics_seen is not image_topics:
            draft.see_topics(with_patterns=False)
    return change


def _change_of_pattern(draft: ConsumerDraft, new: ConsumerMember) -> Change:
    if new.regex and new.regex not in draft.group.regex_counts:
        patterns.check(new.regex, draft.shard.settings.max_regex_length)
    return Change.TOPICS if new.regex in draft.group.resolved else Change.PATTERN


def schedule_patterns(draft: ConsumerDraft) -> None:
    """Has the group's regular expressions matched soon, if they may match other topics now.

    Not at once: matching takes a while where there are many topics, and no answer waits for it.
    """
    group = draft.group
    if not group.regex_counts:
        return
    since_ms = draft.now_ms - group.matched_ms
    delay_ms = None
    if any(regex not in group.resolved for regex in group.regex_counts):
        delay_ms = 0
    elif (
        group.matched_topics is not draft.shard.image.topics
        or since_ms >= draft.shard.settings.consumer_regex_refresh_interval_ms
    ):
        delay_ms = max(_MIN_PATTERNS_INTERVAL_MS - since_ms, 0) if group.matched_ms else 0
    if delay_ms is not None:
        draft.set_timer(TimerKind.PATTERNS, "", delay_ms)


def _to_match(draft: ConsumerDraft) -> list[str]:
    """All regular expressions; but only the new ones while the topics are the same."""
    group = draft.group
    refresh_ms = draft.shard.settings.consumer_regex_refresh_interval_ms
    is_fresh = draft.now_ms - group.matched_ms < refresh_ms
    if group.matched_topics is draft.shard.image.topics and is_fresh:
        return [regex for regex in group.regex_counts if regex not in group.resolved]
    return list(group.regex_counts)


def reconcile(
    draft: ConsumerDraft, member: ConsumerMember, owned: Owned | None, change: Change
) -> ConsumerMember:
    """Takes the member a step towards its target and records it.

    Raises:
        ProtocolError: see `reconciliation.reconcile`.
    """
    group = draft.group
    has_changed = change is not Change.NOTHING
    if not has_changed and member.is_reconciled_to(group.target_epoch):
        return member
    goal = Goal(
        group.target_epoch,
        group.target(member.member_id),
        draft.topic_ids(member),
        partial(group.is_held_by_other, member),
    )
    new = reconcile_member(member, goal, owned, has_subscription_changed=has_changed)
    if new != member:
        draft.put_assignment(new)
        if new.state is MemberState.UNREVOKED_PARTITIONS and new.classic is None:
            draft.set_timer(TimerKind.REVOCATION, member.member_id, member.rebalance_timeout_ms)
        else:
            draft.cancel_timer(TimerKind.REVOCATION, member.member_id)
    return new


def on_patterns_timer(draft: ConsumerDraft) -> None:
    """Matches the group's regular expressions; other topics than before raise the epoch."""
    group = draft.group
    image = draft.shard.image
    found = patterns.matching(_to_match(draft), image.topics)
    for regex, names in found.items():
        known = group.resolved.get(regex)
        if known is None or known.topics != frozenset(names):
            draft.emit(
                group_log.regex_key(group.group_id, regex),
                ConsumerGroupRegularExpressionValue(
                    topics=names, version=0, timestamp=draft.now_ms
                ),
            )
    metadata_hash = topics.metadata_hash(image, group.subscribed_topics())
    if draft.outcome.records or metadata_hash != group.metadata_hash:
        draft.put_epoch(metadata_hash)
    draft.see_topics(with_patterns=True)
