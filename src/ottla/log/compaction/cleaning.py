"""One cleaning of one log: first all keys of the dirty part, then new segments without the rest.

Everything here runs in a worker while the log goes on: sealed segments don't change, and what is
written has names of its own. Only ``replacement`` touches the log.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ottla.log.compaction.transactions import CleanedTransactions
from ottla.log.compaction.walk import walk_batches
from ottla.log.config import LogConfig
from ottla.log.files import remove_if_any
from ottla.log.names import CLEANED_SUFFIX, SEGMENT_SUFFIXES, SWAP_SUFFIX
from ottla.log.producers import Producer
from ottla.log.segment import Segment
from ottla.log.transactions import AbortedTransaction
from ottla.ports.disk import Disk
from ottla.records import compaction
from ottla.records.batch import BatchHeader, iter_headers
from ottla.records.compaction import OffsetMap
from ottla.records.decode import DEFAULT_MAX_DECOMPRESSED_BYTES
from ottla.records.errors import RecordsError
from ottla.records.record import BytesLike

_SYNC_BYTES = 4 * 1024 * 1024


class MapTooSmallError(Exception):
    """A single batch has more keys than the map holds: ``log.cleaner.dedupe.buffer.size``."""


class SourceSegment(NamedTuple):
    """A segment to be cleaned, as the worker sees it."""

    segment: Segment
    path: str
    base_offset: int
    end_offset: int
    """Where the next segment starts."""
    size_bytes: int
    index_bytes: int
    has_transaction_index: bool


class ActiveProducers(NamedTuple):
    """Which batches must leave their header behind: the last ones of producers still remembered.

    Without records of its own a producer is known by its end marker's epoch.
    """

    last_offsets: frozenset[int]
    marker_epochs: dict[int, int]

    @classmethod
    def of(cls, producers: Iterable[Producer]) -> ActiveProducers:
        known = list(producers)
        return cls(
            frozenset(each.last_offset for each in known if each.batches),
            {each.producer_id: each.producer_epoch for each in known if not each.batches},
        )


class CleaningRequest(NamedTuple):
    """What one cleaning is asked to do."""

    first_dirty_offset: int
    end_offset: int
    """No offset from here on is touched; a segment starts here."""
    config: LogConfig
    now_ms: int
    aborted: Sequence[AbortedTransaction]


class Indexing:
    """The first part: the latest offset of every key from the first dirty offset on."""

    def __init__(self, disk: Disk, request: CleaningRequest, offset_map: OffsetMap) -> None:
        self._disk = disk
        self._request = request
        self._map = offset_map
        self._start_offset = request.first_dirty_offset
        self._index_batches = compaction.twin().index_batches
        self._transactions = CleanedTransactions(request.aborted)
        self.latest_offset = -1
        """Up to where every key is in the map: the log can be cleaned up to here."""
        self.is_full = False
        """The map took no more; another cleaning has to follow."""

    def steps(self, segments: Sequence[SourceSegment], buffer_bytes: int) -> Iterator[int]:
        """Go through the segments that have dirty offsets; yields bytes read.

        Raises:
            RecordsError: a batch is damaged.
            MapTooSmallError: not even the first batch fits.
            OSError: the disk failed.
        """
        for source in segments:
            if source.end_offset <= self._start_offset:
                continue
            file = self._disk.open(source.path)
            try:
                yield from walk_batches(
                    file, source.size_bytes, buffer_bytes, self._bulk, self._single
                )
            finally:
                file.close()
            if self.is_full:
                break
            # After a gap at its end, too, no later record of the segment has a key to look for.
            self.latest_offset = max(self.latest_offset, source.end_offset - 1)
        if self.is_full and self.latest_offset < self._start_offset:
            raise MapTooSmallError(
                f"{self._map.capacity} keys are too few for the batch after offset "
                f"{self._start_offset - 1}: log.cleaner.dedupe.buffer.size is too small"
            )

    def _bulk(self, chunk: bytes, at: int) -> int:
        end: int
        end, last_offset = self._index_batches(self._map, chunk, at, self._start_offset)
        if last_offset >= self._start_offset:
            self.latest_offset = last_offset
        return end

    def _single(self, batch: memoryview, header: BatchHeader) -> bool:
        if header.is_control:
            self._transactions.may_drop_marker(header, batch)
        elif not self._transactions.is_aborted(header) and not compaction.index_batch(
            self._map, batch, header, self._start_offset, DEFAULT_MAX_DECOMPRESSED_BYTES
        ):
            self.is_full = True
            return False
        if header.last_offset >= self._start_offset:
            self.latest_offset = header.last_offset
        return True


class Rewriting:
    """The second part: what stays of the segments, up to the offset the map reaches."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        request: CleaningRequest,
        offset_map: OffsetMap,
        latest_offset: int,
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._request = request
        self._map = offset_map
        self._latest_offset = latest_offset
        self._transactions = CleanedTransactions(request.aborted)

    def begin(self, group: Sequence[SourceSegment], active: ActiveProducers) -> GroupRewriting:
        """Clean the next segments in the log's order into one."""
        # The last batch of all keeps its header, so that the end of what was cleaned stays known.
        last_offsets = active.last_offsets | {self._request.end_offset - 1}
        return GroupRewriting(
            self._disk,
            self._directory,
            group,
            BatchCleaner(
                self._request,
                self._map,
                self._latest_offset,
                self._transactions,
                active._replace(last_offsets=last_offsets),
            ),
        )


