"""The records that the application holds, and what it has decided about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ottla.client.core.sharing.acknowledgements import GAP, Outcome, Place
from ottla.client.enumerations import AcknowledgeType
from ottla.client.message import Message

# First and last offset, and how often they have been delivered.
AcquiredRange = tuple[int, int, int]
Decided = list[tuple[Place, dict[int, int]]]


class _Held:
    """One acquired offset; ``type`` is None until something is decided."""

    __slots__ = ("message", "place", "type")

    def __init__(self, place: Place, message: Message[Any, Any] | None, type_: int | None) -> None:
        self.place = place
        self.message = message
        self.type = type_


class AcquiredRecords:
    """Belongs to the application's side: one thread at a time."""

    __slots__ = ("_held", "_renewed", "_renewing")

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], dict[int, _Held]] = {}
        # Records whose locks are being renewed, and those whose locks have been (KIP-1222).
        self._renewing: dict[tuple[Place, int], Message[Any, Any]] = {}
        self._renewed: list[tuple[Place, Message[Any, Any]]] = []

    @property
    def undecided_count(self) -> int:
        """How many records were handed out and not acknowledged."""
        return sum(
            held.type is None for records in self._held.values() for held in records.values()
        )

    @property
    def has_renewed(self) -> bool:
        """Whether there are records to hand out once more."""
        return bool(self._renewed)

    def add(
        self,
        place: Place,
        acquired: Iterable[AcquiredRange],
        messages: Sequence[Message[Any, Any]],
        readable_to: int,
    ) -> None:
        """Hand out the records of one answer.

        Args:
            place: where they come from.
            acquired: the offsets that were acquired.
            messages: the records among them.
            readable_to: the offset up to which all records could be read. What was acquired
                without a record is a gap below that, and is given back from there on.
        """
        records = self._held.setdefault((place.topic, place.partition), {})
        for first, last, _ in acquired:
            for offset in range(first, last + 1):
                missing = GAP if offset < readable_to else int(AcknowledgeType.RELEASE)
                records[offset] = _Held(place, None, missing)
        for message in messages:
            records[_offset(message)] = _Held(place, message, None)

    def acknowledge(self, topic: str, partition: int, offset: int, type_: int) -> bool:
        """Decide about a record; may be done anew until :meth:`take`.

        Returns:
            Whether there is such a record.
        """
        held = self._held.get((topic, partition), {}).get(offset)
        if held is None or held.message is None:
            return False
        held.type = type_
        return True

    def decide_all(self, type_: AcknowledgeType, but: Iterable[Message[Any, Any]] = ()) -> None:
        """Decide the same about every record that nothing was decided about, but some."""
        left_out = {id(message) for message in but}
        for records in self._held.values():
            for held in records.values():
                if held.type is None and id(held.message) not in left_out:
                    held.type = int(type_)

    def take(self) -> Decided:
        """All decisions that were not taken yet. Gaps go along with the records around them."""
        taken: dict[Place, dict[int, int]] = {}
        for key, records in list(self._held.items()):
            decided = {held.place for held in records.values() if _is_decision(held)}
            undecided = {held.place for held in records.values() if held.type is None}
            for offset, held in list(records.items()):
                type_, place = held.type, held.place
                if type_ is None or (place not in decided and place in undecided):
                    continue
                taken.setdefault(place, {})[offset] = type_
                del records[offset]
                if type_ == AcknowledgeType.RENEW and held.message is not None:
                    self._renewing[place, offset] = held.message
            if not records:
                del self._held[key]
        return list(taken.items())

    def settled(self, outcome: Outcome) -> None:
        """The broker has answered, or can't be told."""
        place = outcome.acknowledgements.place
        for offset, type_ in outcome.acknowledgements.types.items():
            if type_ == AcknowledgeType.RENEW:
                message = self._renewing.pop((place, offset), None)
                if message is not None and outcome.error is None:
                    self._renewed.append((place, message))

    def take_renewed(self) -> list[Message[Any, Any]]:
        """Hand out once more the records whose locks were renewed."""
        renewed, self._renewed = self._renewed, []
        for place, message in renewed:
            records = self._held.setdefault((place.topic, place.partition), {})
            records[_offset(message)] = _Held(place, message, None)
        return [message for _, message in renewed]


def _is_decision(held: _Held) -> bool:
    return held.type is not None and held.message is not None


def _offset(message: Message[Any, Any]) -> int:
    offset = message.offset()
    assert offset is not None, "records have offsets"
    return offset
