"""From fetched records to columns in Arrow's layout."""

from __future__ import annotations

from array import array

from ottla.client._reference_cursor import MessageCursor

# What 32-bit offsets can address.
_COLUMN_MAX_BYTES = 2**31 - 1


class BinaryColumn:
    """Values of bytes that may be null: a bit per value, where each ends, and all of them."""

    def __init__(self) -> None:
        self.validity = bytearray()
        self.offsets = array("i", [0])
        self.data = bytearray()

    def add(self, value: bytes | None) -> None:
        """Add one value."""
        index = len(self.offsets) - 1
        if index % 8 == 0:
            self.validity.append(0)
        if value is not None:
            self.validity[index // 8] |= 1 << (index % 8)
            self.data += value
        self.offsets.append(len(self.data))


class RecordColumns:
    """The columns of a table of records, and where these come from.

    Attributes:
        count: how many records there are.
        is_full: whether another record of the last cursor may be too much.
        topics: the topics that ``topic_indexes`` count.
        runs: (topic, partition, first offset, its leader epoch) of each part.
        header_offsets: how many headers there are before and up to each record, from 0 on.
    """

    def __init__(self) -> None:
        self.count = 0
        self.is_full = False
        self.header_count = 0
        self.topics: list[str] = []
        self.runs: list[tuple[str, int, int, int]] = []
        self.topic_indexes = array("i")
        self.partitions = array("i")
        self.offsets = array("q")
        self.timestamps_ms = array("q")
        self.header_offsets = array("i", [0])
        self.keys = BinaryColumn()
        self.values = BinaryColumn()
        self.header_names = BinaryColumn()
        self.header_values = BinaryColumn()

    def extend(self, cursor: MessageCursor, limit: int, /) -> int:
        """Add records of a cursor, at most so many; fewer at its end, or when the table is full.

        Returns:
            How many were added.
        """
        first = self.count
        if cursor.topic not in self.topics:
            self.topics.append(cursor.topic)
        topic_index = self.topics.index(cursor.topic)
        while self.count - first < limit:
            self.is_full = self._has_no_room_for(cursor)
            if self.is_full:
                break
            message = cursor.next()
            if message is None:
                break
            offset = message.offset()
            assert offset is not None
            if self.count == first:
                self.runs.append((cursor.topic, cursor.partition, offset, cursor.consumed_epoch))
            self.topic_indexes.append(topic_index)
            self.partitions.append(cursor.partition)
            self.offsets.append(offset)
            self.timestamps_ms.append(message.timestamp()[1])
            self.keys.add(message.key())
            self.values.add(message.value())
            for name, value in message.headers() or ():
                self.header_names.add(name.encode())
                self.header_values.add(value)
                self.header_count += 1
            self.header_offsets.append(self.header_count)
            self.count += 1
        return self.count - first

    def _has_no_room_for(self, cursor: MessageCursor) -> bool:
        """Whether another record of the cursor might be too much for 32-bit offsets."""
        largest = max(
            len(column.data)
            for column in (self.keys, self.values, self.header_names, self.header_values)
        )
        return self.count > 0 and _COLUMN_MAX_BYTES - largest < cursor.buffered_bytes