class BatchCleaner:
    """Decides batch by batch what stays."""

    def __init__(
        self,
        request: CleaningRequest,
        offset_map: OffsetMap,
        latest_offset: int,
        transactions: CleanedTransactions,
        active: ActiveProducers,
    ) -> None:
        self._now_ms = request.now_ms
        self._delete_retention_ms = request.config.delete_retention_ms
        self._map = offset_map
        self._latest_offset = latest_offset
        self._active = active
        self._kept_ends = array("q", sorted(active.last_offsets))
        self._clean_batches = compaction.twin().clean_batches
        self.transactions = transactions
        self.index_interval_bytes = request.config.index_interval_bytes

    def clean_many(self, chunk: bytes, at: int) -> tuple[int, bytes]:
        """Clean the simple batches from a position on; where they end, and what stays."""
        found: tuple[int, bytes] = self._clean_batches(
            self._map,
            chunk,
            at,
            self._latest_offset,
            self._now_ms,
            self._delete_retention_ms,
            self._kept_ends,
        )
        return found

    def clean(self, batch: memoryview, header: BatchHeader) -> BytesLike | None:
        """What stays of a batch.

        Raises:
            RecordsError: the batch is damaged.
        """
        kept: BytesLike | None
        if header.is_control:
            kept = self._clean_marker(batch, header)
        elif self.transactions.is_aborted(header) and header.base_offset <= self._latest_offset:
            kept = None
        elif header.base_offset > self._latest_offset:
            kept = batch
        else:
            kept = compaction.clean_batch(
                self._map,
                batch,
                header,
                now_ms=self._now_ms,
                delete_retention_ms=self._delete_retention_ms,
                max_decompressed_bytes=DEFAULT_MAX_DECOMPRESSED_BYTES,
            )
        if kept is None and self._leaves_header(header):
            return compaction.empty_batch(batch, header)
        return kept

    def _clean_marker(self, batch: memoryview, header: BatchHeader) -> BytesLike | None:
        may_go = self.transactions.may_drop_marker(header, batch)
        if header.base_offset > self._latest_offset or not may_go:
            return batch
        if header.record_count == 0:
            return None
        horizon_ms = header.delete_horizon_ms
        if horizon_ms is None:
            return compaction.with_delete_horizon(
                batch, header, self._now_ms + self._delete_retention_ms
            )
        return None if horizon_ms <= self._now_ms else batch

    def _leaves_header(self, header: BatchHeader) -> bool:
        if header.last_offset in self._active.last_offsets:
            return True
        epoch = self._active.marker_epochs.get(header.producer_id)
        return header.is_control and epoch == header.producer_epoch


