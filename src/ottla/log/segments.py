"""The segments of a log in order, the next batch's place, and where in them an offset lies."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from ottla.log.config import LogConfig
from ottla.log.reading import LogSlice
from ottla.log.retention import SegmentFacts
from ottla.log.rolling import Room, room_in
from ottla.log.segment import Segment
from ottla.ports.disk import Buffer
from ottla.records.batch import LENGTH_OVERHEAD_BYTES, BatchHeader

# How many of the newest batches are found without touching the disk: consumers at the tail.
_RECENT_BATCHES = 1024
_FIRST_BATCH_HEAD_BYTES = 12


class Segments:
    """At least one segment, oldest first; the last one is active.

    ``first_dirty_offset``: compaction has cleaned every offset below, as far as there are any.
    """

    __slots__ = (
        "_base_offsets",
        "_recent_offsets",
        "_recent_positions",
        "_room",
        "_segments",
        "active",
        "first_dirty_offset",
    )

    def __init__(self, segments: list[Segment], first_dirty_offset: int = 0) -> None:
        self.first_dirty_offset = first_dirty_offset
        self._segments = segments
        self._base_offsets = [segment.base_offset for segment in segments]
        self.active = segments[-1]
        self._recent_offsets: list[int] = []
        self._recent_positions: list[int] = []
        self._room: Room | None = None

    def __len__(self) -> int:
        return len(self._segments)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._segments)

    @property
    def first_offset(self) -> int:
        """Base offset of the oldest segment."""
        return self._base_offsets[0]

    @property
    def size_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self._segments)

    def facts(self, log_end_offset: int) -> list[SegmentFacts]:
        """What retention needs to know."""
        ends = [*self._base_offsets[1:], log_end_offset]
        return [
            SegmentFacts(
                segment.base_offset, end, segment.size_bytes, segment.largest_timestamp_ms()
            )
            for segment, end in zip(self._segments, ends, strict=True)
        ]

    def add(self, segment: Segment) -> None:
        """Make a new segment the active one."""
        self._segments.append(segment)
        self._base_offsets.append(segment.base_offset)
        self.active = segment
        self.forget_recent()

    def remove_before(self, base_offset: int) -> list[Segment]:
        """Take out the segments older than the one that starts at ``base_offset``."""
        count = bisect_right(self._base_offsets, base_offset - 1)
        removed = self._segments[:count]
        del self._segments[:count], self._base_offsets[:count]
        return removed

    def remove_after(self, offset: int) -> list[Segment]:
        """Take out the segments that start after ``offset``, all but the oldest one."""
        count = max(1, bisect_right(self._base_offsets, offset))
        removed = self._segments[count:]
        del self._segments[count:], self._base_offsets[count:]
        self.active = self._segments[-1]
        self.first_dirty_offset = min(self.first_dirty_offset, offset)
        self.forget_recent()
        return removed

    def from_offset(self, offset: int) -> Iterator[Segment]:
        """The segment with this offset, and those after it."""
        first = max(bisect_right(self._base_offsets, offset) - 1, 0)
        yield from self._segments[first:]

    def replace_all(self, segment: Segment) -> list[Segment]:
        """Take out every segment for a new one."""
        removed = self._segments
        self._segments, self._base_offsets = [], []
        self.first_dirty_offset = segment.base_offset
        self.add(segment)
        return removed

    def replace(self, old: Sequence[Segment], new: Segment) -> bool:
        """Let a segment take the place of neighbours, unless they have changed meanwhile."""
        try:
            first = self._segments.index(old[0])
        except ValueError:
            return False
        end = first + len(old)
        if self._segments[first:end] != list(old) or end == len(self._segments):
            return False
        self._segments[first:end] = [new]
        self._base_offsets[first:end] = [new.base_offset]
        return True

    # Appending

    def append_next(self, buffer: Buffer, header: BatchHeader, config: LogConfig) -> bool:
        """Append one batch to the active segment, unless that may have to be a new one.

        Raises ``OSError`` as the disk does; nothing has changed then but the file's tail.
        """
        active = self.active
        room = self._room
        if room is None or room.segment is not active or room.config is not config:
            room = self._room = room_in(active, config)
        position = active.size_bytes
        size_bytes = header.batch_length_bytes + LENGTH_OVERHEAD_BYTES
        base_offset = header.base_offset
        last_offset = base_offset + header.last_offset_delta
        max_timestamp_ms = header.max_timestamp_ms
        if (
            position + size_bytes > room.end_position
            or last_offset > room.last_offset
            or max_timestamp_ms > room.max_timestamp_ms
        ):
            self._room = None
            return False
        active.write(buffer, position)
        active.note_batch(position, size_bytes, last_offset, max_timestamp_ms)
        self.note_append(base_offset, position)
        return True

    # Finding offsets

    def note_append(self, base_offset: int, position: int) -> None:
        """Remember where in the active segment a batch lies."""
        self._recent_offsets.append(base_offset)
        self._recent_positions.append(position)
        if len(self._recent_offsets) > 2 * _RECENT_BATCHES:
            del self._recent_offsets[:_RECENT_BATCHES]
            del self._recent_positions[:_RECENT_BATCHES]

    def forget_recent(self) -> None:
        """Positions have changed."""
        self._room = None
        self._recent_offsets.clear()
        self._recent_positions.clear()

    def read_recent(
        self, offset: int, max_bytes: int, limit: int, at_least_one: bool
    ) -> LogSlice | None:
        """As ``read``, from the newest batches and without the disk; ``None`` for older ones."""
        recent, positions = self._recent_offsets, self._recent_positions
        if not recent or offset < recent[0]:
            return None
        active = self.active
        number = bisect_right(recent, offset) - 1
        position = positions[number]
        end = active.size_bytes
        if limit < active.next_offset:
            end = positions[bisect_right(recent, limit) - 1]
        size_bytes = end - position
        if size_bytes > max_bytes:
            is_last = number + 1 == len(positions)
            first_bytes = (active.size_bytes if is_last else positions[number + 1]) - position
            if first_bytes <= max_bytes:
                size_bytes = max_bytes
            else:
                size_bytes = min(size_bytes, first_bytes) if at_least_one else 0
        if size_bytes <= 0:
            return LogSlice(None, 0, 0, offset)
        return LogSlice(active, position, size_bytes, recent[number])

    def read(
        self, offset: int, max_bytes: int, limit: int, log_end_offset: int, at_least_one: bool
    ) -> LogSlice:
        """The slice for ``PartitionLog.read``; ``offset`` lies in the log and before ``limit``."""
        for number in range(bisect_right(self._base_offsets, offset) - 1, len(self._segments)):
            segment = self._segments[number]
            found = self._find(segment, offset)
            if found is None:
                # Compaction may have removed all batches up to the segment's end.
                continue
            position, first_offset = found
            size_bytes = self._end_position(number, limit, log_end_offset) - position
            if size_bytes > max_bytes:
                head = segment.file.read(_FIRST_BATCH_HEAD_BYTES, position)
                first_bytes = int.from_bytes(head[8:], "big") + _FIRST_BATCH_HEAD_BYTES
                if first_bytes <= max_bytes:
                    size_bytes = max_bytes
                elif at_least_one:
                    size_bytes = min(size_bytes, first_bytes)
                else:
                    break
            if size_bytes > 0:
                return LogSlice(segment, position, size_bytes, first_offset)
            break
        return LogSlice(None, 0, 0, offset)

    def _find(self, segment: Segment, offset: int) -> tuple[int, int] | None:
        """Position and base offset of the batch with ``offset``, or of the next one."""
        recent = self._recent_offsets
        if segment is not self.active or not recent or recent[0] > offset:
            return segment.find(offset)
        if offset >= segment.next_offset:
            return None
        number = bisect_right(recent, offset) - 1
        return self._recent_positions[number], recent[number]

    def _end_position(self, number: int, limit: int, log_end_offset: int) -> int:
        """Where the part of a segment ends that lies before the offset ``limit``."""
        segment = self._segments[number]
        is_last = number + 1 == len(self._segments)
        end_offset = log_end_offset if is_last else self._base_offsets[number + 1]
        if limit >= end_offset:
            return segment.size_bytes
        found = self._find(segment, limit)
        return segment.size_bytes if found is None else found[0]
