"""Which leader epoch wrote which offsets (KIP-101)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from ottla.log.names import LEADER_EPOCH_CHECKPOINT
from ottla.log.text_files import EpochStart, format_epoch_checkpoint

UNDEFINED_EPOCH = -1
UNDEFINED_OFFSET = -1


class LeaderEpochCache:
    """Leader epochs and their first offsets, both strictly increasing.

    ``changed`` tells that the checkpoint file is out of date. The file may lag behind, because
    recovery finds the epochs of unflushed batches in their headers.
    """

    __slots__ = ("_epochs", "_starts", "changed")

    def __init__(self, entries: Iterable[EpochStart] = ()) -> None:
        self._epochs: list[int] = []
        self._starts: list[int] = []
        for epoch, start_offset in entries:
            self.assign(epoch, start_offset)
        self.changed = False

    @property
    def entries(self) -> list[EpochStart]:
        return [EpochStart(*pair) for pair in zip(self._epochs, self._starts, strict=True)]

    @property
    def latest_epoch(self) -> int:
        """The last epoch written, or ``UNDEFINED_EPOCH``."""
        return self._epochs[-1] if self._epochs else UNDEFINED_EPOCH

    def assign(self, epoch: int, start_offset: int) -> None:
        """Note that ``epoch`` starts at ``start_offset``; later conflicting entries go."""
        if epoch < 0 or start_offset < 0 or epoch == self.latest_epoch:
            return
        while self._epochs and (self._epochs[-1] >= epoch or self._starts[-1] >= start_offset):
            self._epochs.pop()
            self._starts.pop()
        self._epochs.append(epoch)
        self._starts.append(start_offset)
        self.changed = True

    def observe(self, epoch: int, start_offset: int) -> None:
        """Note a batch that is already in the log: only an epoch newer than all counts."""
        if epoch > self.latest_epoch:
            self.assign(epoch, start_offset)

    def end_offset_for(self, epoch: int, log_end_offset: int) -> tuple[int, int]:
        """The largest epoch up to ``epoch`` and where it ended, or two undefined values.

        The latest epoch ends at the log's end. For an epoch before all known ones the answer is
        that epoch itself and the first known start.
        """
        if epoch < 0 or not self._epochs or epoch > self._epochs[-1]:
            return UNDEFINED_EPOCH, UNDEFINED_OFFSET
        if epoch == self._epochs[-1]:
            return epoch, log_end_offset
        following = bisect_right(self._epochs, epoch)
        if following == 0:
            return epoch, self._starts[0]
        return self._epochs[following - 1], self._starts[following]

    def epoch_of(self, offset: int) -> int:
        """The epoch that wrote ``offset``, or ``UNDEFINED_EPOCH``."""
        following = bisect_right(self._starts, offset)
        return self._epochs[following - 1] if following else UNDEFINED_EPOCH

    def truncate_from_end(self, end_offset: int) -> None:
        """Forget epochs that start at or after the log's new end."""
        while self._starts and self._starts[-1] >= end_offset:
            self._epochs.pop()
            self._starts.pop()
            self.changed = True

    def truncate_from_start(self, start_offset: int) -> None:
        """Forget epochs that ended before the log's new start; the one that spans it moves up."""
        following = bisect_right(self._starts, start_offset)
        if following == 0 or (following == 1 and self._starts[0] == start_offset):
            return
        del self._epochs[: following - 1]
        del self._starts[: following - 1]
        self._starts[0] = start_offset
        self.changed = True

    def take_changes(self, directory: str) -> list[tuple[str, bytes]]:
        """The checkpoint file that has to be replaced, and its content, if there are changes."""
        if not self.changed:
            return []
        self.changed = False
        path = f"{directory}/{LEADER_EPOCH_CHECKPOINT}"
        return [(path, format_epoch_checkpoint(self.entries))]

    def clear(self) -> None:
        """Forget every epoch."""
        self.changed = self.changed or bool(self._epochs)
        self._epochs.clear()
        self._starts.clear()
