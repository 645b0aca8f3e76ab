"""One entry of ``log.dirs``: whose it is, its partitions, its checkpoints."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ottla.log.config import LogConfig
from ottla.log.errors import (
    DirectoryLocked,
    DirectoryRefused,
    ForeignDirectory,
    LogDirectoryFailed,
    MalformedFile,
)
from ottla.log.files import read_file_if_any, replace_file, write_file
from ottla.log.health import DirectoryHealth
from ottla.log.names import (
    CLEAN_SHUTDOWN,
    CLEANER_CHECKPOINT,
    DELETE_DIRECTORY_SUFFIX,
    HIGH_WATERMARK_CHECKPOINT,
    LOG_START_CHECKPOINT,
    META_PROPERTIES,
    PARTITION_METADATA,
    RECOVERY_POINT_CHECKPOINT,
    TopicPartition,
    marked_directory,
    marked_directory_suffix,
    parse_partition_directory,
)
from ottla.log.text_files import (
    MetaProperties,
    format_meta_properties,
    format_offset_checkpoint,
    parse_meta_properties,
    parse_offset_checkpoint,
    parse_partition_metadata,
)
from ottla.ports.disk import DirectoryLock, Disk

if TYPE_CHECKING:
    from ottla.log.partition_log import PartitionLog

_logger = logging.getLogger(__name__)

ConfigOf = Callable[[str], LogConfig]


class _Checkpoints(NamedTuple):
    recovery_points: dict[TopicPartition, int]
    log_start_offsets: dict[TopicPartition, int]
    high_watermarks: dict[TopicPartition, int]
    first_dirty_offsets: dict[TopicPartition, int]


class Checkpoint(NamedTuple):
    """A directory's offsets at one moment, on their way to its checkpoint files."""

    number: int
    offsets: _Checkpoints


def read_meta_properties(disk: Disk, path: str) -> MetaProperties | None:
    """Whose log directory this is; ``None`` when it was never formatted.

    Raises:
        DirectoryRefused: its ``meta.properties`` can't be read.
        OSError: the disk failed.
    """
    data = read_file_if_any(disk, f"{path}/{META_PROPERTIES}")
    if data is None:
        return None
    try:
        return parse_meta_properties(data)
    except MalformedFile as error:
        raise DirectoryRefused(f"{path}/{META_PROPERTIES} can't be used: {error}") from error


