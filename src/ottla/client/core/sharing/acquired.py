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
    """What is held of one place. Sets and dictionaries of offsets, not an object per record."""

    __slots__ = ("decided", "messages", "recordless", "undecided")

    def __init__(self) -> None:
        self.messages: list[Message[Any, Any]] = []
        self.undecided: set[int] = set()
        self.decided: dict[int, int] = {}
        # Offsets that hold no record for the application, and what is to be said of them.
        self.recordless: dict[int, int] = {}

    def add(
        self,
        acquired: Iterable[AcquiredRange],
        messages: Sequence[Message[Any, Any]],
        readable_to: int,
    ) -> None:
        offsets: set[int] = set()
        for first, last, _ in acquired:
            offsets.update(range(first, last + 1))
        if len(messages) < len(offsets):
            found = set(map(_offset, messages))
            for offset in offsets - found:
                is_gap = offset < readable_to
                self.recordless[offset] = GAP if is_gap else int(AcknowledgeType.RELEASE)
            offsets = found
        self.undecided |= offsets
        self.messages += messages

    def take(self) -> dict[int, int]:
        """What is decided. Other offsets go along with records, or alone when there are none."""
        if self.undecided and not self.decided:
            return {}
        taken = self.decided
        taken.update(self.recordless)
        self.decided, self.recordless = {}, {}
        return taken


class AcquiredRecords:
    """Belongs to the application's side: one thread at a time."""

    __slots__ = ("_held", "_renewed", "_renewing")

    def __init__(self) -> None:
        self._held: dict[Place, _Held] = {}
        # Records whose locks are being renewed, and those whose locks have been (KIP-1222).
        self._renewing: dict[tuple[Place, int], Message[Any, Any]] = {}
        self._renewed: list[tuple[Place, Message[Any, Any]]] = []

    @property
    def undecided_count(self) -> int:
        """How many records were handed out and not acknowledged."""
        return sum(len(held.undecided) for held in self._held.values())

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
        self._held.setdefault(place, _Held()).add(acquired, messages, readable_to)

    def acknowledge(self, topic: str, partition: int, offset: int, type_: int) -> bool:
        """Decide about a record; may be done anew until :meth:`take`.

        Returns:
            Whether there is such a record.
        """
        for place, held in self._held.items():
            if (place.topic, place.partition) == (topic, partition) and (
                offset in held.undecided or offset in held.decided
            ):
                held.undecided.discard(offset)
                held.decided[offset] = type_
                return True
        return False

    def decide_all(self, type_: AcknowledgeType, but: Iterable[Message[Any, Any]] = ()) -> None:
        """Decide the same about every record that nothing was decided about, but some."""
        left_out = {(each.topic(), each.partition(), _offset(each)) for each in but}
        for place, held in self._held.items():
            keep = {
                offset
                for topic, partition, offset in left_out
                if (topic, partition) == (place.topic, place.partition)
            } & held.undecided
            held.decided.update(dict.fromkeys(held.undecided - keep, int(type_)))
            held.undecided = keep

    def take(self) -> Decided:
        """All decisions that were not taken yet."""
        taken: Decided = []
        for place, held in list(self._held.items()):
            types = held.take()
            if types:
                taken.append((place, types))
                if AcknowledgeType.RENEW in types.values():
                    self._renew(place, types, held.messages)
            if not held.undecided and not held.decided:
                del self._held[place]
        return taken

    def _renew(
        self, place: Place, types: dict[int, int], messages: Iterable[Message[Any, Any]]
    ) -> None:
        for message in messages:
            offset = _offset(message)
            if types.get(offset) == AcknowledgeType.RENEW:
                self._renewing[place, offset] = message

    def settled(self, outcome: Outcome) -> None:
        """The broker has answered, or can't be told."""
        if not self._renewing:
            return
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
            held = self._held.setdefault(place, _Held())
            held.messages.append(message)
            held.undecided.add(_offset(message))
        return [message for _, message in renewed]


def _offset(message: Message[Any, Any]) -> int:
    offset = message.offset()
    assert offset is not None, "records have offsets"
    return offset
