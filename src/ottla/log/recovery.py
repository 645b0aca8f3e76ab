"""Opening a partition's directory: trusting it after a clean stop, checking it after any other.

After an unclean stop everything from the recovery point's segment on is read: batches with a wrong
checksum or offsets out of order, and all after them, were never durable and are cut off. Indexes
and producer state are rebuilt on the way.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from ottla.log.config import LogConfig
from ottla.log.epochs import LeaderEpochCache
from ottla.log.errors import MalformedFile
from ottla.log.files import read_file_if_any, remove_if_any
from ottla.log.names import (
    CLEANED_SUFFIX,
    DELETED_SUFFIX,
    LEADER_EPOCH_CHECKPOINT,
    LOG_SUFFIX,
    SEGMENT_SUFFIXES,
    SNAPSHOT_SUFFIX,
    SWAP_SUFFIX,
    TEMPORARY_SUFFIX,
    offset_name,
    parse_offset_name,
)
from ottla.log.producer_recovery import (
    rebuild_transaction_index,
    replay_batch,
    restore_producers,
)
from ottla.log.producers import Producers
from ottla.log.scan import iter_checked_headers, iter_file_headers
from ottla.log.segment import Segment
from ottla.log.snapshots import SnapshotFiles
from ottla.log.text_files import parse_epoch_checkpoint
from ottla.ports.disk import Disk
from ottla.records.batch import BatchHeader
from ottla.records.errors import CorruptBatch, RecordsError

_logger = logging.getLogger(__name__)


class OpenRequest(NamedTuple):
    """What is known of a partition before its directory is looked at."""

    recovery_point: int
    """Everything below was durable at the last checkpoint."""
    log_start_offset: int
    was_clean: bool
    now_ms: int
    first_dirty_offset: int = 0
    """Compaction has cleaned everything below: gaps between segments are no loss."""


class Recovered(NamedTuple):
    """What recovery found wrong, for the caller to judge."""

    scanned_bytes: int = 0
    cut_bytes: int = 0
    removed_segments: int = 0
    cut_below_recovery_point: bool = False
    """Bytes that had been durable were corrupt: acknowledged records may be lost."""


class LoadedLog(NamedTuple):
    """A partition's directory as it stands after loading."""

    segments: list[Segment]
    log_start_offset: int
    log_end_offset: int
    recovery_point: int
    checkpointed_offset: int
    """The recovery point as the checkpoint has it."""
    epochs: LeaderEpochCache
    producers: Producers
    snapshots: SnapshotFiles
    first_dirty_offset: int
    recovered: Recovered
    resealed: list[Segment]
    """Segments whose indexes were written anew and are not durable."""


def load_log(disk: Disk, directory: str, config: LogConfig, request: OpenRequest) -> LoadedLog:
    """Read a partition's directory, repairing what an unclean stop left.

    Raises:
        OSError: the disk failed.
    """
    return _Loader(disk, directory, config, request).load()


