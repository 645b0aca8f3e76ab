"""Heartbeats that arrive together: one group epoch, one assignment and one batch for them all.

Fifty members that join one after the other would cost fifty assignments, each of which takes
partitions away from those that came before. Members that come at the same moment are all let in
first, then their group is assigned once, then each is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ottla.coordination.groups.consumer import heartbeat, target
from ottla.coordination.groups.consumer.draft import ConsumerDraft
from ottla.coordination.groups.consumer.group import ConsumerGroup
from ottla.coordination.groups.consumer.member import JOIN_EPOCH
from ottla.coordination.outcome import Outcome, size_bytes
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.coordination.groups.commands import ConsumerGroupHeartbeat
    from ottla.coordination.groups.shard import GroupShard

# How many are decided at once, so that the event loop turns between two lots.
_MAX_COMPANY = 500


def companies(
    commands: Iterable[ConsumerGroupHeartbeat],
) -> Iterator[Sequence[ConsumerGroupHeartbeat]]:
    """Those of each group that may be decided at once, in their order."""
    of_group: dict[str, dict[str, ConsumerGroupHeartbeat]] = {}
    for command in commands:
        group_id, member_id = command.request.group_id, command.request.member_id
        company = of_group.setdefault(group_id, {})
        if company and (
            member_id in company
            or len(company) >= _MAX_COMPANY
            or not (_is_plain(command) and _is_plain(next(iter(company.values()))))
        ):
            yield list(company.values())
            company.clear()
        company[member_id] = command
    for company in of_group.values():
        yield list(company.values())


def _is_plain(command: ConsumerGroupHeartbeat) -> bool:
    """Whether it concerns nobody but a member of its own, which lets itself be known by its id.

    Who leaves, or replaces another, changes what the next one meets.
    """
    request = command.request
    return (
        request.member_epoch >= JOIN_EPOCH
        and request.instance_id is None
        and request.subscribed_topic_regex is None
        and bool(request.member_id)
    )


def decide(
    shard: GroupShard, company: Sequence[ConsumerGroupHeartbeat], now_ms: int
) -> Outcome | None:
    """What they lead to; ``None`` if they have to be decided one by one: one of them is refused, or
    all of it is too much for one batch."""
    first = company[0].request
    group = shard.groups.get(first.group_id)
    if group is None and not shard.is_full and first.member_epoch == JOIN_EPOCH:
        group = ConsumerGroup(first.group_id)
    if len(company) == 1 or not isinstance(group, ConsumerGroup):
        return None
    outcome = Outcome()
    draft = ConsumerDraft(shard, group, outcome, now_ms, raises_epoch_once=True)
    try:
        entered = []
        for command in company:
            heartbeat.check(command.request, command.version, shard.settings)
            entered.append(heartbeat.enter(draft, command))
        target.update_if_due(draft)
        for command, each in zip(company, entered, strict=True):
            outcome.reply(command.token, heartbeat.answer(draft, each))
    except ProtocolError:
        return None
    if size_bytes(outcome.records) > shard.settings.max_batch_bytes:
        return None
    return outcome
