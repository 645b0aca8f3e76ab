"""The partitions this broker leads, kept in step with the cluster's metadata."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ottla.broker.group_commit import GroupCommit
from ottla.broker.partition import Partition
from ottla.broker.topic_settings import TopicSettings, topic_settings
from ottla.log.directory import LogDirectory
from ottla.log.errors import LogDirectoryFailed
from ottla.log.names import TopicPartition
from ottla.log.partition_log import PartitionLog
from ottla.metadata.config.resolve import ConfigResolver
from ottla.metadata.image import ClusterImage, PartitionImage, TopicImage
from ottla.metadata.uuids import ZERO_UUID, format_uuid
from ottla.ports.clock import Clock
from ottla.ports.entropy import Entropy
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.metadata.controller.assign_directories import DirectoryAssignment

_logger = logging.getLogger(__name__)

# About 5 ms of creating directories and files.
_OPENED_WITHOUT_PAUSE = 50
# A fraction of a millisecond where there is nothing to remove.
_RETAINED_WITHOUT_PAUSE = 100


class Partitions:
    """Every partition of this broker, by topic name and number.

    Args:
        commit: the group commit.
        trusts_page_cache: answers wait for the group commit only where ``flush.messages`` says so.
        discard: takes the paths of files and directories that are no longer needed and removes
            them off the event loop, after so many milliseconds.
    """

    def __init__(
        self,
        directories: Sequence[LogDirectory],
        resolver: ConfigResolver,
        clock: Clock,
        entropy: Entropy,
        *,
        commit: GroupCommit,
        trusts_page_cache: bool,
        discard: Callable[[Sequence[str], int], None],
    ) -> None:
        self._directories = directories
        self._resolver = resolver
        self._clock = clock
        self._entropy = entropy
        self._commit = commit
        self._trusts_page_cache = trusts_page_cache
        self._discard = discard
        self._topics: dict[str, dict[int, Partition]] = {}
        self._topic_names: dict[uuid.UUID, str] = {}
        # Partitions without a log, because no disk could take one.
        self._unopened: dict[str, dict[int, LogDirectoryFailed]] = {}
        self._missing_directories: set[uuid.UUID] = set()
        self._new_assignments: list[DirectoryAssignment] = []
        self._is_applying_retention = False

    def __iter__(self) -> Iterator[Partition]:
        for partitions in list(self._topics.values()):
            yield from list(partitions.values())

    def topic_name(self, topic_id: uuid.UUID) -> str | None:
        """The name of a topic this broker has partitions of."""
        return self._topic_names.get(topic_id)

    def get(self, topic: str, index: int) -> Partition | None:
        """A partition, offline or not."""
        partitions = self._topics.get(topic)
        return None if partitions is None else partitions.get(index)

    def find(self, topic: str, index: int) -> Partition:
        """A partition that can be read and written.

        Raises:
            ProtocolError: there is no such partition, or its disk failed.
        """
        partitions = self._topics.get(topic)
        partition = None if partitions is None else partitions.get(index)
        if partition is None or partition.failure is not None:
            raise self._why_not_found(topic, index)
        return partition

    def _why_not_found(self, topic: str, index: int) -> ProtocolError:
        partition = self.get(topic, index)
        if partition is None:
            failure: Exception | None = self._unopened.get(topic, {}).get(index)
        else:
            failure = partition.failure
        if failure is not None:
            return ProtocolError(ErrorCode.KAFKA_STORAGE_ERROR, str(failure))
        return ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    async def follow(self, before: ClusterImage, after: ClusterImage) -> None:
        """Create, remove and reconfigure partitions as the metadata changed.

        It gives way to other work now and then: thousands of partitions take a while to create.
        """
        for name, topic in before.topics.items():
            successor = after.topics.get(name)
            if successor is None or successor.topic_id != topic.topic_id:
                self._remove_topic(topic)
        configs_changed = before.configs is not after.configs
        for name, topic in after.topics.items():
            known = before.topics.get(name)
            if known is not topic:
                await self._open_topic(topic, after)
            elif configs_changed:
                self._reconfigure(topic, after)

    def remove_unclaimed(self, image: ClusterImage) -> None:
        """Deal with logs on disk that the metadata does not name.

        Those of a deleted topic are removed; any other may be somebody's data and is left alone.
        """
        for directory in self._directories:
            # A disk that fails here has told whoever watches its directory.
            with contextlib.suppress(LogDirectoryFailed):
                self._remove_unclaimed_in(directory, image)

    def _remove_unclaimed_in(self, directory: LogDirectory, image: ClusterImage) -> None:
        for name, log in list(directory.partitions.items()):
            partition = self.get(*name)
            if partition is not None and partition.log is log:
                continue
            if log.topic_id is not None and log.topic_id in image.deleted_topics:
                self._discard([self._take_out(directory, log)], 0)
            else:
                _logger.warning(
                    "%s belongs to no topic of this cluster and is left alone", log.directory
                )

    def delete_records_before(self, partition: Partition, offset: int) -> None:
        """Move a partition's start; segments that fall out of it go with the next retention run.

        The new start survives a crash once ``checkpoint`` has returned.
        """
        partition.log.delete_records_before(offset)

    def checkpoint(self, partitions: Iterable[Partition]) -> None:
        """Write the checkpoints of the log directories these partitions lie in.

        Raises:
            LogDirectoryFailed: a disk failed; its directory is offline.
        """
        directories = {self._directory_of(each.log) for each in partitions}
        for directory in directories:
            if directory is not None:
                directory.checkpoint()

    async def apply_retention(self, now_ms: int) -> None:
        """Remove what is too old or too much, in every partition.

        It gives way to other work now and then. While one run is under way, another does nothing.
        """
        if self._is_applying_retention:
            return
        self._is_applying_retention = True
        try:
            for number, partition in enumerate(self, 1):
                if not partition.is_offline:
                    self._apply_retention_to(partition, now_ms)
                if number % _RETAINED_WITHOUT_PAUSE == 0:
                    await asyncio.sleep(0)
        finally:
            self._is_applying_retention = False

    def _apply_retention_to(self, partition: Partition, now_ms: int) -> None:
        log = partition.log
        log.producers.remove_expired(now_ms, log.config.producer_id_expiration_ms)
        try:
            self._remove_old_segments(partition, now_ms)
        except LogDirectoryFailed as failure:
            self.fail_directory_of(partition, failure)

    def _remove_old_segments(self, partition: Partition, now_ms: int) -> None:
        log = partition.log
        plan = log.retention_plan(now_ms)
        for removal in plan:
            _logger.info(
                "%s: deleting the segment of offsets %d to %d: %s",
                partition.name,
                removal.base_offset,
                removal.end_offset - 1,
                removal.reason.value,
            )
        removed = log.remove_segments(plan, now_ms=now_ms)
        self._discard(removed, log.config.file_delete_delay_ms)

    def flush_due(self, now_ms: int) -> None:
        """Flush what ``flush.ms`` says is due."""
        for partition in self:
            if not partition.is_offline:
                partition.flush_if_due(now_ms)

    def directory_of(self, partition: Partition) -> LogDirectory | None:
        """The log directory a partition's log lies in; ``None`` once it has been deleted."""
        return self._directory_of(partition.log)

    def fail_directory_of(self, partition: Partition, error: Exception) -> None:
        """Take every partition in the partition's log directory offline."""
        directory = self._directory_of(partition.log)
        if directory is not None:
            self.fail_directory(directory, error)

    def fail_directory(self, directory: LogDirectory, error: Exception) -> None:
        """Take every partition in a log directory offline, until the broker is restarted."""
        for each in self:
            if not each.is_offline and self._directory_of(each.log) is directory:
                each.fail(error)

    def _directory_of(self, log: PartitionLog) -> LogDirectory | None:
        for directory in self._directories:
            if directory.partitions.get(log.name) is log:
                return directory
        return None

    def _settings(self, image: ClusterImage, topic: str) -> TopicSettings:
        broker = self._resolver.broker(image)
        return topic_settings(
            self._resolver.topic(image, topic),
            producer_id_expiration_ms=broker.integer("producer.id.expiration.ms"),
            verifies_transactions=broker.boolean("transaction.partition.verification.enable"),
        )

    async def _open_topic(self, topic: TopicImage, image: ClusterImage) -> None:
        settings = self._settings(image, topic.name)
        partitions = self._topics.setdefault(topic.name, {})
        self._topic_names[topic.topic_id] = topic.name
        for index, described in enumerate(topic.partitions):
            partition = partitions.get(index)
            if partition is None:
                self._open(partitions, topic, index, settings, image)
                if index % _OPENED_WITHOUT_PAUSE == _OPENED_WITHOUT_PAUSE - 1:
                    await asyncio.sleep(0)
            else:
                partition.leader_epoch = described.leader_epoch
                partition.isr = described.isr
                partition.reconfigure(settings)

    def _open(
        self,
        partitions: dict[int, Partition],
        topic: TopicImage,
        index: int,
        settings: TopicSettings,
        image: ClusterImage,
    ) -> None:
        name = TopicPartition(topic.name, index)
        described = topic.partitions[index]
        try:
            log = self._find_log(name, topic.topic_id, image)
            if log is None:
                self._check_assigned_directory(described)
                log = self._create_log(name, topic.topic_id, settings)
            elif log.topic_id != topic.topic_id:
                # Lost by a crash right after the topic's creation, damaged, or written before there
                # were ids: without its own, a later topic of this name would take the records over.
                log.set_topic_id(topic.topic_id)
        except LogDirectoryFailed as failure:
            self._unopened.setdefault(topic.name, {})[index] = failure
            return
        log.config = settings.log
        commit = self._commit
        is_trusted = self._trusts_page_cache
        partition = Partition(
            name,
            topic.topic_id,
            log,
            described.leader_epoch,
            settings,
            commit=None if is_trusted else commit.request,
            commit_later=None if is_trusted else commit.request_later,
            flush=commit.request if is_trusted else None,
        )
        partition.isr = described.isr
        partitions[index] = partition
        self._note_directory(topic.topic_id, index, described, log)

    def _assigned_directory(self, described: PartitionImage) -> uuid.UUID:
        own = described.replicas.index(self._resolver.node_id)
        return described.directories[own]

    def _check_assigned_directory(self, described: PartitionImage) -> None:
        """A log that lay in a directory which isn't there now must not be replaced by an empty one.

        Raises:
            LogDirectoryFailed: the directory is not among those opened.
        """
        assigned = self._assigned_directory(described)
        opened = {each.meta.directory_id for each in self._directories}
        if assigned == ZERO_UUID or assigned in opened:
            return
        text = f"log directory {format_uuid(assigned)} is not among log.dirs"
        if assigned not in self._missing_directories:
            self._missing_directories.add(assigned)
            _logger.error("%s: its partitions stay offline until it is", text)
        raise LogDirectoryFailed(text)

    def _note_directory(
        self, topic_id: uuid.UUID, index: int, described: PartitionImage, log: PartitionLog
    ) -> None:
        directory = self._directory_of(log)
        directory_id = None if directory is None else directory.meta.directory_id
        if directory_id is not None and directory_id != self._assigned_directory(described):
            from ottla.metadata.controller.assign_directories import DirectoryAssignment

            self._new_assignments.append(DirectoryAssignment(topic_id, index, directory_id))

    def take_new_assignments(self) -> list[DirectoryAssignment]:
        """Where logs were put since the last call; the metadata is to know."""
        taken, self._new_assignments = self._new_assignments, []
        return taken

    def _create_log(
        self, name: TopicPartition, topic_id: uuid.UUID, settings: TopicSettings
    ) -> PartitionLog:
        """In the directory with the fewest partitions, of those whose disk can take it."""
        while True:
            directory = min(self._online_directories(), key=lambda each: len(each.partitions))
            try:
                return directory.create_partition(
                    name, topic_id, settings.log, now_ms=self._clock.wall_ms()
                )
            except LogDirectoryFailed as failure:
                _logger.error("%s can't be created in %s: %s", name, directory.path, failure)
                if directory.failure is None:
                    raise

    def _find_log(
        self, name: TopicPartition, topic_id: uuid.UUID, image: ClusterImage
    ) -> PartitionLog | None:
        for directory in self._directories:
            log = directory.partitions.get(name)
            if log is None:
                continue
            if log.topic_id in (None, topic_id):
                return log
            if log.topic_id in image.deleted_topics:
                # An earlier topic of that name, whose removal a crash cut short.
                self._discard([self._take_out(directory, log)], 0)
                continue
            # Removed topics are remembered until their logs are gone: this is none of them.
            _logger.error(
                "%s/partition.metadata names another topic id, %s: it is damaged; keeping the log",
                log.directory,
                log.topic_id,
            )
            return log
        return None

    def _online_directories(self) -> list[LogDirectory]:
        online = [each for each in self._directories if each.failure is None]
        if not online:
            raise LogDirectoryFailed("every log directory is offline")
        return online

    def _reconfigure(self, topic: TopicImage, image: ClusterImage) -> None:
        partitions = self._topics.get(topic.name)
        if partitions:
            settings = self._settings(image, topic.name)
            for partition in partitions.values():
                partition.reconfigure(settings)

    def _remove_topic(self, topic: TopicImage) -> None:
        self._topic_names.pop(topic.topic_id, None)
        self._unopened.pop(topic.name, None)
        for partition in self._topics.pop(topic.name, {}).values():
            directory = self._directory_of(partition.log)
            partition.fail(ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
            if directory is None or directory.failure is not None:
                continue
            try:
                path = self._take_out(directory, partition.log)
            except LogDirectoryFailed:
                # The next start finds the log and the topic among the deleted ones.
                continue
            self._discard([path], partition.settings.log.file_delete_delay_ms)

    def has_logs_of(self, topic_id: uuid.UUID) -> bool:
        """Whether logs of a topic are left in a directory whose disk failed."""
        return any(
            log.topic_id == topic_id
            for directory in self._directories
            if directory.failure is not None
            for log in directory.partitions.values()
        )

    def _take_out(self, directory: LogDirectory, log: PartitionLog) -> str:
        return directory.delete_partition(log.name, self._entropy.uuid())