class GroupRewriting:
    """Writes one new segment, under names that recovery removes."""

    def __init__(
        self, disk: Disk, directory: str, group: Sequence[SourceSegment], cleaner: BatchCleaner
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._cleaner = cleaner
        self._pending = bytearray()
        self.sources = group
        self.segment = Segment(
            disk,
            directory,
            group[0].base_offset,
            index_interval_bytes=cleaner.index_interval_bytes,
            now_ms=group[0].segment.created_ms,
            is_new=True,
            name_suffix=CLEANED_SUFFIX,
        )
        self.read_bytes = 0
        self._is_changed = len(group) > 1
        self._synced_bytes = 0

    @property
    def is_changed(self) -> bool:
        """Whether the new segment differs from what it would replace."""
        return self._is_changed

    def steps(self, buffer_bytes: int) -> Iterator[int]:
        """Write the segment; yields bytes read and written.

        Raises:
            RecordsError: a batch is damaged.
            OSError: the disk failed.
        """
        self.remove()
        _ = self.segment.file
        self._cleaner.transactions.still_aborted.clear()
        written_bytes = 0
        for source in self.sources:
            file = self._disk.open(source.path)
            try:
                for read_bytes in walk_batches(
                    file, source.size_bytes, buffer_bytes, self._bulk, self._single
                ):
                    self.read_bytes += read_bytes
                    if len(self._pending) >= buffer_bytes:
                        self._write()
                    yield read_bytes + self.segment.size_bytes - written_bytes
                    written_bytes = self.segment.size_bytes
            finally:
                file.close()
        self._write()
        yield self.segment.size_bytes - written_bytes

    def _bulk(self, chunk: bytes, at: int) -> int:
        end, kept = self._cleaner.clean_many(chunk, at)
        if not self._is_changed:
            self._is_changed = kept != chunk[at:end]
        self._pending += kept
        return end

    def _single(self, batch: memoryview, header: BatchHeader) -> bool:
        kept = self._cleaner.clean(batch, header)
        if kept is not batch:
            self._is_changed = True
        if kept is not None:
            self._pending += kept
        return True

    def _write(self) -> None:
        if self._pending:
            if self.segment.size_bytes - self._synced_bytes >= _SYNC_BYTES:
                # Little by little: one large sync at the end would hold up the group commit.
                self.segment.file.sync()
                self._synced_bytes = self.segment.size_bytes
            batches = [
                (header.size_bytes, header.last_offset, header.max_record_timestamp_ms)
                for _, header in iter_headers(self._pending)
            ]
            self.segment.append(self._pending, batches)
            self._pending = bytearray()

    def make_durable(self) -> None:
        """Complete the segment, and give it the names with which recovery lets it take over.

        Until the log's own file has been renamed, as the last one, a crash undoes everything.

        Raises:
            OSError: the disk failed.
        """
        segment = self.segment
        segment.seal()
        if any(source.has_transaction_index for source in self.sources):
            # Even an empty one is written: the absence of a file must not bring back an old one.
            segment.transaction_index.write(self._cleaner.transactions.still_aborted)
        segment.file.sync()
        segment.sync_indexes()
        self._disk.sync_directory(self._directory)
        segment.rename_files(SWAP_SUFFIX)
        self._disk.sync_directory(self._directory)

    def discard(self) -> None:
        """Close and remove what was written; what can't be removed is left to the next start."""
        self.segment.retire()
        with contextlib.suppress(OSError):
            self.remove()

    def remove(self) -> None:
        """Remove what was written, or an earlier attempt left.

        Raises:
            OSError: the disk failed.
        """
        segment = self.segment
        plain = f"{self._directory}/{segment.base_offset:020d}"
        # The log's own file first: without it, recovery takes over nothing.
        for suffix in SEGMENT_SUFFIXES:
            for marked in (SWAP_SUFFIX, CLEANED_SUFFIX):
                remove_if_any(self._disk, plain + suffix + marked)


def is_damage(error: Exception) -> bool:
    """Whether an error says something about the log itself, not about the disk or the moment."""
    return isinstance(error, RecordsError | MapTooSmallError)
