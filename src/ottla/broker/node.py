"""One broker: everything wired together, started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import uuid
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ottla.broker.cluster import Cluster
from ottla.broker.configuration import BrokerConfiguration
from ottla.broker.connections import Connections
from ottla.broker.discard import Discard
from ottla.broker.dispatch import Dispatcher
from ottla.broker.durable_reply import Deadlines
from ottla.broker.fetch_sessions import FetchSessions
from ottla.broker.frames import FrameReader
from ottla.broker.group_commit import GroupCommit
from ottla.broker.group_coordinator import GroupCoordinator
from ottla.broker.internal_topic import InternalTopic
from ottla.broker.maintenance import Maintenance
from ottla.broker.open_files import max_connections_within, raise_open_file_limit
from ottla.broker.opening import OpenedData, open_data
from ottla.broker.partition import Partition
from ottla.broker.partitions import Partitions
from ottla.broker.producer_ids import ProducerIds
from ottla.broker.receive_memory import ReceiveMemory
from ottla.broker.session import Session
from ottla.broker.share_groups import ShareGroups
from ottla.broker.start_errors import StartError, directory_error, listen_error
from ottla.broker.startup import load_cluster
from ottla.broker.steady_time import SteadyTime
from ottla.broker.transaction_coordinator import TransactionCoordinator
from ottla.broker.worker import NewWorker, Worker, WorkerThread
from ottla.log.directory import Checkpoint, LogDirectory
from ottla.log.errors import LogDirectoryFailed
from ottla.metadata.config.ottla_keys import FLUSH_POLICY_GROUP
from ottla.metadata.config.resolve import BrokerConfig, ConfigResolver
from ottla.metadata.controller.brokers import decide_broker_registration, decide_directories_online
from ottla.metadata.image import EMPTY_IMAGE, ClusterImage, Endpoint
from ottla.metadata.store.interface import MetadataStore, MetadataStoreFailed
from ottla.metadata.topic_names import GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC, is_internal
from ottla.ports.clock import Clock, SystemClock
from ottla.ports.disk import Disk, SystemDisk
from ottla.ports.entropy import Entropy, SystemEntropy
from ottla.ports.net import Address, Listener, Net, SystemNet
from ottla.wire.errors import ProtocolError

__all__ = ["BrokerNode", "Node", "StartError"]

if TYPE_CHECKING:
    from ottla.broker.log_cleaner import LogCleaner
    from ottla.coordination.groups.settings import GroupSettings

_logger = logging.getLogger(__name__)

# Unfinished frames of all connections together (Kafka: queued.max.request.bytes, unlimited).
_RECEIVE_BUDGET_BYTES = 512 * 1024 * 1024
# From a watermark that moved over a coordinator's future, its gathering, its task and the reply's
# encoding to the transport, which may write at the end of its own iteration.
_ITERATIONS_FROM_COMMIT_TO_SOCKET = 6
# How Kafka's configuration says that something is not done by the clock.
_NEVER_MS = 2**63 - 1
# Kafka takes 0 for log.cleaner.backoff.ms, too, and would look again and again without rest.
_LEAST_CLEANER_BACKOFF_MS = 10


class Node(NamedTuple):
    """A broker as a client reaches it."""

    broker_id: int
    host: str
    port: int
    rack: str | None


class BrokerNode:
    """A broker of one node, which is its own controller.

    Args:
        data: what it serves, where that was opened already.

    Attributes:
        addresses: bound address of each listener, by listener name; empty before ``start``.
        failed: set when the broker can't go on: no log directory is left, or not the first one,
            which holds the metadata. Whoever runs the broker stops it then.
    """

    def __init__(
        self,
        configuration: BrokerConfiguration,
        *,
        clock: Clock | None = None,
        disk: Disk | None = None,
        net: Net | None = None,
        entropy: Entropy | None = None,
        store: MetadataStore | None = None,
        new_worker: NewWorker = WorkerThread,
        data: OpenedData | None = None,
    ) -> None:
        self.failed = asyncio.Event()
        self.configuration = configuration
        self.clock: Clock = clock or SystemClock()
        self.entropy: Entropy = entropy or SystemEntropy()
        self.resolver = ConfigResolver(configuration.values, configuration.node_id)
        self.addresses: Mapping[str, Address] = MappingProxyType({})
        self._disk: Disk = disk or SystemDisk()
        self._net: Net = net or SystemNet()
        self._given_store = store
        self._given_data = data
        self._new_worker = new_worker
        self._listeners: list[Listener] = []
        self._directories: list[LogDirectory] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._commit: GroupCommit | None = None
        self._cleaner: LogCleaner | None = None
        self._is_stopping = False

    # What handlers use; set by start().

    cluster: Cluster
    connections: Connections
    partitions: Partitions
    groups: GroupCoordinator
    transactions: TransactionCoordinator
    share_groups: ShareGroups
    fetch_sessions: FetchSessions
    offline_directories: Mapping[str, LogDirectoryFailed]
    """Why log directories could not be opened at the start, by path."""
    producer_ids: ProducerIds
    unpacking: Worker
    """Looks through batches that unpack to a lot: one at a time, so that memory is bounded."""
    deadlines: Deadlines
    fetch_max_bytes: int

    @property
    def config(self) -> BrokerConfig:
        """This broker's values as they are now."""
        return self.resolver.broker(self.cluster.image)

    @property
    def max_described_partitions(self) -> int:
        return self.config.integer("max.request.partition.size.limit")

    @property
    def auto_creates_topics(self) -> bool:
        return self.config.boolean("auto.create.topics.enable")

    @property
    def log_directories(self) -> Sequence[LogDirectory]:
        return self._directories

    def disk_space(self, path: str) -> tuple[int, int]:
        """Total and usable bytes of the file system under a path; -1 where it can't be told."""
        return self._disk.space_bytes(path)

    def this_node(self, session: Session) -> Node:
        """This broker as the session's client can reach it again."""
        configuration = self.configuration
        bound = self.addresses[session.listener_name]
        listener = next(
            each for each in configuration.listeners if each.name == session.listener_name
        )
        host, port = session.local_host or bound.host, bound.port
        if listener.advertised is not None:
            host, port = listener.advertised.host, listener.advertised.port or bound.port
        return Node(configuration.node_id, host, port, configuration.rack)

    def nodes(self, session: Session) -> list[Node]:
        """All brokers of the cluster, as the session's client can reach them."""
        return [self.this_node(session)]

    async def create_topics_on_demand(self, names: Sequence[str]) -> None:
        """Create topics because a client named them; what can't be created stays unknown."""
        from ottla.metadata.controller.create_topics import NewTopic, decide_create_topics

        try:
            if GROUP_METADATA_TOPIC in names:
                # With the settings its owner needs: with the defaults for topics, groups would
                # lose their offsets after a week.
                await self.groups.ensure_topic()
            if TRANSACTION_STATE_TOPIC in names:
                await self.transactions.ensure_topic()
            topics = [NewTopic(name) for name in names if not is_internal(name)]
            await self.cluster.submit(
                lambda image: decide_create_topics(image, self.resolver, topics, self.entropy)
            )
        except ProtocolError as error:
            _logger.warning("can't create %s on demand: %s", ", ".join(names), error)

    def storage_failed(self, partition: Partition, error: Exception) -> None:
        """A disk failed: its log directory is offline."""
        self.partitions.fail_directory_of(partition, error)

    def _directory_failed(self, directory: LogDirectory, failure: LogDirectoryFailed) -> None:
        self.partitions.fail_directory(directory, failure)
        has_first_failed = directory is self._directories[0]
        if has_first_failed or all(each.failure is not None for each in self._directories):
            _logger.error("the broker can't go on without %s and stops", directory.path)
            self.failed.set()
        elif hasattr(self, "groups") and not self._is_stopping:
            self._run_in_background(
                self.cluster.submit(
                    partial(
                        decide_directories_online,
                        broker_id=self.configuration.node_id,
                        log_directories=self._online_directory_ids(),
                    )
                )
            )

    def _metadata_failed(self, failure: MetadataStoreFailed) -> None:
        """The first log directory holds the metadata: its disk failed."""
        self._directories[0].fail(OSError(errno.EIO, str(failure)))

    def _online_directory_ids(self) -> list[uuid.UUID]:
        return [
            each.meta.directory_id
            for each in self._directories
            if each.failure is None and each.meta.directory_id is not None
        ]

    def _watch_directories(self) -> None:
        """Learn of disks that fail, no matter which request or chore meets the failure."""
        loop = asyncio.get_running_loop()
        for directory in self._directories:

            def tell(failure: LogDirectoryFailed, directory: LogDirectory = directory) -> None:
                # The loop may be closed when a thread ends late.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._directory_failed, directory, failure)

            directory.when_failed(tell)

    # Life

    async def start(self) -> None:
        """Open the data, then the listeners.

        Raises:
            StartError: with a plain message and what to do about it.
        """
        try:
            await self._open_data()
            await self._listen()
        except BaseException:
            await self.stop()
            raise
        self._begin_chores()

    async def stop(self) -> None:
        """Stop cleanly: nothing acknowledged is lost, and the next start need not recover."""
        if self._is_stopping:
            return
        self._is_stopping = True
        for listener in self._listeners:
            await listener.close()
        if hasattr(self, "connections"):
            # Without new requests the group commit comes to an end.
            self.connections.stop_reading()
        if hasattr(self, "groups"):
            self._maintenance.stop()
            if self._cleaner is not None:
                self._cleaner.stop()
            self._checkpoints.stop(wait=True)
            self.unpacking.stop(wait=False)
            for task in self._tasks:
                task.cancel()
            self.groups.stop()
            self.transactions.stop()
            self.share_groups.stop()
            self.deadlines.stop()
        if self._commit is not None:
            await self._commit.drain()
            for _ in range(_ITERATIONS_FROM_COMMIT_TO_SOCKET):
                await asyncio.sleep(0)
            self._commit.stop()
        if hasattr(self, "connections"):
            self.connections.close_all()
        if hasattr(self, "cluster"):
            self._discard.stop()
            # First, because a change of the metadata that is under way may still create logs.
            await self.cluster.close()
        self._close_directories()

    def _close_directories(self) -> None:
        for directory in self._directories:
            if not directory.was_clean and not hasattr(self, "cluster"):
                # The new leader epochs that an unclean stop asks for were not stored yet.
                directory.abandon()
                continue
            try:
                directory.close()
            except LogDirectoryFailed as failure:
                _logger.error("%s was not closed cleanly: %s", directory.path, failure)

    async def _open_data(self) -> None:
        configuration = self.configuration
        now_ms = self.clock.wall_ms()
        self._open_file_limit = raise_open_file_limit()
        for warning in configuration.warnings:
            _logger.warning("%s", warning)
        data = self._given_data or open_data(
            configuration, self._disk, self.entropy, now_ms=now_ms, store=self._given_store
        )
        self._directories, self.offline_directories = data.directories, data.offline
        try:
            self.cluster = await load_cluster(
                data.store,
                self._directories,
                configuration,
                data.cluster_id,
                self.entropy,
                now_ms=now_ms,
            )
        except BaseException:
            await data.store.close()
            raise
        self.cluster.on_store_failure = self._metadata_failed
        self._discard = Discard(self._disk, self._new_worker("discard"))
        self._commit = GroupCommit(self._new_worker, self.storage_failed)
        self.partitions = Partitions(
            self._directories,
            self.resolver,
            self.clock,
            self.entropy,
            commit=self._commit,
            trusts_page_cache=self.config.text("log.flush.policy") != FLUSH_POLICY_GROUP,
            discard=self._discard.later,
        )
        self._watch_directories()
        await self._open_partitions()
        self._open_services()

    async def _open_partitions(self) -> None:
        image = self.cluster.image
        await self.partitions.follow(EMPTY_IMAGE, image)
        self.partitions.remove_unclaimed(image)
        for directory in self._directories:
            self._discard.later(directory.leftovers, 0)
        if self._commit is not None:
            # What recovery kept becomes durable before anyone may read it.
            await self._commit.drain()
        if self._directories[0].failure is not None:
            # Without its metadata a broker can't go on.
            raise directory_error(self._directories[0].failure)
        self.cluster.listen(self.partitions.follow)
        self.cluster.listen(self._purge_deleted_topics)
        self.cluster.listen(self._note_log_directories)
        self._purge_deleted_topics(EMPTY_IMAGE, image)
        self._note_log_directories(EMPTY_IMAGE, image)

    def _note_log_directories(self, before: ClusterImage, after: ClusterImage) -> None:
        """Write down where new logs were put: a directory that is missing at a later start is
        then missed, instead of its partitions being made anew, and empty."""
        assignments = self.partitions.take_new_assignments()
        if assignments:
            from ottla.metadata.controller.assign_directories import decide_assign_directories

            node_id = self.configuration.node_id
            self._run_in_background(
                self.cluster.submit(
                    partial(decide_assign_directories, broker_id=node_id, assignments=assignments)
                )
            )

    def _purge_deleted_topics(self, before: ClusterImage, after: ClusterImage) -> None:
        """Topics whose logs have been taken out of service need not be remembered any more."""
        for topic_id in after.deleted_topics:
            if topic_id not in before.deleted_topics and not self.partitions.has_logs_of(topic_id):
                from ottla.metadata.controller.delete_topics import decide_purge_topic

                self._run_in_background(
                    self.cluster.submit(partial(decide_purge_topic, topic_id=topic_id))
                )

    def _open_services(self) -> None:
        config = self.config
        loop = asyncio.get_running_loop()
        self.fetch_sessions = FetchSessions(
            config.integer("max.incremental.fetch.session.cache.slots"),
            lambda: self.entropy.below(2**31 - 1) + 1,
        )
        self.producer_ids = ProducerIds(self._allocate_producer_ids)
        self.deadlines = Deadlines()
        # Asked for by every fetch, and nothing that changes at run time.
        self.fetch_max_bytes = config.integer("fetch.max.bytes")
        time = SteadyTime(loop, self.clock.wall_ms())
        self.groups = GroupCoordinator(
            InternalTopic(self, GROUP_METADATA_TOPIC, "offsets.topic"),
            self._group_settings,
            time,
            lambda: self.cluster.image,
        )
        self.transactions = TransactionCoordinator(self, time)
        self.cluster.listen(self.groups.follow)
        self.cluster.listen(self.transactions.follow)
        self.share_groups = ShareGroups(self, time)
        self.cluster.listen(self.share_groups.follow)
        self._maintenance = Maintenance()
        self._checkpoints = self._new_worker("checkpoints")
        self.unpacking = self._new_worker("unpacking")
        self.connections = Connections(
            max_connections=min(
                config.integer("max.connections"), max_connections_within(self._open_file_limit)
            ),
            max_per_host=config.integer("max.connections.per.ip"),
            max_idle_ms=config.integer("connections.max.idle.ms"),
            send_buffer_bytes=config.integer("socket.send.buffer.bytes"),
            receive_buffer_bytes=config.integer("socket.receive.buffer.bytes"),
        )

    async def _allocate_producer_ids(self) -> range:
        from ottla.metadata.controller.producer_ids import decide_allocate_producer_ids

        block = await self.cluster.submit(
            lambda image: decide_allocate_producer_ids(image, self.configuration.node_id)
        )
        return block.ids()

    def _group_settings(self) -> GroupSettings:
        from ottla.broker.group_settings import group_settings

        return group_settings(self.config)

    async def _listen(self) -> None:
        dispatcher = Dispatcher(self)
        memory = ReceiveMemory(_RECEIVE_BUDGET_BYTES, _give_up_frame)
        max_frame_bytes = self.config.integer("socket.request.max.bytes")
        addresses = {}
        for listener in self.configuration.listeners:

            def new_session(name: str = listener.name) -> Session:
                reader = FrameReader(memory, max_frame_bytes)
                session = Session(self.connections, dispatcher, reader, name)
                reader.owner = session
                return session

            address = Address(listener.host, listener.port)
            try:
                opened = await self._net.listen(new_session, address)
            except OSError as error:
                raise listen_error(address, error) from error
            self._listeners.append(opened)
            addresses[listener.name] = opened.address
        self.addresses = MappingProxyType(addresses)
        await self._register()

    async def _register(self) -> None:
        """Write down where this broker is."""
        configuration = self.configuration
        endpoints = [
            Endpoint(each.name, bound.host, bound.port, "PLAINTEXT")
            for each in configuration.listeners
            for bound in (self.addresses[each.name],)
        ]
        await self.cluster.submit(
            lambda image: decide_broker_registration(
                image,
                configuration.node_id,
                rack=configuration.rack,
                endpoints=endpoints,
                log_directories=self._online_directory_ids(),
            )
        )

    def _begin_chores(self) -> None:
        config = self.config
        self.connections.start()
        self._maintenance.every(
            config.integer("log.retention.check.interval.ms"),
            "retention",
            lambda: self._run_in_background(self.partitions.apply_retention(self.clock.wall_ms())),
        )
        if config.boolean("log.cleaner.enable"):
            self._maintenance.every(
                lambda: max(
                    self.config.integer("log.cleaner.backoff.ms"), _LEAST_CLEANER_BACKOFF_MS
                ),
                "compaction",
                self._compact,
            )
        self._maintenance.every(
            config.integer("log.flush.offset.checkpoint.interval.ms"),
            "the checkpoint of offsets",
            self._checkpoint,
        )
        flush_interval_ms = config.integer("log.flush.scheduler.interval.ms")
        if flush_interval_ms < _NEVER_MS:
            self._maintenance.every(
                flush_interval_ms,
                "flush",
                lambda: self.partitions.flush_due(self.clock.wall_ms()),
            )
        # Members from before the restart must be able to time out though nobody asks.
        self._run_in_background(self.groups.load_all())
        self._run_in_background(self.transactions.load_all())

    def _compact(self) -> None:
        if self._cleaner is None:
            if not any(
                each.log.config.compacts and each.log.segment_count > 1 for each in self.partitions
            ):
                return
            from ottla.broker.log_cleaner import CleanerConfig, LogCleaner

            self._cleaner = LogCleaner(
                self.partitions,
                lambda: CleanerConfig.of(self.config),
                self.partitions.directory_of,
                disk=self._disk,
                clock=self.clock,
                entropy=self.entropy,
                new_worker=self._new_worker,
                discard=self._discard.later,
            )
        self._cleaner.begin()

    def _checkpoint(self) -> None:
        for directory in self._directories:
            if directory.failure is None:
                checkpoint = directory.take_checkpoint()
                self._checkpoints.run(
                    partial(_write_checkpoint, directory, checkpoint),
                    partial(_note_checkpoint, directory, checkpoint),
                )

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_report)


def _write_checkpoint(directory: LogDirectory, checkpoint: Checkpoint) -> bool:
    """In the worker; whether it is written."""
    try:
        directory.write_checkpoint(checkpoint)
    except LogDirectoryFailed:
        # Whoever watches the directory has been told.
        return False
    return True


def _note_checkpoint(directory: LogDirectory, checkpoint: Checkpoint, is_written: bool) -> None:
    if is_written:
        directory.checkpointed(checkpoint)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _logger.error("work in the background failed", exc_info=task.exception())


def _give_up_frame(reader: object) -> None:
    assert isinstance(reader, FrameReader)
    if reader.owner is not None:
        reader.owner.refuse("its unfinished request was given up to save memory")
    reader.release()