class LogDirectory:
    """A locked, formatted log directory and the logs of its partitions."""

    def __init__(
        self,
        disk: Disk,
        path: str,
        meta: MetaProperties,
        lock: DirectoryLock,
        health: DirectoryHealth,
        *,
        was_clean: bool,
    ) -> None:
        self._disk = disk
        self._lock = lock
        self._health = health
        self.path = path
        self.meta = meta
        self.was_clean = was_clean
        """Whether the last user closed the directory, so that nothing had to be recovered."""
        self.partitions: dict[TopicPartition, PartitionLog] = {}
        # A checkpoint may be written in another thread while retention needs one at once.
        self._checkpoint_lock = threading.Lock()
        self._checkpoints_taken = 0
        self._checkpoint_written = 0
        self._has_cleaner_checkpoint = False
        self.leftovers: list[str] = []
        """Directories of deleted partitions, for the caller to remove (``remove_tree``)."""

    @classmethod
    def open(
        cls,
        disk: Disk,
        path: str,
        *,
        cluster_id: str,
        node_id: int,
        new_directory_id: uuid.UUID,
        config_of: ConfigOf,
        now_ms: int,
    ) -> LogDirectory:
        """Lock a directory, format it if it is new, and open all its partitions.

        Args:
            new_directory_id: the directory's id in case it has none yet.
            config_of: the configuration of a topic's logs, by topic name.

        Raises:
            DirectoryLocked: another process uses it.
            ForeignDirectory: it belongs to another cluster or node.
            DirectoryRefused: it holds partitions, but no ``meta.properties`` that can be read.
            LogDirectoryFailed: the disk failed.
        """
        health = DirectoryHealth(path)
        try:
            _make_durable_directories(disk, path)
            lock = _take_lock(disk, path)
        except OSError as error:
            raise health.fail(error) from error
        try:
            names = disk.list_directory(path)
            meta = _claim(disk, path, names, MetaProperties(cluster_id, node_id, new_directory_id))
            was_clean = CLEAN_SHUTDOWN in names
            if was_clean:
                # Gone before the first write: a crash from now on is unclean.
                disk.remove(f"{path}/{CLEAN_SHUTDOWN}")
                disk.sync_directory(path)
            directory = cls(disk, path, meta, lock, health, was_clean=was_clean)
            directory._load(names, config_of, now_ms)
        except OSError as error:
            lock.release()
            raise health.fail(error) from error
        except BaseException:
            lock.release()
            raise
        return directory

    @property
    def failure(self) -> LogDirectoryFailed | None:
        """Why the directory is offline, if it is."""
        return self._health.failure

    def fail(self, error: OSError) -> LogDirectoryFailed:
        """Take the directory offline; returns what to raise."""
        return self._health.fail(error)

    def when_failed(self, callback: Callable[[LogDirectoryFailed], object]) -> None:
        """Have ``callback`` called when the disk fails, in whichever thread meets the failure."""
        self._health.on_failure = callback

    def _load(self, names: list[str], config_of: ConfigOf, now_ms: int) -> None:
        checkpoints = _Checkpoints(
            self._read_checkpoint(RECOVERY_POINT_CHECKPOINT, names),
            self._read_checkpoint(LOG_START_CHECKPOINT, names),
            self._read_checkpoint(HIGH_WATERMARK_CHECKPOINT, names),
            self._read_checkpoint(CLEANER_CHECKPOINT, names),
        )
        self._has_cleaner_checkpoint = CLEANER_CHECKPOINT in names
        for name in names:
            if marked_directory_suffix(name) == DELETE_DIRECTORY_SUFFIX:
                self.leftovers.append(f"{self.path}/{name}")
                continue
            partition = parse_partition_directory(name)
            if partition is not None and self._disk.is_directory(f"{self.path}/{name}"):
                config = config_of(partition.topic)
                self._load_partition(partition, name, config, checkpoints, now_ms)
        if not checkpoints.first_dirty_offsets.keys() <= self.partitions.keys():
            # A new partition of the same name must not be taken for a clean one.
            self.checkpoint()

    def _load_partition(
        self,
        partition: TopicPartition,
        name: str,
        config: LogConfig,
        checkpoints: _Checkpoints,
        now_ms: int,
    ) -> None:
        # A new directory is opened without the code of partitions: a port can be opened sooner.
        from ottla.log.partition_log import PartitionLog
        from ottla.log.recovery import OpenRequest

        directory = f"{self.path}/{name}"
        log = PartitionLog.open(
            self._disk,
            directory,
            config,
            partition,
            self._read_topic_id(directory),
            OpenRequest(
                recovery_point=checkpoints.recovery_points.get(partition, 0),
                log_start_offset=checkpoints.log_start_offsets.get(partition, 0),
                was_clean=self.was_clean,
                now_ms=now_ms,
                first_dirty_offset=checkpoints.first_dirty_offsets.get(partition, 0),
            ),
            health=self._health,
            checkpoint=self.checkpoint,
        )
        checkpointed = checkpoints.high_watermarks.get(partition, log.log_start_offset)
        log.high_watermark = min(max(checkpointed, log.log_start_offset), log.log_end_offset)
        self.partitions[partition] = log

    def _read_topic_id(self, directory: str) -> uuid.UUID | None:
        """``None`` when the file was lost by a crash right after the partition's creation."""
        data = read_file_if_any(self._disk, f"{directory}/{PARTITION_METADATA}")
        try:
            return None if data is None else parse_partition_metadata(data)
        except MalformedFile as error:
            _logger.warning("%s/%s: %s", directory, PARTITION_METADATA, error)
            return None

    def _read_checkpoint(self, name: str, names: list[str]) -> dict[TopicPartition, int]:
        if name not in names:
            return {}
        try:
            return parse_offset_checkpoint(self._disk.read_file(f"{self.path}/{name}"))
        except MalformedFile as error:
            # Safe, only slow: logs without a recovery point are checked from their start.
            _logger.error("%s/%s: ignoring it: %s", self.path, name, error)
            return {}

    def create_partition(
        self, partition: TopicPartition, topic_id: uuid.UUID, config: LogConfig, *, now_ms: int
    ) -> PartitionLog:
        """Make the directory of a new partition, durable with the log's first flush.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        from ottla.log.partition_log import PartitionLog

        self._health.check()
        if partition in self.partitions:
            raise ValueError(f"{partition} exists in {self.path}")
        log = PartitionLog.create(
            self._disk,
            f"{self.path}/{partition}",
            config,
            partition,
            topic_id,
            now_ms=now_ms,
            health=self._health,
            checkpoint=self.checkpoint,
        )
        self.partitions[partition] = log
        return log

    def delete_partition(self, partition: TopicPartition, unique: uuid.UUID) -> str:
        """Take a partition out of service and rename its directory; nothing is removed yet.

        Returns the directory for the caller to remove (``remove_tree``), off the event loop.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        self._health.check()
        log = self.partitions[partition]
        log.is_deleted = True
        target = f"{self.path}/{marked_directory(partition, unique.hex, DELETE_DIRECTORY_SUFFIX)}"
        try:
            self._disk.rename(log.directory, target)
            self._disk.sync_directory(self.path)
            del self.partitions[partition]
            log.close_files()
        except OSError as error:
            raise self._health.fail(error) from error
        if log.first_dirty_offset:
            self.checkpoint()
        return target

    def checkpoint(self) -> None:
        """Write recovery points, log start offsets, high watermarks, and how far compaction has
        cleaned, each file atomically.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        checkpoint = self.take_checkpoint()
        self.write_checkpoint(checkpoint)
        self.checkpointed(checkpoint)

    def take_checkpoint(self) -> Checkpoint:
        """What ``checkpoint`` would write now, for ``write_checkpoint`` in another thread.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        self._health.check()
        self._checkpoints_taken += 1
        logs = self.partitions.items()
        return Checkpoint(
            self._checkpoints_taken,
            _Checkpoints(
                {name: log.flushed_offset for name, log in logs},
                # As in Kafka: where a log starts with its first segment, the file's name says so.
                {
                    name: log.log_start_offset
                    for name, log in logs
                    if log.log_start_offset > log.first_segment_offset
                },
                {name: log.high_watermark for name, log in logs},
                {name: log.first_dirty_offset for name, log in logs if log.first_dirty_offset},
            ),
        )

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write what was taken, in any thread, unless something newer is written already.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        offsets = checkpoint.offsets
        with self._checkpoint_lock:
            if checkpoint.number <= self._checkpoint_written:
                return
            files = [
                (RECOVERY_POINT_CHECKPOINT, offsets.recovery_points),
                (LOG_START_CHECKPOINT, offsets.log_start_offsets),
                (HIGH_WATERMARK_CHECKPOINT, offsets.high_watermarks),
            ]
            if offsets.first_dirty_offsets or self._has_cleaner_checkpoint:
                self._has_cleaner_checkpoint = True
                files.append((CLEANER_CHECKPOINT, offsets.first_dirty_offsets))
            with self._health:
                for name, content in files:
                    path = f"{self.path}/{name}"
                    replace_file(self._disk, path, format_offset_checkpoint(content))
                self._disk.sync_directory(self.path)
            self._checkpoint_written = checkpoint.number

    def checkpointed(self, checkpoint: Checkpoint) -> None:
        """Take note, in the owner's thread, that ``write_checkpoint`` has returned."""
        if checkpoint.number < self._checkpoint_written:
            return
        for name, offset in checkpoint.offsets.recovery_points.items():
            log = self.partitions.get(name)
            if log is not None:
                log.checkpointed_offset = offset

    def close(self, broker_epoch: int = -1) -> None:
        """Make everything durable, leave the mark of a clean stop, unlock.

        A directory that has failed is only unlocked: its next start recovers it.

        Raises:
            LogDirectoryFailed: the disk fails now.
        """
        try:
            self._health.check()
            for log in self.partitions.values():
                log.close()
            self.write_checkpoint(self.take_checkpoint())
            try:
                marker = f'{{"version":0,"brokerEpoch":{broker_epoch}}}'.encode()
                write_file(self._disk, f"{self.path}/{CLEAN_SHUTDOWN}", marker, sync=True)
                self._disk.sync_directory(self.path)
            except OSError as error:
                raise self._health.fail(error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the files and unlock, leaving the directory as a crash would."""
        for log in self.partitions.values():
            log.close_files()
        self._lock.release()


def _make_durable_directories(disk: Disk, path: str) -> None:
    """Create a directory, with those above it that are missing, to stay."""
    parents = []
    missing = path
    while missing not in ("", "/") and not disk.exists(missing):
        missing = missing.rpartition("/")[0] or "/"
        parents.append(missing)
    if parents:
        disk.make_directories(path)
        for parent in parents:
            disk.sync_directory(parent)


def _take_lock(disk: Disk, path: str) -> DirectoryLock:
    try:
        return disk.lock_directory(path)
    except BlockingIOError:
        raise DirectoryLocked(f"Another process uses the log directory {path}") from None


def _claim(disk: Disk, path: str, names: list[str], ours: MetaProperties) -> MetaProperties:
    """Check whose directory it is, and make it ours when it is nobody's."""
    found = read_meta_properties(disk, path)
    if found is None:
        strays = [name for name in names if parse_partition_directory(name) is not None]
        if strays:
            raise DirectoryRefused(
                f"{path} holds partitions ({strays[0]}), but no {META_PROPERTIES}: "
                "it is not known whose they are"
            )
    elif found.cluster_id != ours.cluster_id:
        raise ForeignDirectory(
            f"{path} belongs to cluster {found.cluster_id}, not to {ours.cluster_id}"
        )
    elif found.node_id != ours.node_id:
        raise ForeignDirectory(f"{path} belongs to node {found.node_id}, not to {ours.node_id}")
    elif found.directory_id is not None:
        return found
    replace_file(disk, f"{path}/{META_PROPERTIES}", format_meta_properties(ours))
    disk.sync_directory(path)
    return ours