class _Loader:
    """One loading of one directory."""

    def __init__(self, disk: Disk, directory: str, config: LogConfig, request: OpenRequest) -> None:
        self._disk = disk
        self._directory = directory
        self._config = config
        self._request = request
        self._producers = Producers(request.recovery_point)
        self._segments: list[Segment] = []
        self._recovered = Recovered()
        self._resealed: list[Segment] = []

    def load(self) -> LoadedLog:
        names = finish_interrupted_changes(
            self._disk, self._directory, self._disk.list_directory(self._directory)
        )
        self._epochs = self._load_epochs(names)
        self._list_files(names)
        log_end_offset = self._recover_or_trust()
        log_start_offset = max(self._request.log_start_offset, self._segments[0].base_offset)
        self._epochs.truncate_from_end(log_end_offset)
        self._epochs.truncate_from_start(log_start_offset)
        self._snapshots.remove_after(log_end_offset)
        self._snapshots.remove_strays(segment.base_offset for segment in self._segments)
        self._producers.end_offset = log_end_offset
        self._producers.remove_expired(self._request.now_ms, self._config.producer_id_expiration_ms)
        is_untouched = self._request.was_clean and self._recovered == Recovered()
        return LoadedLog(
            self._segments,
            log_start_offset,
            log_end_offset,
            log_end_offset
            if is_untouched
            else min(max(self._request.recovery_point, log_start_offset), log_end_offset),
            min(self._request.recovery_point, log_end_offset),
            self._epochs,
            self._producers,
            self._snapshots,
            min(self._request.first_dirty_offset, log_end_offset),
            self._recovered,
            self._resealed,
        )

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"

    def _load_epochs(self, names: list[str]) -> LeaderEpochCache:
        if LEADER_EPOCH_CHECKPOINT not in names:
            return LeaderEpochCache()
        data = read_file_if_any(self._disk, self._path(LEADER_EPOCH_CHECKPOINT))
        try:
            return LeaderEpochCache(parse_epoch_checkpoint(data or b""))
        except MalformedFile as error:
            _logger.warning("%s: ignoring %s", self._path(LEADER_EPOCH_CHECKPOINT), error)
            return LeaderEpochCache()

    def _list_files(self, names: list[str]) -> None:
        present = set(names)
        snapshot_offsets = []
        for name in names:
            for suffix in SEGMENT_SUFFIXES:
                offset = parse_offset_name(name, suffix)
                if offset is None:
                    continue
                if suffix == LOG_SUFFIX:
                    self._segments.append(self._segment(offset))
                elif offset_name(offset, LOG_SUFFIX) not in present:
                    remove_if_any(self._disk, self._path(name))
            offset = parse_offset_name(name, SNAPSHOT_SUFFIX)
            if offset is not None:
                snapshot_offsets.append(offset)
        self._snapshots = SnapshotFiles(self._disk, self._directory, snapshot_offsets)

    def _segment(self, base_offset: int, *, is_new: bool = False) -> Segment:
        return Segment(
            self._disk,
            self._directory,
            base_offset,
            index_interval_bytes=self._config.index_interval_bytes,
            now_ms=self._request.now_ms,
            is_new=is_new,
            most_bytes=self._config.segment_bytes,
        )

    def _recover_or_trust(self) -> int:
        """Make the segments right; returns the log end offset."""
        if self._segments and self._request.was_clean and self._segments[-1].load_end():
            log_end_offset = self._segments[-1].next_offset
            self._restore_producers(self._segments, log_end_offset)
        elif self._segments:
            log_end_offset = self._recover()
        else:
            log_end_offset = -1
        if log_end_offset < self._request.log_start_offset or not self._segments:
            # Files are missing (or the log is new): what is left lies before the log's start.
            return self._start_over(self._request.log_start_offset)
        return log_end_offset

    def _restore_producers(self, segments: list[Segment], end_offset: int) -> None:
        self._producers = restore_producers(
            self._snapshots,
            segments,
            start_offset=self._request.log_start_offset,
            end_offset=end_offset,
            high_watermark=self._request.recovery_point,
            trust_missing=self._request.was_clean,
        )

    def _start_over(self, offset: int) -> int:
        for segment in self._segments:
            self._remove_segment(segment)
        self._epochs.clear()
        self._producers.clear()
        self._segments = [self._segment(offset, is_new=True)]
        return offset

    def _recover(self) -> int:
        first = self._first_unflushed()
        base_offset = self._segments[first].base_offset
        if first > 0 and base_offset == self._request.recovery_point:
            # All of the segment before is durable, but its indexes were written after that.
            self._segments[first - 1].rebuild_indexes()
            self._segments[first - 1].seal()
            rebuild_transaction_index(
                self._snapshots,
                self._segments[:first],
                start_offset=self._request.log_start_offset,
            )
            self._resealed.append(self._segments[first - 1])
        self._restore_producers(self._segments[:first], base_offset)
        number = first
        end_offset = base_offset
        cut_bytes = scanned_bytes = 0
        while number < len(self._segments) and cut_bytes == 0:
            segment = self._segments[number]
            if number > first and self._is_gap(end_offset, segment):
                break
            valid_bytes = self._scan(segment)
            scanned_bytes += valid_bytes
            cut_bytes = segment.file.size_bytes() - valid_bytes
            if cut_bytes:
                # Durable at once, lest a second crash brings the cut bytes back behind new ones.
                segment.cut(valid_bytes)
                segment.file.sync()
            else:
                # A killed broker gave nothing back of what it had set aside.
                segment.file.truncate(valid_bytes)
            if number + 1 < len(self._segments):
                segment.seal()
                self._resealed.append(segment)
            end_offset = segment.next_offset
            number += 1
        # What the cut made the last segment is the active one.
        self._resealed = [each for each in self._resealed if each is not self._segments[number - 1]]
        removed, self._segments = self._segments[number:], self._segments[:number]
        for segment in removed:
            self._remove_segment(segment)
        if removed:
            self._disk.sync_directory(self._directory)
        self._recovered = Recovered(
            scanned_bytes,
            cut_bytes,
            len(removed),
            bool(cut_bytes or removed) and end_offset < self._request.recovery_point,
        )
        self._report(end_offset)
        return end_offset

    def _report(self, end_offset: int) -> None:
        recovered = self._recovered
        if recovered.cut_bytes or recovered.removed_segments:
            level = logging.ERROR if recovered.cut_below_recovery_point else logging.WARNING
            _logger.log(
                level,
                "%s: cut %d invalid bytes and %d later segments; the log now ends at offset %d",
                self._directory,
                recovered.cut_bytes,
                recovered.removed_segments,
                end_offset,
            )

    def _first_unflushed(self) -> int:
        """The number of the segment that contains the recovery point (a clean log's: its last)."""
        if self._request.was_clean:
            return len(self._segments) - 1
        for number in range(len(self._segments) - 1, 0, -1):
            if self._segments[number].base_offset <= self._request.recovery_point:
                return number
        return 0

    def _is_gap(self, end_offset: int, segment: Segment) -> bool:
        """Whether the end of the segment before was lost, leaving no trace but the gap.

        Compaction leaves gaps, too. What it replaces is below the checkpointed recovery point, from
        where on segments are looked at here; unless that checkpoint is lost.
        """
        return (
            segment.base_offset != end_offset
            and segment.base_offset > self._request.first_dirty_offset
            and not self._config.compacts
        )

    def _scan(self, segment: Segment) -> int:
        """Read a segment whole, rebuilding all that is derived; returns how many bytes are good."""
        segment.clear_indexes()
        segment.transaction_index.clear()
        valid_bytes = 0
        start_offset = self._request.log_start_offset
        try:
            for position, header in iter_checked_headers(segment.file, segment.file.size_bytes()):
                self._check_offsets(segment, header)
                segment.note_batch(
                    position,
                    header.size_bytes,
                    header.last_offset,
                    header.max_record_timestamp_ms,
                )
                valid_bytes = position + header.size_bytes
                self._epochs.observe(header.partition_leader_epoch, header.base_offset)
                if header.producer_id >= 0 and header.last_offset >= start_offset:
                    aborted = replay_batch(self._producers, segment, position, header)
                    if aborted is not None:
                        segment.transaction_index.append(aborted)
        except RecordsError as error:
            _logger.info("%s: %s", segment.path(LOG_SUFFIX), error)
        return valid_bytes

    @staticmethod
    def _check_offsets(segment: Segment, header: BatchHeader) -> None:
        if not segment.may_follow(header):
            raise CorruptBatch(
                f"Offsets {header.base_offset} to {header.last_offset} after offset "
                f"{segment.next_offset - 1}"
            )

    def _remove_segment(self, segment: Segment) -> None:
        segment.retire()
        for suffix in SEGMENT_SUFFIXES:
            remove_if_any(self._disk, segment.path(suffix))


