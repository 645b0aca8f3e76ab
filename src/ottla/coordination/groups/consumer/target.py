"""The target assignment: what an assignor makes of a group's members and topics."""

from __future__ import annotations

from collections.abc import Mapping

from ottla.coordination.groups import assignors
from ottla.coordination.groups.assignors.specification import AssignorMember, Specification
from ottla.coordination.groups.consumer import group_log, topics
from ottla.coordination.groups.consumer.draft import ConsumerDraft
from ottla.coordination.groups.consumer.group import NO_TARGET
from ottla.coordination.groups.consumer.group_log import Target
from ottla.coordination.outcome import size_bytes
from ottla.wire.group_records.consumer import ConsumerGroupTargetAssignmentMetadataValue


def update_if_due(draft: ConsumerDraft) -> None:
    """Makes an assignment for the group's epoch, unless the last one is too recent.

    Members that come one after the other would else cost an assignment each. Who has to wait gets
    its part with one of its next heartbeats.
    """
    group = draft.group
    if group.epoch <= group.target_epoch:
        return
    since_ms = draft.now_ms - group.assignment_timestamp_ms
    shard = draft.shard
    interval_ms = shard.consumer_times.of(shard, group.group_id).assignment_interval_ms
    if group.assignment_timestamp_ms and 0 <= since_ms < interval_ms:
        return
    _update(draft)


def _update(draft: ConsumerDraft) -> None:
    group = draft.group
    name = group.preferred_assignor() or draft.shard.settings.consumer_assignors[0]
    if name not in draft.shard.settings.consumer_assignors:
        # A member chose it while the broker still had it.
        name = draft.shard.settings.consumer_assignors[0]
    targets = dict(group.targets.items())
    specification = _specification(draft, targets)
    assignment = assignors.find(name)(specification)
    for member in specification.members:
        member_id = member.member_id
        share, before = assignment.get(member_id, {}), targets.get(member_id)
        if share is before:
            continue
        target = {
            topic_id: tuple(partitions) for topic_id, partitions in share.items() if partitions
        }
        if target != before:
            key = group_log.target_key(group.group_id, member_id)
            draft.emit(key, group_log.target_value(target))
    draft.emit(
        group_log.target_metadata_key(group.group_id),
        ConsumerGroupTargetAssignmentMetadataValue(
            assignment_epoch=group.epoch, assignment_timestamp=draft.now_ms
        ),
    )

    if size_bytes(draft.outcome.records) > draft.shard.settings.max_batch_bytes:
        # In several batches: the target's epoch comes last, so that an assignment whose end was
        # lost in a crash is made anew.
        draft.outcome.is_atomic = False


def _specification(draft: ConsumerDraft, targets: Mapping[str, Target]) -> Specification:
    group = draft.group
    members = [
        AssignorMember(
            member.member_id,
            member.instance_id,
            draft.topic_ids(member),
            targets.get(member.member_id, NO_TARGET),
        )
        for member in group.members.values()
    ]
    return Specification(
        members,
        topics.partition_counts(draft.shard.image, group.subscribed_topics()),
        group.is_homogeneous,
    )
