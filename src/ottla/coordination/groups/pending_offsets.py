"""Offsets committed within transactions that have not ended: written, but in effect for nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ottla.coordination.groups.committed import CommittedOffset


class OffsetKey(NamedTuple):
    """Whose position it is, and where."""

    group_id: str
    topic: str
    partition: int


class _Pending(NamedTuple):
    """A pending offset and its place in the order of all commits; ``None`` when a later commit of
    the same position is in effect already."""

    order: int
    committed: CommittedOffset | None


class PendingOffsets:
    """The pending offsets of a shard, by the producer in whose transaction they are."""

    __slots__ = ("_by_group", "_by_producer", "_order")

    def __init__(self) -> None:
        self._by_producer: dict[int, dict[OffsetKey, _Pending]] = {}
        # Group → position → producers; no producer, no entry.
        self._by_group: dict[str, dict[tuple[str, int], set[int]]] = {}
        self._order = 0

    def __len__(self) -> int:
        return len(self._by_producer)

    def put(self, producer_id: int, key: OffsetKey, committed: CommittedOffset) -> None:
        """Takes in an offset; of the same producer's for the same position the last one counts."""
        self._order += 1
        self._by_producer.setdefault(producer_id, {})[key] = _Pending(self._order, committed)
        positions = self._by_group.setdefault(key.group_id, {})
        positions.setdefault(key[1:], set()).add(producer_id)

    def overtake(self, key: OffsetKey) -> None:
        """A commit outside of any transaction: those pending come too late to undo it."""
        self._order += 1
        self._overtake(key, self._order)

    def _overtake(self, key: OffsetKey, order: int) -> None:
        for producer_id in self._by_group.get(key.group_id, {}).get(key[1:], ()):
            pending = self._by_producer[producer_id]
            if pending[key].order < order:
                pending[key] = pending[key]._replace(committed=None)

    def remove(self, key: OffsetKey) -> None:
        """The position was deleted: nobody's transaction brings it back."""
        for producer_id in tuple(self._by_group.get(key.group_id, {}).get(key[1:], ())):
            self._drop(producer_id, key)

    def end(
        self, producer_id: int, *, is_committed: bool
    ) -> list[tuple[OffsetKey, CommittedOffset]]:
        """The producer's transaction is over; returns what takes effect by that."""
        pending = self._by_producer.get(producer_id, {})
        effective = []
        for key, (order, committed) in list(pending.items()):
            self._drop(producer_id, key)
            if is_committed and committed is not None:
                effective.append((key, committed))
                self._overtake(key, order)
        return effective

    def _drop(self, producer_id: int, key: OffsetKey) -> None:
        pending = self._by_producer[producer_id]
        del pending[key]
        if not pending:
            del self._by_producer[producer_id]
        positions = self._by_group[key.group_id]
        producers = positions[key[1:]]
        producers.discard(producer_id)
        if not producers:
            del positions[key[1:]]
        if not positions:
            del self._by_group[key.group_id]

    def has(self, group_id: str, topic: str, partition: int) -> bool:
        """Whether a transaction may still change the position."""
        return (topic, partition) in self._by_group.get(group_id, {})

    def has_group(self, group_id: str) -> bool:
        """Whether any position of the group is pending."""
        return group_id in self._by_group

    def of_group(self, group_id: str) -> Iterator[tuple[str, int]]:
        """The group's pending positions: topic and partition."""
        yield from self._by_group.get(group_id, {})

    def group_ids(self) -> list[str]:
        """The groups that have pending positions."""
        return list(self._by_group)
