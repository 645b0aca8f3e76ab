"""How long a group takes to share its partitions out: many members joining at once, one leaving."""

from __future__ import annotations

from bench.arena import PAGE_CACHE, Arena, Contestant, figures
from bench.groups import Group
from bench.members import ClassicMember, ConsumerMember, Member
from bench.peers import topic_on
from bench.results import Better, Row, at_least

_MEMBERS = 50
_PARTITIONS = 100
_PROTOCOLS: dict[str, type[Member]] = {
    "classic": ClassicMember,
    "consumer (KIP-848)": ConsumerMember,
}
_AIM = 2.0


def measure(arena: Arena) -> list[Row]:
    rows = []
    section = f"rebalances, {_MEMBERS} members, {_PARTITIONS} partitions"
    for protocol, kind in _PROTOCOLS.items():
        results = arena.take_turns(
            PAGE_CACHE,
            lambda who, _, kind=kind: _one_group(arena, who, kind),  # type: ignore[misc]
        )
        for index, what in enumerate(("all join at once", "one leaves")):
            found = figures(results, lambda times, at=index: times[at] * 1000)  # type: ignore[misc]
            row = Row(section, f"{protocol}, {what}", "ms", **found, better=Better.LOWER)
            if row.ratio is not None:
                row.aim = at_least(row.ratio, _AIM, "x")
            rows.append(row)
    return rows


def _one_group(arena: Arena, contestant: Contestant, kind: type[Member]) -> tuple[float, float]:
    topic = arena.topic_name()
    with (
        topic_on(contestant.server, topic, partitions=_PARTITIONS),
        Group(
            kind,
            contestant.address,
            f"group-{topic}",
            topic,
            partitions=_PARTITIONS,
            members=_MEMBERS,
        ) as group,
    ):
        return group.join(), group.leave()
