"""One partition on disk: segments, what they contain, and who wrote it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ottla.log.aborted import AbortedTransactions
from ottla.log.appending import Appended, PreparedAppend, check_sizes, repeated
from ottla.log.config import LOG_APPEND_TIME, LogConfig
from ottla.log.errors import LogDirectoryFailed, OffsetOutOfRange
from ottla.log.files import write_file
from ottla.log.flush import FlushTarget, Unsynced
from ottla.log.health import DirectoryHealth
from ottla.log.names import PARTITION_METADATA, TopicPartition
from ottla.log.producer_recovery import restore_producers
from ottla.log.producers import AppendOrigin
from ottla.log.reading import LogSlice
from ottla.log.recovery import LoadedLog, OpenRequest, Recovered, load_log
from ottla.log.retention import Removal, retention_plan
from ottla.log.rolling import is_roll_due
from ottla.log.segment import Segment, create_segment
from ottla.log.segments import Segments
from ottla.log.text_files import format_partition_metadata
from ottla.log.timestamps import FoundOffset, find_by_timestamp, find_max_timestamp
from ottla.log.transactions import AbortedTransaction
from ottla.log.verification import VerificationGuard
from ottla.ports.disk import Disk
from ottla.records.batch import BatchHeader
from ottla.records.stamp import stamp, stamp_log_append_time

if TYPE_CHECKING:
    from ottla.log.compaction.replacement import LogCompaction

__all__ = ["AppendOrigin", "Appended", "PartitionLog"]


class PartitionLog:
    """The log of one partition. Not thread-safe: one thread owns it.

    Any disk error takes the whole log directory offline: it is raised as ``LogDirectoryFailed``,
    and so is every call after it.
    """

    def __init__(
        self,
        disk: Disk,
        directory: str,
        config: LogConfig,
        name: TopicPartition,
        topic_id: uuid.UUID | None,
        health: DirectoryHealth,
        loaded: LoadedLog,
        checkpoint: Callable[[], None] | None,
    ) -> None:
        self._disk = disk
        self._health = health
        self._checkpoint = checkpoint
        self._segments = Segments(loaded.segments, loaded.first_dirty_offset)
        self._snapshots = loaded.snapshots
        self._aborted = AbortedTransactions(self._segments, self._snapshots)
        self._unsynced = Unsynced()
        self._is_touched = loaded.recovered != Recovered()
        self.directory = directory
        self.config = config
        self.name = name
        self.topic_id = topic_id
        self.is_deleted = False
        self.is_closed = False
        self.log_start_offset = loaded.log_start_offset
        self.log_end_offset = loaded.log_end_offset
        self.flushed_offset = loaded.recovery_point
        """The recovery point: every offset below survives a power cut."""
        self.checkpointed_offset = loaded.checkpointed_offset
        """The recovery point the next start will read, kept up to date by the directory."""
        self.high_watermark = self.log_end_offset
        """Retention deletes nothing at or above it."""
        self.leader_epochs = loaded.epochs
        self.producers = loaded.producers
        self.recovered = loaded.recovered
        """What opening the log had to repair."""

    @classmethod
    def create(
        cls,
        disk: Disk,
        directory: str,
        config: LogConfig,
        name: TopicPartition,
        topic_id: uuid.UUID,
        *,
        now_ms: int,
        health: DirectoryHealth | None = None,
        checkpoint: Callable[[], None] | None = None,
        log_start_offset: int = 0,
    ) -> PartitionLog:
        """Make an empty log. It becomes durable with its first flush.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        health = health or DirectoryHealth(directory)
        with health:
            disk.make_directories(directory)
            metadata_path = f"{directory}/{PARTITION_METADATA}"
            write_file(disk, metadata_path, format_partition_metadata(topic_id), sync=False)
            request = OpenRequest(log_start_offset, log_start_offset, True, now_ms)
            loaded = load_log(disk, directory, config, request)
        log = cls(disk, directory, config, name, topic_id, health, loaded, checkpoint)
        log._unsynced.note_path(metadata_path)
        log._unsynced.note_directory(directory.rpartition("/")[0])
        return log

    @classmethod
    def open(
        cls,
        disk: Disk,
        directory: str,
        config: LogConfig,
        name: TopicPartition,
        topic_id: uuid.UUID | None,
        request: OpenRequest,
        *,
        health: DirectoryHealth | None = None,
        checkpoint: Callable[[], None] | None = None,
    ) -> PartitionLog:
        """Open a log from its directory, recovering it unless it was closed cleanly.

        Args:
            health: shared with the other logs of the log directory.
            checkpoint: writes the recovery points of the log directory; see ``remove_segments``.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        health = health or DirectoryHealth(directory)
        with health:
            loaded = load_log(disk, directory, config, request)
        log = cls(disk, directory, config, name, topic_id, health, loaded, checkpoint)
        if log.flushed_offset < log.log_end_offset:
            log._unsynced.note_names()
        for segment in loaded.resealed:
            log._unsynced.note_sealed(segment)
        return log

    @property
    def segment_count(self) -> int:
        return len(self._segments)

    @property
    def first_segment_offset(self) -> int:
        """Where the oldest segment starts; the log may start later."""
        return self._segments.first_offset

    @property
    def first_dirty_offset(self) -> int:
        """Up to where compaction has cleaned the log, as ``cleaner-offset-checkpoint`` has it."""
        return self._segments.first_dirty_offset

    @property
    def size_bytes(self) -> int:
        """Bytes of all segments, without their indexes."""
        with self._health:
            return self._segments.size_bytes

    def set_topic_id(self, topic_id: uuid.UUID) -> None:
        """Write ``partition.metadata`` anew, durable with the next flush."""
        path = f"{self.directory}/{PARTITION_METADATA}"
        with self._health:
            write_file(self._disk, path, format_partition_metadata(topic_id), sync=False)
        self.topic_id = topic_id
        self._unsynced.note_path(path)

    def advance_high_watermark(self, high_watermark: int) -> int:
        """Take note of the high watermark; returns the last stable offset."""
        self.high_watermark = high_watermark
        last_stable_offset = self.producers.unstable.advance(high_watermark)
        # The log may have lost the beginning of a transaction that is still open.
        return max(last_stable_offset, min(self.log_start_offset, high_watermark))

    # Appending

    def append(
        self,
        buffer: bytearray | memoryview,
        batches: Sequence[tuple[int, BatchHeader]],
        *,
        leader_epoch: int,
        now_ms: int,
        origin: AppendOrigin = AppendOrigin.CLIENT,
        guard: VerificationGuard | None = None,
        transaction_version: int = 0,
    ) -> Appended:
        """Assign offsets and write, in one call to the disk.

        Args:
            buffer: one or more validated batches; offsets, leader epoch and, where the topic wants
                it, the append time are stamped in place.
            batches: position and header of every batch in the buffer, in order.
            guard: of the verification without which no transaction begins (KIP-890).
            transaction_version: by which end markers are checked (KIP-1228).

        Raises:
            LogError: the batches were refused; nothing was written.
            LogDirectoryFailed: the disk failed.
        """
        self._health.check()
        is_replica = origin is AppendOrigin.REPLICATION
        append_time_ms = -1
        if not is_replica and self.config.message_timestamp_type == LOG_APPEND_TIME:
            append_time_ms = now_ms
        check_sizes(len(buffer), batches, self.config, is_replica)
        prepared = PreparedAppend(
            buffer,
            batches,
            self.producers,
            log_end_offset=self.log_end_offset,
            append_time_ms=append_time_ms,
            origin=origin,
            guard=guard,
            needs_guard=self.config.verifies_transactions,
            transaction_version=transaction_version,
        )
        if prepared.duplicate is not None:
            return repeated(prepared.duplicate, self.config, self.log_start_offset)
        written = prepared.written
        epoch = None if is_replica else leader_epoch
        try:
            first_offset = self._write(buffer, batches, written, epoch, append_time_ms, now_ms)
            aborted = prepared.commit(first_offset)
            if aborted and self._aborted.add(aborted, self.log_start_offset):
                self._unsynced.note_names()
        except OSError as error:
            raise self._health.fail(error) from error
        last_offset = written[-1][1]
        self.producers.end_offset = self.log_end_offset = last_offset + 1
        return Appended(first_offset, last_offset, append_time_ms, self.log_start_offset)

    def append_next(self, buffer: memoryview, header: BatchHeader, *, leader_epoch: int) -> bool:
        """Append a plain batch (see ``stamp_plain_batch``) that bears the log end offset, in short.

        False, and nothing has changed, where ``append`` must decide: a failed disk, a new epoch or
        segment, a producer's batch that isn't simply its next. Raises ``LogDirectoryFailed``.
        """
        if self._health.failure or leader_epoch != self.leader_epochs.latest_epoch:
            return False
        if not self.producers.is_next(header):
            return False
        try:
            if not self._segments.append_next(buffer, header, self.config):
                return False
        except OSError as error:
            raise self._health.fail(error) from error
        self._is_touched = True
        self.producers.add_next(header)
        self.log_end_offset = self.producers.end_offset
        return True

    def _write(
        self,
        buffer: bytearray | memoryview,
        batches: Sequence[tuple[int, BatchHeader]],
        written: list[tuple[int, int, int]],
        leader_epoch: int | None,
        append_time_ms: int,
        now_ms: int,
    ) -> int:
        """Roll if due, stamp the batches unless they are a replica's, write.

        Returns the first offset.
        """
        first_offset = written[0][1] - batches[0][1].last_offset_delta
        if is_roll_due(self._segments.active, self.config, len(buffer), written, now_ms):
            self.roll(first_offset, now_ms=now_ms)
        segments = self._segments
        start = segments.active.size_bytes
        for (position, header), (_, last_offset, _) in zip(batches, written, strict=True):
            base_offset = last_offset - header.last_offset_delta
            if leader_epoch is None:
                self.leader_epochs.observe(header.partition_leader_epoch, base_offset)
            else:
                stamp(buffer, position, base_offset, leader_epoch)
            if append_time_ms >= 0:
                stamp_log_append_time(buffer, position, append_time_ms)
            segments.note_append(base_offset, start + position)
        if start == 0:
            # The file may be made by this very write; its name must become durable, too.
            self._unsynced.note_names()
        segments.active.append(buffer, written)
        self._is_touched = True
        if leader_epoch is not None:
            self.leader_epochs.assign(leader_epoch, first_offset)
        return first_offset

    # Rolling

    def roll(self, base_offset: int | None = None, *, now_ms: int) -> None:
        """Start a new segment at the log's end, unless the active one is empty."""
        if self._segments.active.size_bytes == 0:
            return
        base_offset = self.log_end_offset if base_offset is None else base_offset
        with self._health:
            self._segments.active.seal()
            self._unsynced.note_sealed(self._segments.active)
            snapshot_path = self._snapshots.take(self.producers, base_offset, sync=False)
            if snapshot_path is not None:
                self._unsynced.note_path(snapshot_path)
            active = self._new_segment(base_offset, now_ms)
        self._segments.add(active)
        self._unsynced.note_names()

    def _new_segment(self, base_offset: int, now_ms: int) -> Segment:
        return create_segment(self._disk, self.directory, base_offset, self.config, now_ms)

    # Reading

    def read(
        self,
        offset: int,
        max_bytes: int,
        *,
        end_offset: int | None = None,
        at_least_one_batch: bool = True,
    ) -> LogSlice:
        """Batches from the one that contains ``offset``, up to ``max_bytes`` and ``end_offset``.

        The last batch may be cut off by ``max_bytes``, as Kafka's readers expect; the first one is
        complete, or the slice is empty. ``end_offset`` (a batch's boundary) cuts cleanly.

        Args:
            at_least_one_batch: return the first batch even when it exceeds ``max_bytes``.

        Raises:
            OffsetOutOfRange: before the log start offset or after the log end offset.
            LogDirectoryFailed: the disk failed.
        """
        self._health.check()
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise OffsetOutOfRange(
                f"Offset {offset} is not between {self.log_start_offset} and {self.log_end_offset}"
            )
        limit = self.log_end_offset
        if end_offset is not None and end_offset < limit:
            limit = end_offset
        if offset >= limit:
            return LogSlice(None, 0, 0, offset)
        found = self._segments.read_recent(offset, max_bytes, limit, at_least_one_batch)
        if found is None:
            with self._health:
                found = self._segments.read(
                    offset, max_bytes, limit, self.log_end_offset, at_least_one_batch
                )
        found.health = self._health
        return found

    def aborted_transactions(self, records: LogSlice, end_offset: int) -> list[AbortedTransaction]:
        """Whose records in the slice, read up to ``end_offset``, are not to be shown (KIP-98).

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        with self._health:
            return self._aborted.within(records, end_offset, self.log_start_offset)

    def offset_for_timestamp(self, timestamp_ms: int) -> FoundOffset | None:
        """The first record with this timestamp or a later one.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        with self._health:
            return find_by_timestamp(list(self._segments), timestamp_ms, self.log_start_offset)

    def max_timestamp_offset(self) -> FoundOffset | None:
        """The first record with the largest timestamp of all, if any record has one.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        with self._health:
            return find_max_timestamp(list(self._segments), self.log_start_offset)

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """The largest leader epoch up to ``epoch`` and its end offset; (-1, -1) when unknown."""
        return self.leader_epochs.end_offset_for(epoch, self.log_end_offset)

    # Shortening

    @property
    def compaction(self) -> LogCompaction:
        """What compaction may see and change of the log."""
        from ottla.log.compaction.replacement import LogCompaction

        return LogCompaction(
            self._segments, self._snapshots, self._aborted, self._unsynced, self._health
        )

    def retention_plan(self, now_ms: int) -> list[Removal]:
        """Which segments may go now, and why; see ``remove_segments``.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        with self._health:
            facts = self._segments.facts(self.log_end_offset)
        return retention_plan(
            facts,
            self.config,
            now_ms,
            log_start_offset=self.log_start_offset,
            high_watermark=self.high_watermark,
        )

    def remove_segments(self, plan: Sequence[Removal], *, now_ms: int) -> list[str]:
        """Delete the oldest segments, as planned; the log start offset moves up.

        The files are only renamed to ``.deleted``: remove the paths returned after
        ``file.delete.delay.ms``, in any thread. Readers that hold a slice go on reading.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        if not plan:
            return []
        end_offset = plan[-1].end_offset
        if end_offset >= self.log_end_offset:
            self.roll(now_ms=now_ms)
            # The file whose name says where the log ends must be there before the others go.
            self.flush()
        self._checkpoint_up_to(end_offset)
        self._move_start(max(self.log_start_offset, end_offset))
        return self._discard(self._segments.remove_before(end_offset))

    def _checkpoint_up_to(self, offset: int) -> None:
        """Let the next start check nothing below an offset.

        If some deletions were lost by a crash and others were not, it would take the gap for a lost
        end and cut off all that follows.
        """
        if self.checkpointed_offset < offset and self._checkpoint is not None:
            if self.flushed_offset < offset:
                self.flush()
            self._checkpoint()

    def delete_records_before(self, offset: int) -> int:
        """Move the log start offset up to ``offset`` (never down); returns it.

        Whole segments before it go with the next retention run.

        Raises:
            OffsetOutOfRange: beyond the high watermark.
        """
        self._health.check()
        if offset > self.high_watermark or offset < 0:
            raise OffsetOutOfRange(
                f"Offset {offset} is beyond the high watermark {self.high_watermark}"
            )
        if offset > self.log_start_offset:
            self._move_start(offset)
        return self.log_start_offset

    def _move_start(self, offset: int) -> None:
        self.log_start_offset = offset
        self._is_touched = True
        self.leader_epochs.truncate_from_start(offset)

    def truncate_to(self, offset: int, *, now_ms: int) -> list[str]:
        """Drop everything from ``offset`` on (a batch that spans it goes, too).

        The recovery point moves back: checkpoint the directory before appending again.
        Returns paths to remove later, as ``remove_segments`` does.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        self._health.check()
        if offset >= self.log_end_offset:
            return []
        with self._health:
            if offset < self._segments.first_offset:
                return self._start_over_at(offset, now_ms)
            removed = self._segments.remove_after(offset)
            active = self._segments.active
            active.next_offset = self.log_end_offset if not removed else removed[0].base_offset
            active.truncate_to(offset, now_ms)
            self._aborted.truncate(offset, self.log_start_offset)
            active.file.sync()
            self._after_truncation(min(offset, active.next_offset), now_ms)
            return self._discard(removed)

    def start_over_at(self, offset: int, *, now_ms: int) -> list[str]:
        """Drop everything and continue at ``offset``, as a replica far behind its leader does.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        with self._health:
            return self._start_over_at(offset, now_ms)

    def _start_over_at(self, offset: int, now_ms: int) -> list[str]:
        # The old files go first: the new segment may have the name of one of them.
        paths = self._discard(list(self._segments))
        self._segments.replace_all(self._new_segment(offset, now_ms))
        self.log_start_offset = offset
        self._after_truncation(offset, now_ms)
        self.leader_epochs.clear()
        return paths

    def _after_truncation(self, end_offset: int, now_ms: int) -> None:
        self._unsynced.note_truncated()
        self._segments.forget_recent()
        self.log_end_offset = end_offset
        self.flushed_offset = min(self.flushed_offset, end_offset)
        self.checkpointed_offset = min(self.checkpointed_offset, end_offset)
        self.high_watermark = min(self.high_watermark, end_offset)
        self.leader_epochs.truncate_from_end(end_offset)
        self._is_touched = True
        self._snapshots.remove_after(end_offset)
        ended_before = self.producers.unstable
        self.producers = restore_producers(
            self._snapshots,
            list(self._segments),
            start_offset=self.log_start_offset,
            end_offset=end_offset,
            high_watermark=self.high_watermark,
        )
        self.producers.unstable.carry_over(ended_before, end_offset)
        self.producers.remove_expired(now_ms, self.config.producer_id_expiration_ms)

    def _discard(self, segments: list[Segment]) -> list[str]:
        """Rename the files of segments already taken out; returns what to remove later."""
        paths = []
        with self._health:
            for segment in segments:
                paths += segment.mark_deleted()
                segment.retire()
                self._unsynced.forget(segment)
                self._snapshots.remove(segment.base_offset)
        return paths

    # Durability

    def flush_target(self) -> FlushTarget | None:
        """What must be synced for everything appended so far to be durable; ``None``: nothing."""
        self._health.check()
        is_dirty = self.log_end_offset > self.flushed_offset or self._unsynced.has_new_names
        if self.is_closed or not (is_dirty or self.leader_epochs.changed):
            return None
        replacements = self.leader_epochs.take_changes(self.directory)
        with self._health:
            return self._unsynced.target(
                self._disk,
                self._health,
                self.directory,
                end_offset=self.log_end_offset,
                active=self._segments.active if self._segments.active.size_bytes else None,
                replacements=replacements,
                is_deleted=lambda: self.is_deleted,
            )

    def flushed(self, target: FlushTarget) -> None:
        """A target's ``sync`` has returned: move the recovery point."""
        target.release()
        if self._unsynced.synced(target):
            self.flushed_offset = max(self.flushed_offset, target.end_offset)

    def flush(self) -> None:
        """Make everything durable now, in this thread."""
        target = self.flush_target()
        if target is None:
            return
        with self._health:
            target.sync()
        self.flushed(target)

    def close(self) -> None:
        """Make everything durable, indexes and producer snapshot included, and close the files.

        Raises:
            LogDirectoryFailed: the disk failed; the directory mustn't be marked as clean.
        """
        if self.is_closed:
            return
        self.flush()
        with self._health:
            if self._is_touched:
                self._segments.active.seal()
                self._segments.active.sync_indexes()
                self._snapshots.take(self.producers, self.log_end_offset, sync=True)
                self._disk.sync_directory(self.directory)
        self.close_files()

    def close_files(self) -> None:
        """Close the files as they are, as a crash would leave them; the log refuses all use."""
        self.is_closed = True
        self._health = DirectoryHealth(self._health.path)
        self._health.failure = LogDirectoryFailed(f"The log of {self.name} is closed")
        for segment in self._segments:
            segment.retire()
