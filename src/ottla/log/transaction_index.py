"""The aborted transactions of a segment, in Kafka's ``.txnindex`` format.

An entry stands in the index of the segment that has the abort marker, in the markers' order. The
file is made with the first entry: most segments have none.

=====  ====  =========================================
 from  size  field
=====  ====  =========================================
    0     2  version: 0
    2     8  producer id
   10     8  first offset of the transaction
   18     8  last offset: that of the marker
   26     8  last stable offset after the marker
=====  ====  =========================================
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ottla.log.errors import MalformedFile
from ottla.log.files import remove_if_any, replace_file
from ottla.log.transactions import AbortedTransaction
from ottla.ports.disk import Disk, File

_ENTRY = struct.Struct(">hqqqq")
_VERSION = 0
_UNKNOWN = -1
_ENTRIES_READ = 256


class TransactionIndex:
    """The index of one segment. A file that can't be right raises ``MalformedFile``."""

    __slots__ = ("_base_offset", "_disk", "_file", "_is_dirty", "_length", "path")

    def __init__(self, disk: Disk, path: str, base_offset: int, *, is_new: bool = False) -> None:
        self._disk = disk
        self._file: File | None = None
        self._base_offset = base_offset
        self._is_dirty = False
        self._length = 0 if is_new else _UNKNOWN
        self.path = path

    def __len__(self) -> int:
        """How many entries there are.

        Raises:
            MalformedFile: the file is no index of this segment.
            OSError: the disk failed.
        """
        if self._length == _UNKNOWN:
            self._length = self._measure()
        return self._length

    def is_there(self) -> bool:
        """Whether there is a file, even an empty one. Raises as ``len`` does."""
        return len(self) > 0 or self._file is not None

    def _measure(self) -> int:
        try:
            self._file = self._disk.open(self.path)
        except FileNotFoundError:
            return 0
        length, rest = divmod(self._file.size_bytes(), _ENTRY.size)
        if rest:
            raise MalformedFile(f"{self.path} ends inside an entry")
        if length:
            # Preallocated or torn: an entry of zeros would be before the base. The rest is checked
            # as it is read.
            self._entries(0, 1)
            self._entries(length - 1, 1)
        return length

    def _entries(self, number: int, count: int) -> list[AbortedTransaction]:
        if self._file is None:
            return []
        data = self._file.read(count * _ENTRY.size, number * _ENTRY.size)
        data = data[: len(data) - len(data) % _ENTRY.size]
        entries = []
        for version, *fields in _ENTRY.iter_unpack(data):
            entry = AbortedTransaction(*fields)
            if (
                version != _VERSION
                or entry.last_offset < self._base_offset
                or not 0 <= entry.first_offset < entry.last_offset
            ):
                raise MalformedFile(f"{self.path} has a wrong entry")
            entries.append(entry)
        return entries

    def append(self, entry: AbortedTransaction) -> None:
        """Add a transaction whose marker is the segment's last one."""
        length = len(self)
        if self._file is None:
            self._file = self._disk.open(self.path, create=True)
        self._file.write([_ENTRY.pack(_VERSION, *entry)], length * _ENTRY.size)
        self._length = length + 1
        self._is_dirty = True

    def write(self, entries: Sequence[AbortedTransaction]) -> None:
        """Make the file with these entries, even with none, to be synced by ``sync``."""
        self._file = self._disk.open(self.path, create=True)
        self._file.write([_ENTRY.pack(_VERSION, *entry) for entry in entries], 0)
        self._length = len(entries)
        self._is_dirty = True

    def replace(self, entries: Sequence[AbortedTransaction]) -> None:
        """Have exactly these entries, durably: a crash leaves them or what was there before."""
        self.close()
        data = b"".join(_ENTRY.pack(_VERSION, *entry) for entry in entries)
        replace_file(self._disk, self.path, data)
        self._disk.sync_directory(self.path.rpartition("/")[0])
        self._is_dirty = False

    def aborted_between(
        self, start_offset: int, end_offset: int
    ) -> tuple[list[AbortedTransaction], bool]:
        """The transactions with records from ``start_offset`` up to before ``end_offset``.

        The second value says that no later segment's index has any more.
        """
        found: list[AbortedTransaction] = []
        number = self._first_ending_at(start_offset)
        while number < len(self):
            entries = self._entries(number, min(_ENTRIES_READ, len(self) - number))
            if not entries:
                raise MalformedFile(f"{self.path} became shorter")
            for entry in entries:
                if entry.first_offset < end_offset:
                    found.append(entry)
                if entry.last_stable_offset >= end_offset:
                    return found, True
            number += len(entries)
        return found, False

    def _first_ending_at(self, offset: int) -> int:
        """The number of the first entry whose marker is at or after an offset."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            (entry,) = self._entries(middle, 1)
            if entry.last_offset < offset:
                low = middle + 1
            else:
                high = middle
        return low

    def truncate(self, offset: int) -> None:
        """Forget transactions whose marker is at or after an offset."""
        length = self._first_ending_at(offset)
        if length < len(self) and self._file is not None:
            self._file.truncate(length * _ENTRY.size)
            self._length = length
            self._is_dirty = True

    def clear(self) -> None:
        """Forget every transaction, whatever the file contains."""
        self.close()
        remove_if_any(self._disk, self.path)
        self._length = 0
        self._is_dirty = False

    def sync(self) -> None:
        """Make the entries durable; the file's name is another matter."""
        if self._is_dirty and self._file is not None:
            self._is_dirty = False
            self._file.sync()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._length = _UNKNOWN
