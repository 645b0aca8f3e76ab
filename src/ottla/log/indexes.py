"""Sparse indexes of a segment: by offset and by time.

Entries collect in memory and reach the file when the segment is rolled or closed, so that appends
never pay for them; recovery rebuilds what an unclean stop lost. What is in the file is read by
binary search where it lies: opening a log costs no reading, however large it is.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from typing import NamedTuple

from ottla.ports.disk import Disk, File

OFFSET_ENTRY_SIZE = 8
TIME_ENTRY_SIZE = 12
MAX_RELATIVE_OFFSET = 2**31 - 1
_POSITION_MASK = 0xFFFFFFFF
_PAGE_ENTRIES = 512


class TimeEntry(NamedTuple):
    """The largest timestamp up to and including the batch that ends at ``offset``."""

    timestamp_ms: int
    offset: int


class IndexFile:
    """The part of an index that is in its file: big-endian entries, ordered by their first 8 bytes.

    Both of Kafka's indexes are: (relative offset, position) and (timestamp, relative offset).
    """

    __slots__ = ("_disk", "_file", "entry_size", "length", "path")

    def __init__(self, disk: Disk, path: str, entry_size: int, length: int) -> None:
        self._disk = disk
        self._file: File | None = None
        self.path = path
        self.entry_size = entry_size
        self.length = length
        """Entries in the file; negative until it was looked at."""

    def measure(self) -> None:
        """Find out how many entries the file has.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file ends inside an entry.
        """
        length, rest = divmod(self._open().size_bytes(), self.entry_size)
        if rest:
            raise ValueError(f"{self.path} ends inside an entry")
        self.length = length

    def _open(self, *, create: bool = False) -> File:
        if self._file is None:
            self._file = self._disk.open(self.path, create=create)
        return self._file

    def entry(self, number: int) -> tuple[int, int]:
        """An entry's first 8 bytes and whatever follows them, as unsigned integers."""
        raw = self._open().read(self.entry_size, number * self.entry_size)
        return int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big")

    def floor(self, key: int) -> int:
        """The number of the last entry whose key is at most ``key``, or -1."""
        low, high = 0, self.length
        while low < high:
            middle = (low + high) // 2
            if self.entry(middle)[0] <= key:
                low = middle + 1
            else:
                high = middle
        return low - 1

    def entries(self, number: int, count: int) -> bytes:
        """The bytes of up to ``count`` entries from ``number`` on."""
        count = min(count, self.length - number)
        return self._open().read(count * self.entry_size, number * self.entry_size)

    def store(self, data: bytes) -> None:
        """Append entries to the file and cut whatever stood there (Kafka's preallocated zeros)."""
        position = self.length * self.entry_size
        file = self._open(create=True)
        if data:
            file.write([data], position)
            self.length += len(data) // self.entry_size
        if file.size_bytes() != position + len(data):
            file.truncate(position + len(data))

    def sync(self) -> None:
        """Make what was stored durable."""
        self._open(create=True).sync()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class OffsetIndex:
    """Last offset of a batch → where the batch starts in the segment."""

    __slots__ = ("_page", "_page_is_last", "_recent", "base_offset", "file")

    def __init__(self, file: IndexFile, base_offset: int) -> None:
        self.file = file
        self.base_offset = base_offset
        # One unsigned number per entry, as in the file: relative offset << 32 | position.
        self._recent = array("Q")
        # The entries in the file around the last lookup: a consumer's next fetch is close by.
        self._page = array("Q")
        self._page_is_last = False

    def __len__(self) -> int:
        return self.file.length + len(self._recent)

    def append(self, offset: int, position: int) -> None:
        """Add the batch at ``position``; offsets only grow."""
        self._recent.append((offset - self.base_offset) << 32 | position)

    def _entry(self, packed: int) -> tuple[int, int]:
        return self.base_offset + (packed >> 32), packed & _POSITION_MASK

    def last(self) -> tuple[int, int]:
        """The last entry, or (base offset, 0)."""
        if self._recent:
            return self._entry(self._recent[-1])
        if self.file.length:
            return self._entry(self.file.entry(self.file.length - 1)[0])
        return self.base_offset, 0

    def position_from_end(self, count: int) -> int:
        """Where the batch of the last entry but ``count`` starts; 0 when there are fewer."""
        number = len(self) - count
        if number < 0:
            return 0
        stored = self.file.length
        packed = self._recent[number - stored] if number >= stored else self.file.entry(number)[0]
        return packed & _POSITION_MASK

    def floor(self, offset: int) -> int:
        """A position at or before the batch that contains ``offset``, as late as is known."""
        key = (offset - self.base_offset) << 32 | _POSITION_MASK
        recent = self._recent
        if recent and recent[0] <= key:
            return recent[bisect_right(recent, key) - 1] & _POSITION_MASK
        if self.file.length == 0:
            return 0
        page = self._page
        if not page or key < page[0] or (key >= page[-1] and not self._page_is_last):
            page = self._load_page(key)
        number = bisect_right(page, key) - 1
        return page[number] & _POSITION_MASK if number >= 0 else 0

    def offset_from(self, position: int) -> int | None:
        """The last offset of the first known batch that starts there or later."""
        recent = self._recent
        low, high = 0, self.file.length
        while low < high:
            middle = (low + high) // 2
            if self.file.entry(middle)[0] & _POSITION_MASK < position:
                low = middle + 1
            else:
                high = middle
        if low < self.file.length:
            return self._entry(self.file.entry(low)[0])[0]
        number = bisect_left(recent, position, key=lambda packed: packed & _POSITION_MASK)
        return self._entry(recent[number])[0] if number < len(recent) else None

    def _load_page(self, key: int) -> array[int]:
        """The stored entries around a key, by binary search over the pages' first entries."""
        low, high = 0, -(-self.file.length // _PAGE_ENTRIES)
        while high - low > 1:
            middle = (low + high) // 2
            if self.file.entry(middle * _PAGE_ENTRIES)[0] <= key:
                low = middle
            else:
                high = middle
        page = array("Q", self.file.entries(low * _PAGE_ENTRIES, _PAGE_ENTRIES))
        if sys.byteorder == "little":
            page.byteswap()
        self._page = page
        self._page_is_last = (low + 1) * _PAGE_ENTRIES >= self.file.length
        return page

    def truncate(self, offset: int) -> None:
        """Forget batches that end at or after ``offset``."""
        del self._page[:]
        key = (offset - self.base_offset) << 32
        if self._recent and self._recent[0] < key:
            del self._recent[bisect_right(self._recent, key - 1) :]
        else:
            del self._recent[:]
            self.file.length = self.file.floor(key - 1) + 1 if key > 0 else 0

    def clear(self) -> None:
        del self._recent[:], self._page[:]
        self.file.length = 0

    def store(self) -> None:
        """Write all entries to the file."""
        del self._page[:]
        packed = array("Q", self._recent)
        if sys.byteorder == "little":
            packed.byteswap()
        self.file.store(packed.tobytes())
        del self._recent[:]


class TimeIndex:
    """Timestamp → the last offset of the batch that brought it; timestamps strictly grow."""

    __slots__ = ("_recent_offsets", "_recent_timestamps", "base_offset", "file")

    def __init__(self, file: IndexFile, base_offset: int) -> None:
        self.file = file
        self.base_offset = base_offset
        self._recent_timestamps = array("q")
        self._recent_offsets = array("q")

    def __len__(self) -> int:
        return self.file.length + len(self._recent_timestamps)

    def maybe_append(self, timestamp_ms: int, offset: int) -> None:
        """Add an entry unless its timestamp is no larger than the last one's."""
        recent = self._recent_timestamps
        if timestamp_ms > (recent[-1] if recent else self.last().timestamp_ms):
            self._recent_timestamps.append(timestamp_ms)
            self._recent_offsets.append(offset)

    def _stored(self, number: int) -> TimeEntry:
        timestamp_ms, relative_offset = self.file.entry(number)
        return TimeEntry(timestamp_ms, self.base_offset + relative_offset)

    def last(self) -> TimeEntry:
        """The last entry, or (-1, base offset)."""
        if self._recent_timestamps:
            return TimeEntry(self._recent_timestamps[-1], self._recent_offsets[-1])
        if self.file.length:
            return self._stored(self.file.length - 1)
        return TimeEntry(-1, self.base_offset)

    def floor(self, timestamp_ms: int) -> TimeEntry:
        """The last entry with at most this timestamp, or (-1, base offset)."""
        recent = self._recent_timestamps
        if recent and recent[0] <= timestamp_ms:
            number = bisect_right(recent, timestamp_ms) - 1
            return TimeEntry(recent[number], self._recent_offsets[number])
        number = self.file.floor(timestamp_ms)
        return self._stored(number) if number >= 0 else TimeEntry(-1, self.base_offset)

    def truncate(self, offset: int) -> None:
        """Forget entries of batches that end at or after ``offset``."""
        while self._recent_offsets and self._recent_offsets[-1] >= offset:
            self._recent_offsets.pop()
            self._recent_timestamps.pop()
        while not self._recent_offsets and self.file.length and self.last().offset >= offset:
            self.file.length -= 1

    def clear(self) -> None:
        del self._recent_timestamps[:]
        del self._recent_offsets[:]
        self.file.length = 0

    def store(self) -> None:
        """Write all entries to the file."""
        base_offset = self.base_offset
        data = b"".join(
            timestamp_ms.to_bytes(8, "big") + (offset - base_offset).to_bytes(4, "big")
            for timestamp_ms, offset in zip(
                self._recent_timestamps, self._recent_offsets, strict=True
            )
        )
        self.file.store(data)
        del self._recent_timestamps[:]
        del self._recent_offsets[:]
