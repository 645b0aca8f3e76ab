"""Share sessions (KIP-932): a broker remembers what a member reads from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ottla.client.core.sharing.acknowledgements import PartitionId

_OPEN = 0
_FINAL = -1
_MAX_EPOCH = 2**31 - 1


class SessionChange(NamedTuple):
    """What a ShareFetch tells the session."""

    epoch: int
    added: list[PartitionId]
    forgotten: list[PartitionId]


class ShareSession:
    """The session with one broker. One request is under way at a time, as their epochs count."""

    __slots__ = ("_epoch", "_known")

    def __init__(self) -> None:
        self._epoch = _OPEN
        self._known: dict[PartitionId, None] = {}

    @property
    def is_open(self) -> bool:
        """Whether the broker has the session, and so takes acknowledgements."""
        return self._epoch != _OPEN

    def knows(self, partition: PartitionId) -> bool:
        """Whether the session holds the partition."""
        return partition in self._known

    def fetch(self, wanted: Iterable[PartitionId]) -> SessionChange:
        """What to tell in order to read these partitions, and no others."""
        before, self._known = self._known, dict.fromkeys(wanted)
        return SessionChange(
            self._epoch,
            [each for each in self._known if each not in before],
            [each for each in before if each not in self._known],
        )

    def acknowledge(self) -> int:
        """The epoch of a ShareAcknowledge."""
        return self._epoch

    def close(self) -> int:
        """The epoch of the last request."""
        self.reset()
        return _FINAL

    def answered(self) -> None:
        """A request was answered without an error."""
        self._epoch = 1 if self._epoch == _MAX_EPOCH else self._epoch + 1

    def reset(self) -> None:
        """There was no answer, or an error: begin a session anew."""
        self._epoch = _OPEN
        self._known = {}
