"""Text lines to records and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.client.appended import APPENDED, WAKE

if TYPE_CHECKING:
    from ottla.client._reference_accumulator import Accumulator
    from ottla.client._reference_cursor import MessageCursor

_FULL_BYTES = 1 << 20


def append_lines(
    accumulator: Accumulator,
    topic: str,
    partition: int,
    data: bytes | bytearray | memoryview,
    start: int,
    callback: Any,
) -> tuple[int, int, bool, int]:
    r"""Append each line from ``start`` on as a value, up to the first one that is refused.

    Only what a ``\n`` ends is a line; it is no part of the value.

    Args:
        accumulator: where they go.
        topic: of all of them.
        partition: of all of them; -1: the partitioner chooses.
        data: the text.
        start: where in it to begin.
        callback: of all of them.

    Returns:
        Where the next line begins, how many were appended, whether the engine has to look, and why
        the next one was refused (``APPENDED``: there is no whole line left).
    """
    text = bytes(data)
    position = max(start, 0)
    count = 0
    wakes = False
    while (end := text.find(b"\n", position)) >= 0:
        answer = accumulator.append(topic, partition, None, text[position:end], None, 0, callback)
        if answer == WAKE:
            wakes = True
        elif answer != APPENDED:
            return position, count, wakes, answer
        position = end + 1
        count += 1
    return position, count, wakes, APPENDED


class RecordLines:
    r"""The values of records, each followed by a separator.

    Args:
        separator: what ends each value.
        null: what stands for a value that is null.

    Attributes:
        count: how many values there are.
        is_full: whether it takes no more.
        runs: (topic, partition, first offset, its leader epoch) of each part.
        data: the text, a buffer.
    """

    def __init__(self, separator: bytes = b"\n", null: bytes = b"null") -> None:
        self.count = 0
        self.is_full = False
        self.runs: list[tuple[str, int, int, int]] = []
        self.data = bytearray()
        self._separator = separator
        self._null = null

    def extend(self, cursor: MessageCursor, limit: int, /) -> int:
        """Add values of a cursor, at most so many; fewer at its end, or when this is full.

        Returns:
            How many were added.
        """
        first = self.count
        while self.count - first < limit:
            self.is_full = len(self.data) >= _FULL_BYTES
            if self.is_full:
                break
            message = cursor.next()
            if message is None:
                break
            offset = message.offset()
            assert offset is not None
            if self.count == first:
                self.runs.append((cursor.topic, cursor.partition, offset, cursor.consumed_epoch))
            value = message.value()
            self.data += self._null if value is None else value
            self.data += self._separator
            self.count += 1
        return self.count - first