def finish_interrupted_changes(disk: Disk, directory: str, names: list[str]) -> list[str]:
    """Undo or complete what deletion and compaction were doing; returns the names left.

    ``.deleted`` and ``.cleaned`` files are leftovers. ``.swap`` files are complete replacements:
    they take the place of the segments they span.
    """
    remaining = []
    swaps = []
    cleaned = []
    for name in names:
        if name.endswith(CLEANED_SUFFIX):
            cleaned.append(name)
        elif name.endswith((DELETED_SUFFIX, TEMPORARY_SUFFIX)):
            disk.remove(f"{directory}/{name}")
        elif name.endswith(SWAP_SUFFIX):
            swaps.append(name)
        else:
            remaining.append(name)
    cleaned_from = min(map(_leading_offset, cleaned), default=None)
    # A swap file at or after a .cleaned one belongs to a replacement that wasn't complete, or to a
    # split that didn't finish (KAFKA-6264).
    unfinished = [
        name for name in swaps if cleaned_from is not None and _leading_offset(name) >= cleaned_from
    ]
    for name in unfinished:
        disk.remove(f"{directory}/{name}")
    if unfinished:
        # Without the .cleaned files beside them they would count.
        disk.sync_directory(directory)
    for name in cleaned:
        disk.remove(f"{directory}/{name}")
    swaps = [name for name in swaps if name not in unfinished]
    return _take_over_swaps(disk, directory, remaining, swaps) if swaps else remaining


def _take_over_swaps(
    disk: Disk, directory: str, remaining: list[str], swaps: list[str]
) -> list[str]:
    bases = {_leading_offset(name) for name in swaps if name.endswith(LOG_SUFFIX + SWAP_SUFFIX)}
    end = max(
        (_end_offset_of(disk, f"{directory}/{offset_name(base, LOG_SUFFIX)}{SWAP_SUFFIX}", base)
         for base in bases),
        default=0,
    )  # fmt: skip
    # Where the old file of batches is gone, other files may have got their names already.
    renamed = {base for base in bases if offset_name(base, LOG_SUFFIX) not in remaining}
    kept = []
    for name in remaining:
        offset = _leading_offset(name)
        is_spanned = bool(bases) and min(bases) <= offset < end
        if (
            name.endswith(SEGMENT_SUFFIXES)
            and offset not in renamed
            and (is_spanned or offset in bases)
        ):
            disk.remove(f"{directory}/{name}")
        else:
            kept.append(name)
    # A second crash must not bring an old segment back beside the new one.
    disk.sync_directory(directory)
    for name in sorted(swaps, key=lambda each: each.endswith(LOG_SUFFIX + SWAP_SUFFIX)):
        target = name.removesuffix(SWAP_SUFFIX)
        disk.rename(f"{directory}/{name}", f"{directory}/{target}")
        if target not in kept:
            kept.append(target)
    disk.sync_directory(directory)
    return sorted(kept)


def _leading_offset(name: str) -> int:
    digits = name.partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() else -1


def _end_offset_of(disk: Disk, path: str, base_offset: int) -> int:
    file = disk.open(path)
    try:
        end_offset = base_offset
        for _, header in iter_file_headers(file, 0, file.size_bytes()):
            end_offset = header.next_offset
        return end_offset
    except RecordsError:
        return end_offset
    finally:
        file.close()
