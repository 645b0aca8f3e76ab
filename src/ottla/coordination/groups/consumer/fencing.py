"""Taking members out of a group: they left, or weren't heard of, or didn't give up partitions."""

from __future__ import annotations

from collections.abc import Collection

from ottla.coordination.groups.consumer import conversion, topics
from ottla.coordination.groups.consumer.draft import ConsumerDraft
from ottla.coordination.groups.consumer.member import ConsumerMember


def remove_members(draft: ConsumerDraft, members: Collection[ConsumerMember]) -> None:
    """Takes the members out, and raises the epoch for those who remain.

    When only members of the classic protocol remain, the group becomes a classic one again.
    """
    if not members:
        return
    leaving = {member.member_id for member in members}
    if conversion.can_downgrade(draft, leaving):
        conversion.downgrade(draft, leaving)
        return
    for member in members:
        draft.cancel_timers(member.member_id)
        draft.remove(member.member_id)
    for regex in {member.regex for member in members if member.regex}:
        if regex not in draft.group.regex_counts:
            draft.forget_regex(regex)
    subscribed = draft.group.subscribed_topics()
    draft.put_epoch(topics.metadata_hash(draft.shard.image, subscribed))
