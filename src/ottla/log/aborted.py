"""The aborted transactions of a log: kept in its segments' indexes, looked up for readers."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ottla.log.errors import MalformedFile
from ottla.log.producer_recovery import rebuild_transaction_index
from ottla.log.reading import LogSlice
from ottla.log.segment import Segment
from ottla.log.segments import Segments
from ottla.log.snapshots import SnapshotFiles
from ottla.log.transactions import AbortedTransaction

_logger = logging.getLogger(__name__)


class AbortedTransactions:
    """What the transaction indexes of one log say.

    They are trusted until one turns out to be damaged when it is used; it is then made anew from
    the segment's batches.
    """

    __slots__ = ("_segments", "_snapshots")

    def __init__(self, segments: Segments, snapshots: SnapshotFiles) -> None:
        self._segments = segments
        self._snapshots = snapshots

    def add(self, entries: Sequence[AbortedTransaction], log_start_offset: int) -> bool:
        """Take note of markers just written; returns whether there is a new file.

        Raises:
            OSError: the disk failed.
        """
        index = self._segments.active.transaction_index
        try:
            is_new_file = not index
        except MalformedFile as error:
            self._rebuild(self._segments.active, log_start_offset, error)
            return True
        for entry in entries:
            index.append(entry)
        return is_new_file

    def within(
        self, records: LogSlice, end_offset: int, log_start_offset: int
    ) -> list[AbortedTransaction]:
        """The transactions to skip in a slice that doesn't reach beyond ``end_offset``.

        There may be some among them that begin after the slice, but no more than an interval of
        the offset index after it.

        Raises:
            OSError: the disk failed.
        """
        segments = list(self._segments.from_offset(records.first_offset))
        if records.segment is not None:
            end_position = records.position + records.size_bytes
            beyond = records.segment.offset_index.offset_from(end_position)
            if beyond is None and records.segment in segments[:-1]:
                beyond = segments[segments.index(records.segment) + 1].base_offset
            end_offset = end_offset if beyond is None else min(end_offset, beyond)
        found: list[AbortedTransaction] = []
        for segment in segments:
            entries, is_complete = self._lookup(
                segment, records.first_offset, end_offset, log_start_offset
            )
            found += entries
            if is_complete:
                break
        return found

    def _lookup(
        self, segment: Segment, start_offset: int, end_offset: int, log_start_offset: int
    ) -> tuple[list[AbortedTransaction], bool]:
        try:
            return segment.transaction_index.aborted_between(start_offset, end_offset)
        except MalformedFile as error:
            self._rebuild(segment, log_start_offset, error)
            return segment.transaction_index.aborted_between(start_offset, end_offset)

    def between(
        self, start_offset: int, end_offset: int, log_start_offset: int
    ) -> list[AbortedTransaction]:
        """The transactions with records from ``start_offset`` up to before ``end_offset``.

        Raises:
            OSError: the disk failed.
        """
        found: list[AbortedTransaction] = []
        for segment in self._segments.from_offset(start_offset):
            entries, is_complete = self._lookup(segment, start_offset, end_offset, log_start_offset)
            found += entries
            if is_complete:
                break
        return found

    def has_index(self, segment: Segment) -> bool:
        """Whether a segment has a transaction index, even a damaged one.

        Raises:
            OSError: the disk failed.
        """
        try:
            return segment.transaction_index.is_there()
        except MalformedFile:
            return True

    def truncate(self, offset: int, log_start_offset: int) -> None:
        """Forget what had ended at or after an offset, in the active segment.

        Raises:
            OSError: the disk failed.
        """
        active = self._segments.active
        try:
            active.transaction_index.truncate(offset)
        except MalformedFile as error:
            self._rebuild(active, log_start_offset, error)

    def _rebuild(self, segment: Segment, log_start_offset: int, error: MalformedFile) -> None:
        _logger.warning("making the transaction index anew: %s", error)
        upto = [each for each in self._segments if each.base_offset <= segment.base_offset]
        rebuild_transaction_index(self._snapshots, upto, start_offset=log_start_offset)
