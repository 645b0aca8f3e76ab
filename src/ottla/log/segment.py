"""One segment: a file of batches and the indexes that find positions in it."""

from __future__ import annotations

import contextlib
import sys

from ottla.log.config import LogConfig
from ottla.log.indexes import (
    MAX_RELATIVE_OFFSET,
    OFFSET_ENTRY_SIZE,
    TIME_ENTRY_SIZE,
    IndexFile,
    OffsetIndex,
    TimeEntry,
    TimeIndex,
)
from ottla.log.names import (
    DELETED_SUFFIX,
    LOG_SUFFIX,
    OFFSET_INDEX_SUFFIX,
    SEGMENT_SUFFIXES,
    TIME_INDEX_SUFFIX,
    TRANSACTION_INDEX_SUFFIX,
    offset_name,
)
from ottla.log.scan import SCAN_CHUNK_BYTES, iter_file_headers
from ottla.log.transaction_index import TransactionIndex
from ottla.ports.disk import Buffer, Disk, File
from ottla.records.batch import BatchHeader
from ottla.records.errors import RecordsError

_UNKNOWN = -1
# A segment that has grown to this much gets blocks set aside ahead of its end: the file system then
# has less to do with each append. A quarter of its size, so that little is idle, up to a limit.
_RESERVED_FROM_BYTES = 16 * 1024 * 1024
_RESERVED_SHARE = 4
_MOST_RESERVED_BYTES = 16 * 1024 * 1024
# So much may stay set aside for good: giving blocks back can take milliseconds (a file system that
# discards tells the disk at once), and a full segment has less than one large batch left of them.
_LEFT_RESERVED_BYTES = 1024 * 1024


