"""How long a group takes to share its partitions out: many members joining at once, one leaving.

Rebalances are rare, so a JVM has seldom compiled what they run by the time somebody waits for one;
when it has, they may take half as long. Both are shown.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median

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
_GROUPS_OF_A_TURN = 5

# Seconds to join, and to go on when one has left.
Times = tuple[float, float]


def measure(arena: Arena) -> list[Row]:
    first: list[Row] = []
    usual: list[Row] = []
    for protocol, kind in _PROTOCOLS.items():
        first += _rows(arena, protocol, partial(_one_group, arena, kind=kind))
    for protocol, kind in _PROTOCOLS.items():
        usual += _rows(arena, protocol, partial(_usual_times, arena, kind=kind))
    for row in first:
        if row.ratio is not None:
            row.aim = at_least(row.ratio, _AIM, "x")
    for row in usual:
        row.name += ", after many groups"
    return first + usual


def _rows(arena: Arena, protocol: str, times_of: Callable[[Contestant], Times]) -> list[Row]:
    results = arena.take_turns(PAGE_CACHE, lambda who, _: times_of(who))
    section = f"rebalances, {_MEMBERS} members, {_PARTITIONS} partitions"
    rows = []
    for index, what in enumerate(("all join at once", "one leaves")):
        found = figures(results, lambda times, at=index: times[at] * 1000)  # type: ignore[misc]
        rows.append(Row(section, f"{protocol}, {what}", "ms", **found, better=Better.LOWER))
    return rows


def _one_group(arena: Arena, contestant: Contestant, kind: type[Member]) -> Times:
    return _times_of_groups(arena, contestant, kind, 1)[0]


def _usual_times(arena: Arena, contestant: Contestant, kind: type[Member]) -> Times:
    """The medians of some groups: which member is heard before which makes a difference."""
    times = _times_of_groups(arena, contestant, kind, _GROUPS_OF_A_TURN)
    return median(join for join, _ in times), median(leave for _, leave in times)


def _times_of_groups(
    arena: Arena, contestant: Contestant, kind: type[Member], count: int
) -> list[Times]:
    """One group after the other, of one topic: deleting that would disturb the next."""
    topic = arena.topic_name()
    times = []
    with topic_on(contestant.server, topic, partitions=_PARTITIONS):
        for number in range(count):
            with Group(
                kind,
                contestant.address,
                f"group-{topic}-{number}",
                topic,
                partitions=_PARTITIONS,
                members=_MEMBERS,
            ) as group:
                times.append((group.join(), group.leave()))
    return times
