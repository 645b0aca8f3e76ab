"""Acknowledgements on their way to the brokers (KIP-932)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from uuid import UUID

from ottla.client.errors import KafkaError

# Of an acquired offset that holds no record, or none for users. The other types are
# ``AcknowledgeType``'s.
GAP: Final = 0

PartitionId = tuple[UUID, int]


class Place(NamedTuple):
    """The broker that gave out a partition's records, which has to hear what becomes of them."""

    broker_id: int
    topic: str
    topic_id: UUID
    partition: int

    @property
    def partition_id(self) -> PartitionId:
        """The partition as requests name it."""
        return self.topic_id, self.partition


class Acknowledgements:
    """What was decided at one time about the records of one partition.

    Args:
        place: where they were acquired.
        types: offset -> acknowledge type.
        deadline_ms: when to give up telling the broker.
        is_told: whether the application hears of the outcome.
    """

    __slots__ = ("deadline_ms", "is_told", "place", "types")

    def __init__(
        self, place: Place, types: Mapping[int, int], deadline_ms: float, *, is_told: bool = True
    ) -> None:
        self.place = place
        self.types = types
        self.deadline_ms = deadline_ms
        self.is_told = is_told


class Outcome(NamedTuple):
    """What became of acknowledgements; without an error the broker has taken them."""

    acknowledgements: Acknowledgements
    error: KafkaError | None


class Range(NamedTuple):
    """Consecutive offsets as requests say them: one type for all of them, or one for each."""

    first_offset: int
    last_offset: int
    types: list[int]


def ranges(types: Mapping[int, int]) -> Iterator[Range]:
    """Offsets and their acknowledge types as the fewest ranges, in order."""
    if not types:
        return
    first, last = min(types), max(types)
    if last - first + 1 == len(types) and len(kinds := set(types.values())) == 1:
        # So it is nearly always, and there may be thousands.
        yield Range(first, last, list(kinds))
        return
    found: list[int] = []
    for offset in sorted(types):
        if found and offset == last + 1:
            found.append(types[offset])
        else:
            if found:
                yield _range(first, last, found)
            first, found = offset, [types[offset]]
        last = offset
    yield _range(first, last, found)


def _range(first: int, last: int, types: list[int]) -> Range:
    return Range(first, last, types[:1] if len(set(types)) == 1 else types)