class Segment:
    """A run of consecutive offsets in one file.

    Files are opened when first needed, and closed when the segment is retired and nobody reads or
    flushes it any more (``hold`` and ``release``).
    """

    __slots__ = (
        "_bytes_since_entry",
        "_directory",
        "_disk",
        "_file",
        "_first_timestamp_ms",
        "_index_interval_bytes",
        "_indexes_are_open",
        "_is_retired",
        "_largest",
        "_most_bytes",
        "_reserve_at",
        "_reserved_end",
        "_size_bytes",
        "_users",
        "base_offset",
        "created_ms",
        "name_suffix",
        "next_offset",
        "offset_index",
        "time_index",
        "transaction_index",
    )

    def __init__(
        self,
        disk: Disk,
        directory: str,
        base_offset: int,
        *,
        index_interval_bytes: int,
        now_ms: int,
        is_new: bool = False,
        name_suffix: str = "",
        most_bytes: int = sys.maxsize,
    ) -> None:
        """
        Args:
            most_bytes: for which blocks are set aside; it is not refused more.
        """
        self._disk = disk
        self._directory = directory
        self.name_suffix = name_suffix
        """What the files' names end with until the segment belongs to the log."""
        self._file: File | None = None
        self._index_interval_bytes = index_interval_bytes
        self._indexes_are_open = is_new
        self._is_retired = False
        self._users = 0
        self._most_bytes = most_bytes
        self._reserve_at = _RESERVED_FROM_BYTES
        self._reserved_end = 0
        self._bytes_since_entry = 0
        self._first_timestamp_ms: int | None = None
        self._largest: TimeEntry | None = TimeEntry(-1, base_offset) if is_new else None
        self._size_bytes = 0 if is_new else _UNKNOWN
        self.base_offset = base_offset
        self.created_ms = now_ms
        self.next_offset = base_offset
        """The offset after the last batch; known for segments appended to, loaded or recovered."""
        offset_path = self.path(OFFSET_INDEX_SUFFIX)
        self.offset_index = OffsetIndex(
            IndexFile(disk, offset_path, OFFSET_ENTRY_SIZE, 0), base_offset
        )
        time_path = self.path(TIME_INDEX_SUFFIX)
        self.time_index = TimeIndex(IndexFile(disk, time_path, TIME_ENTRY_SIZE, 0), base_offset)
        self.transaction_index = TransactionIndex(
            disk, self.path(TRANSACTION_INDEX_SUFFIX), base_offset, is_new=is_new
        )

    # Files

    def path(self, suffix: str) -> str:
        """The path of one of the segment's files."""
        return f"{self._directory}/{offset_name(self.base_offset, suffix)}{self.name_suffix}"

    def rename_files(self, name_suffix: str) -> None:
        """Let the files' names end otherwise; that of the batches is renamed last."""
        for suffix in reversed(SEGMENT_SUFFIXES):
            path = self.path(suffix)
            renamed = path.removesuffix(self.name_suffix) + name_suffix
            with contextlib.suppress(FileNotFoundError):
                self._disk.rename(path, renamed)
        self.name_suffix = name_suffix
        self.offset_index.file.path = self.path(OFFSET_INDEX_SUFFIX)
        self.time_index.file.path = self.path(TIME_INDEX_SUFFIX)
        self.transaction_index.path = self.path(TRANSACTION_INDEX_SUFFIX)

    @property
    def file(self) -> File:
        """The file of batches, made when it is missing."""
        if self._file is None:
            self._file = self._disk.open(self.path(LOG_SUFFIX), create=True)
        return self._file

    @property
    def size_bytes(self) -> int:
        if self._size_bytes < 0:
            self._size_bytes = self.file.size_bytes()
        return self._size_bytes

    @property
    def index_bytes(self) -> int:
        """Of the larger one of the indexes by offset and by time; before they are opened, the most
        it can be, which costs no look at the disk."""
        if self._indexes_are_open:
            return max(
                len(self.offset_index) * OFFSET_ENTRY_SIZE, len(self.time_index) * TIME_ENTRY_SIZE
            )
        return (self.size_bytes // max(self._index_interval_bytes, 1) + 1) * TIME_ENTRY_SIZE

    def hold(self) -> None:
        """Keep the files open until ``release``, even when the segment is deleted meanwhile."""
        self._users += 1

    def release(self) -> None:
        self._users -= 1
        if self._is_retired and self._users == 0:
            self._close_files()

    def retire(self) -> None:
        """Close the files as soon as nobody uses them."""
        self._is_retired = True
        if self._users == 0:
            self._close_files()

    def _close_files(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self.offset_index.file.close()
        self.time_index.file.close()
        self.transaction_index.close()

    def mark_deleted(self) -> list[str]:
        """Give the files the suffix ``.deleted``; returns what to remove later."""
        marked = []
        for suffix in SEGMENT_SUFFIXES:
            path = self.path(suffix)
            deleted = path.removesuffix(self.name_suffix) + DELETED_SUFFIX
            try:
                self._disk.rename(path, deleted)
            except FileNotFoundError:
                continue
            marked.append(deleted)
        return marked

    # Indexes

    def open_indexes(self) -> None:
        """Make the indexes usable: look at their files, rebuild them when those can't be right."""
        if self._indexes_are_open:
            return
        self._indexes_are_open = True
        try:
            self.offset_index.file.measure()
            self.time_index.file.measure()
            is_sane = self._are_last_entries_sane()
        except (FileNotFoundError, ValueError):
            is_sane = False
        if not is_sane:
            self.rebuild_indexes()

    def _are_last_entries_sane(self) -> bool:
        """Unclean stops leave preallocated zeros, which would be entries before the base."""
        offset, position = self.offset_index.last()
        timestamp_ms, timestamp_offset = self.time_index.last()
        size_bytes = self.size_bytes
        if len(self.offset_index) and (offset <= self.base_offset or position >= size_bytes):
            # A batch of one record at the base is indexed only when it follows other bytes.
            return False
        if len(self.time_index) == 0:
            # Legitimate: records need not have timestamps.
            return True
        first_timestamp_ms, _ = self.time_index.file.entry(0)
        return self.base_offset <= timestamp_offset and (
            timestamp_ms > first_timestamp_ms or len(self.time_index) == 1
        )

    def rebuild_indexes(self) -> None:
        """Make the indexes anew from the batches' headers."""
        size_bytes = self.size_bytes
        self.clear_indexes()
        try:
            for position, header in iter_file_headers(self.file, 0, size_bytes, SCAN_CHUNK_BYTES):
                if not self.may_follow(header):
                    return
                self.note_batch(
                    position,
                    header.size_bytes,
                    header.last_offset,
                    header.max_record_timestamp_ms,
                )
        except RecordsError:
            return
        finally:
            # Bytes after the last batch, if any, are for recovery to find.
            self._size_bytes = size_bytes

    def clear_indexes(self) -> None:
        """Start the indexes anew, for `note_batch` to fill."""
        self._indexes_are_open = True
        self.offset_index.clear()
        self.time_index.clear()
        self._bytes_since_entry = 0
        self._largest = TimeEntry(-1, self.base_offset)
        self.next_offset = self.base_offset

    def seal(self) -> None:
        """Write the indexes, complete: the segment gets no more batches (or the log closes)."""
        self.give_back_reserved()
        self.open_indexes()
        largest = self.largest
        if largest.timestamp_ms >= 0:
            self.time_index.maybe_append(*largest)
        self.offset_index.store()
        self.time_index.store()

    def sync_indexes(self) -> None:
        """Make stored indexes durable."""
        self.offset_index.file.sync()
        self.time_index.file.sync()
        self.transaction_index.sync()

    # Times

    @property
    def largest(self) -> TimeEntry:
        """The largest timestamp in the segment and the end of its batch; (-1, base) when none."""
        if self._largest is None:
            self.open_indexes()
            if self._largest is None:
                self._largest = self.time_index.last()
        return self._largest

    def largest_timestamp_ms(self) -> int:
        """As retention sees it: when no record has a timestamp, when the file was last written."""
        timestamp_ms = self.largest.timestamp_ms
        if timestamp_ms >= 0:
            return timestamp_ms
        if self.size_bytes == 0:
            return self.created_ms
        return self._disk.modified_ms(self.path(LOG_SUFFIX))

    def first_timestamp_ms(self) -> int:
        """Largest timestamp of the first batch, or -1: from when the segment's age counts."""
        if self._first_timestamp_ms is None:
            if self.size_bytes == 0:
                return -1
            first = next(iter_file_headers(self.file, 0, self.size_bytes), None)
            self._first_timestamp_ms = -1 if first is None else first[1].max_timestamp_ms
        return self._first_timestamp_ms

    # Batches

    def append(self, buffer: Buffer, batches: list[tuple[int, int, int]]) -> None:
        """Write batches at the end, in one call.

        ``batches`` says of each: size, last offset, largest timestamp. After an ``OSError`` the
        segment is as it was, its file's tail undefined.
        """
        position = self._size_bytes
        self.write(buffer, position)
        if position == 0:
            self._first_timestamp_ms = batches[0][2]
        for size_bytes, last_offset, max_timestamp_ms in batches:
            self.note_batch(position, size_bytes, last_offset, max_timestamp_ms)
            position += size_bytes

    def write(self, buffer: Buffer, position: int) -> None:
        """Write at the segment's end, which is ``position``; `note_batch` follows."""
        self.file.write([buffer], position)
        if position >= self._reserve_at:
            self._reserve(position + len(buffer))

    def _reserve(self, end: int) -> None:
        left_bytes = self._most_bytes - end
        size_bytes = min(end // _RESERVED_SHARE, _MOST_RESERVED_BYTES, left_bytes)
        if size_bytes > _LEFT_RESERVED_BYTES and self.file.reserve(end, size_bytes):
            self._reserved_end = end + size_bytes
            # Again when half a dozen large batches are left of it.
            self._reserve_at = end + size_bytes * 3 // 4
        else:
            self._reserve_at = sys.maxsize

    def give_back_reserved(self) -> None:
        """No more is written here for now."""
        if self._reserved_end >= self.size_bytes + _LEFT_RESERVED_BYTES:
            self.file.truncate(self.size_bytes)
        self._reserved_end = 0
        self._reserve_at = _RESERVED_FROM_BYTES

    def note_batch(
        self, position: int, size_bytes: int, last_offset: int, max_timestamp_ms: int
    ) -> None:
        """Account for a batch that is in the file at ``position``."""
        largest = self._largest
        if largest is None or max_timestamp_ms > largest[0]:
            self._largest = largest = TimeEntry(max_timestamp_ms, last_offset)
        if self._bytes_since_entry > self._index_interval_bytes:
            self.offset_index.append(last_offset, position)
            self.time_index.maybe_append(*largest)
            self._bytes_since_entry = 0
        self._bytes_since_entry += size_bytes
        self._size_bytes = position + size_bytes
        self.next_offset = last_offset + 1

    def can_hold(self, offset: int) -> bool:
        """Whether the indexes can express the offset."""
        return offset - self.base_offset <= MAX_RELATIVE_OFFSET

    def may_follow(self, header: BatchHeader) -> bool:
        """Whether a batch's offsets can come after those the segment has."""
        return (
            header.base_offset >= self.next_offset
            and header.last_offset_delta >= 0
            and self.can_hold(header.last_offset)
        )

    def find(self, offset: int) -> tuple[int, int] | None:
        """Position and base offset of the first batch that ends at or after ``offset``."""
        self.open_indexes()
        position = self.offset_index.floor(offset)
        for at, header in iter_file_headers(self.file, position, self.size_bytes):
            if header.last_offset >= offset:
                return at, header.base_offset
        return None

    def load_end(self) -> bool:
        """Find the end offset by the indexes, as after a clean stop.

        Returns false when the file doesn't end with a batch, so that the segment needs recovery.
        """
        self.open_indexes()
        largest = self.largest
        _, position = self.offset_index.last()
        end = position
        self.next_offset = self.base_offset
        try:
            for at, header in iter_file_headers(self.file, position, self.size_bytes):
                if not self.may_follow(header):
                    return False
                self.next_offset = header.next_offset
                end = at + header.size_bytes
                timestamp_ms = header.max_record_timestamp_ms
                if timestamp_ms > largest.timestamp_ms:
                    self._largest = largest = TimeEntry(timestamp_ms, header.last_offset)
        except RecordsError:
            return False
        self._bytes_since_entry = end - position
        return end == self.size_bytes

    def cut(self, size_bytes: int) -> None:
        """Drop the bytes from ``size_bytes`` on."""
        self.file.truncate(size_bytes)
        self._size_bytes = size_bytes
        self._reserved_end = 0
        self._reserve_at = _RESERVED_FROM_BYTES

    def truncate_to(self, offset: int, now_ms: int) -> None:
        """Drop every batch that ends at or after ``offset``; a batch is never cut in two."""
        found = self.find(offset)
        if found is None:
            return
        position, base_offset = found
        offset = min(offset, base_offset)
        self.offset_index.truncate(offset)
        self.time_index.truncate(offset)
        self.cut(position)
        self._largest = self.time_index.last()
        self.load_end()
        self.next_offset = offset
        if position == 0:
            self.created_ms = now_ms
            self._first_timestamp_ms = None


def create_segment(
    disk: Disk, directory: str, base_offset: int, config: LogConfig, now_ms: int
) -> Segment:
    """A new, empty segment.

    Raises:
        OSError: the disk failed.
    """
    segment = Segment(
        disk,
        directory,
        base_offset,
        index_interval_bytes=config.index_interval_bytes,
        now_ms=now_ms,
        is_new=True,
        most_bytes=config.segment_bytes,
    )
    # Even empty the file must exist: its name tells the next start where the log ends.
    _ = segment.file
    return segment
