"""How compaction reaches into a log: what it finds there, and putting a cleaned segment into it.

A segment is replaced in steps between which a crash may strike:

1. The new segment's files are durable, with the suffix ``.swap``: recovery lets them take over.
2. ``replace``: the log reads the new segment; the old ones' files get the suffix ``.deleted``.
3. The directory is synced: no old segment can come back beside the new one.
4. ``take_names``: the new files lose their suffix. The directory is synced again.

Steps 2 and 4 are a few renames and belong to the log's thread, the syncs to a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

from ottla.log.aborted import AbortedTransactions
from ottla.log.compaction.cleaning import SourceSegment
from ottla.log.flush import Unsynced
from ottla.log.health import DirectoryHealth
from ottla.log.names import LOG_SUFFIX
from ottla.log.segment import Segment
from ottla.log.segments import Segments
from ottla.log.snapshots import SnapshotFiles
from ottla.log.transactions import AbortedTransaction

T = TypeVar("T")


class LogCompaction:
    """One log as compaction sees it; belongs to the log's thread."""

    def __init__(
        self,
        segments: Segments,
        snapshots: SnapshotFiles,
        aborted: AbortedTransactions,
        unsynced: Unsynced,
        health: DirectoryHealth,
    ) -> None:
        self.segments = segments
        self._snapshots = snapshots
        self._aborted = aborted
        self._unsynced = unsynced
        self._health = health

    def guarded(self, look: Callable[[list[Segment]], T]) -> T:
        """Look at the segments; a disk error on the way takes the log's directory offline.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        with self._health:
            return look(list(self.segments))

    def sources(self, end_offset: int) -> list[SourceSegment]:
        """The segments before ``end_offset``, where one starts.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        segments = list(self.segments)
        found = []
        with self._health:
            for segment, following in pairwise(segments):
                if following.base_offset > end_offset:
                    break
                found.append(
                    SourceSegment(
                        segment,
                        segment.path(LOG_SUFFIX),
                        segment.base_offset,
                        following.base_offset,
                        segment.size_bytes,
                        segment.index_bytes,
                        self._aborted.has_index(segment),
                    )
                )
        return found

    def aborted(self, end_offset: int, log_start_offset: int) -> list[AbortedTransaction]:
        """The aborted transactions with records before an offset.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        with self._health:
            return self._aborted.between(0, end_offset, log_start_offset)

    def replace(self, old: Sequence[Segment], new: Segment) -> list[str] | None:
        """Let a new segment, whose files are durable, take the place of old ones.

        Returns what to remove later; ``None``, and nothing is done, when the log has changed: an
        old one was deleted, or is the active one since a truncation. Readers go on reading.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        with self._health:
            if not self.segments.replace(old, new):
                return None
            paths = []
            for segment in old:
                paths += segment.mark_deleted()
                segment.retire()
                self._unsynced.forget(segment)
                if segment.base_offset != new.base_offset:
                    self._snapshots.remove(segment.base_offset)
            return paths

    def take_names(self, new: Segment) -> None:
        """Give the files of a segment that has taken its place their final names.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        with self._health:
            # Deleted meanwhile, it has given up its names already.
            if new in list(self.segments):
                new.rename_files("")
                self._unsynced.note_names()

    def cleaned_up_to(self, offset: int) -> None:
        """Everything before an offset is clean, except what came since."""
        self.segments.first_dirty_offset = offset
