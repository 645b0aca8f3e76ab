"""Sharing among members that want different topics.

An assignment is even when no member could get rid of a partition so that one with at least two
fewer gets one more: by giving it away, or by giving it to a third which gives one of its own, and
so on. Every such chain lowers the sum of the squared counts, so the search ends, at the lowest.
"""

from __future__ import annotations

from collections import deque

from ottla.client.core.membership.assignors.values import Assignment, Member, Partition, Topics


def share_unevenly(
    members: list[Member],
    topics: Topics,
    owners: dict[Partition, str],
    *,
    is_by_rack: bool,
) -> Assignment:
    """Keep what was owned, place what is free with the emptiest, then move until it is even."""
    return _Sharing(members, topics, owners, is_by_rack).run()


class _Sharing:
    def __init__(
        self,
        members: list[Member],
        topics: Topics,
        owners: dict[Partition, str],
        is_by_rack: bool,
    ) -> None:
        self._topics = topics
        self._owners = owners
        self._is_by_rack = is_by_rack
        self._racks = {m.member_id: m.rack if is_by_rack else None for m in members}
        self._subscribers = {
            topic: wanting
            for topic in sorted(topics)
            if (wanting := [m.member_id for m in members if topic in m.topics])
        }
        # Per member and topic: a move looks at topics, of which there are far fewer.
        self._held: dict[str, dict[str, set[Partition]]] = {m.member_id: {} for m in members}
        self._counts = {m.member_id: 0 for m in members}

    def run(self) -> Assignment:
        free = []
        for topic in self._subscribers:
            for number in range(len(self._topics[topic])):
                owner = self._owners.get((topic, number))
                if owner is None:
                    free.append((topic, number))
                else:
                    self._give((topic, number), owner)
        # Those that few members could take choose first.
        for partition in sorted(free, key=lambda p: (len(self._subscribers[p[0]]), p)):
            self._give(partition, self._emptiest(partition[0], partition))
        while self._move_directly() or self._move_in_chains():
            pass
        return {
            member_id: [partition for held in by_topic.values() for partition in held]
            for member_id, by_topic in self._held.items()
        }

    def _give(self, partition: Partition, member_id: str) -> None:
        self._held[member_id].setdefault(partition[0], set()).add(partition)
        self._counts[member_id] += 1

    def _take(self, partition: Partition, member_id: str) -> None:
        self._held[member_id][partition[0]].remove(partition)
        self._counts[member_id] -= 1

    def _matches(self, member_id: str, partition: Partition) -> bool:
        rack = self._racks[member_id]
        return not rack or rack in self._topics[partition[0]][partition[1]]

    def _emptiest(self, topic: str, partition: Partition | None = None) -> str:
        """The subscriber with the fewest partitions; with the partition, in a rack of it."""
        if partition is None or not self._is_by_rack:
            return min(self._subscribers[topic], key=self._counts.__getitem__)
        return min(
            self._subscribers[topic],
            key=lambda member_id: (
                self._counts[member_id],
                not self._matches(member_id, partition),
            ),
        )

    def _move_directly(self) -> bool:
        """Let every member give away what others lack, the fullest first; whether any did."""
        has_moved = False
        for giver in sorted(self._counts, key=lambda member_id: -self._counts[member_id]):
            for topic in sorted(self._held[giver]):
                while self._held[giver][topic]:
                    taker = self._emptiest(topic)
                    if self._counts[taker] + 1 >= self._counts[giver]:
                        break
                    partition = self._least_missed(giver, taker, topic)
                    self._take(partition, giver)
                    self._give(partition, taker)
                    has_moved = True
        return has_moved

    def _move_in_chains(self) -> bool:
        """Let members that are too full push partitions along; whether any could."""
        has_moved = False
        for giver in sorted(self._counts, key=lambda member_id: -self._counts[member_id]):
            if self._counts[giver] - min(self._counts.values()) < 2:
                break
            chain = self._chain_from(giver)
            for source, topic, target in chain:
                partition = self._least_missed(source, target, topic)
                self._take(partition, source)
                self._give(partition, target)
            has_moved = has_moved or bool(chain)
        return has_moved

    def _chain_from(self, giver: str) -> list[tuple[str, str, str]]:
        """The shortest chain of moves to a member with two fewer: from whom, of what, to whom."""
        came_from: dict[str, tuple[str, str]] = {}
        seen_topics: set[str] = set()
        queue = deque([giver])
        while queue:
            source = queue.popleft()
            topics = [topic for topic, held in sorted(self._held[source].items()) if held]
            for topic in topics:
                if topic in seen_topics:
                    continue
                seen_topics.add(topic)
                for target in self._subscribers[topic]:
                    if target == giver or target in came_from:
                        continue
                    came_from[target] = source, topic
                    if self._counts[target] <= self._counts[giver] - 2:
                        return _trace(target, giver, came_from)
                    queue.append(target)
        return []

    def _least_missed(self, giver: str, taker: str, topic: str) -> Partition:
        """Of a member's partitions the one whose move costs the least stickiness, then locality."""
        return min(
            self._held[giver][topic],
            key=lambda partition: (
                self._owners.get(partition) != taker,
                self._owners.get(partition) == giver,
                not self._matches(taker, partition),
                partition,
            ),
        )


def _trace(
    target: str, giver: str, came_from: dict[str, tuple[str, str]]
) -> list[tuple[str, str, str]]:
    """The chain's moves, the last one first: nobody has to hold more than at the end."""
    moves = []
    while target != giver:
        source, topic = came_from[target]
        moves.append((source, topic, target))
        target = source
    return moves
