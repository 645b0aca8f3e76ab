"""Opening a broker's data: directories, the metadata store, and what one says of the other."""

from __future__ import annotations

import errno
import logging
import os
import socket
import uuid
from collections.abc import Iterable, Sequence

from ottla.broker.cluster import Cluster
from ottla.broker.configuration import BrokerConfiguration
from ottla.broker.internal_topic import INTERNAL_TOPIC_SETTINGS
from ottla.log.config import LogConfig
from ottla.log.directory import LogDirectory, read_meta_properties
from ottla.log.errors import DirectoryLocked, DirectoryRefused, ForeignDirectory, LogDirectoryFailed
from ottla.metadata.controller.brokers import decide_bootstrap
from ottla.metadata.decoding import CorruptEntryError
from ottla.metadata.image import ClusterImage, ConfigResource, PartitionImage, ResourceType
from ottla.metadata.records import ConfigChanged, MetadataRecord, PartitionChanged, TopicCreated
from ottla.metadata.store.interface import MetadataStore, MetadataStoreError
from ottla.metadata.store.sqlite import FILE_NAME, SqliteMetadataStore
from ottla.metadata.topic_names import is_internal
from ottla.metadata.uuids import format_uuid
from ottla.ports.disk import Disk
from ottla.ports.entropy import Entropy
from ottla.ports.net import Address
from ottla.wire.errors import ProtocolError

_logger = logging.getLogger(__name__)


class StartError(Exception):
    """A broker can't start: what is wrong, and what to do about it, in plain words."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.message = message
        self.hint = hint


def open_directories(
    configuration: BrokerConfiguration, disk: Disk, entropy: Entropy, *, now_ms: int
) -> tuple[list[LogDirectory], str]:
    """Lock and open every log directory; new ones are formatted. Also the cluster's id.

    Raises:
        StartError: a directory is in use, another's, or can't be read or written.
    """
    opened: list[LogDirectory] = []
    try:
        cluster_id = _cluster_id(configuration, disk, entropy)
        for path in configuration.log_dirs:
            directory = LogDirectory.open(
                disk,
                path,
                cluster_id=cluster_id,
                node_id=configuration.node_id,
                new_directory_id=entropy.uuid(),
                # The topics' own settings are applied once the metadata is loaded.
                config_of=lambda topic: LogConfig(),
                now_ms=now_ms,
            )
            opened.append(directory)
            _report_recovery(directory)
    except (DirectoryRefused, LogDirectoryFailed, OSError) as error:
        for directory in opened:
            if directory.was_clean:
                directory.close()
            else:
                directory.abandon()
        raise directory_error(error) from error
    return opened, cluster_id


def directory_error(error: Exception) -> StartError:
    """What to tell of a log directory that can't be used."""
    if isinstance(error, DirectoryLocked):
        return StartError(
            str(error), "stop the other process, or choose another directory with --data DIR"
        )
    if isinstance(error, ForeignDirectory):
        return StartError(
            str(error),
            "choose another directory with --data DIR, or start with the ids it was made with",
        )
    if isinstance(error, DirectoryRefused):
        return StartError(str(error), "choose another directory with --data DIR")
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, OSError) and cause.errno is not None:
        return _disk_error(cause)
    return StartError(str(error), _CHECK_DISK)


_CHECK_DISK = "check that the directory exists, is writable and has free space"


def _disk_error(error: OSError) -> StartError:
    path = error.filename or "the data directory"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason = "the file system is read-only" if error.errno == errno.EROFS else "no permission"
        return StartError(
            f"can't write to {path}: {reason}",
            "let this user write there, or choose another directory with --data DIR",
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return StartError(
            f"{path} is a file, not a directory", "choose a directory with --data DIR"
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StartError(
            f"no space left on the disk of {path}",
            "make room, or choose a directory on another disk with --data DIR",
        )
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return StartError(
            "too many open files", "raise the limit of open files (ulimit -n) and start again"
        )
    return StartError(f"can't use {path}: {error.strerror}", _CHECK_DISK)


def listen_error(address: Address, error: OSError) -> StartError:
    """What to tell of an address that can't be listened on."""
    if isinstance(error, socket.gaierror):
        return StartError(
            f"can't listen on {address}: the host {address.host!r} is not known",
            "name a host or an address of this machine, or none for all of them: "
            f"--listen :{address.port}",
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    hint = (
        "stop what uses that port, or choose another with --listen HOST:PORT "
        "(port 0 takes a free one)"
    )
    if error.errno == errno.EADDRNOTAVAIL:
        hint = (
            "that is no address of this machine; name one, or none for all of them: "
            f"--listen :{address.port}"
        )
    elif error.errno in (errno.EACCES, errno.EPERM):
        hint = "ports below 1024 are for root; choose another with --listen HOST:PORT"
    return StartError(f"can't listen on {address}: {reason}", hint)


def _cluster_id(configuration: BrokerConfiguration, disk: Disk, entropy: Entropy) -> str:
    """The id the directories carry; for new ones, the configured or a fresh one."""
    for path in configuration.log_dirs:
        meta = read_meta_properties(disk, path)
        if meta is None:
            continue
        if configuration.cluster_id not in (None, meta.cluster_id):
            raise ForeignDirectory(
                f"{path} belongs to cluster {meta.cluster_id}, not to {configuration.cluster_id}"
            )
        return meta.cluster_id
    return configuration.cluster_id or format_uuid(entropy.uuid())


def _report_recovery(directory: LogDirectory) -> None:
    if directory.was_clean or not directory.partitions:
        return
    _logger.warning(
        "%s was not closed cleanly: recovered %d partitions",
        directory.path,
        len(directory.partitions),
    )


def open_store(log_dirs: Sequence[str], disk: Disk) -> MetadataStore:
    """The embedded metadata store: where it is, or new in the first log directory.

    Raises:
        StartError: it is damaged, of a newer version, or in use; or there are several.
    """
    found = [path for path in log_dirs if disk.exists(f"{path}/{FILE_NAME}")]
    if found[1:]:
        raise StartError(
            f"there is metadata in {' and in '.join(found)}",
            f"move the {FILE_NAME} away that does not belong to this broker",
        )
    if found and found[0] != log_dirs[0]:
        raise StartError(
            f"the metadata is in {found[0]}, not in the first log directory {log_dirs[0]}",
            f"name {found[0]} first",
        )
    try:
        return SqliteMetadataStore(f"{log_dirs[0]}/{FILE_NAME}")
    except MetadataStoreError as error:
        raise StartError(str(error), "") from error


async def load_cluster(
    store: MetadataStore,
    directories: Sequence[LogDirectory],
    configuration: BrokerConfiguration,
    cluster_id: str,
    entropy: Entropy,
    *,
    now_ms: int,
) -> Cluster:
    """The cluster's metadata, with this broker as its controller.

    A fresh store beside directories that hold partitions takes them over: so a log directory that
    Apache Kafka wrote can be opened.

    Raises:
        StartError: the store can't be read, or belongs to another cluster.
    """
    node_id = configuration.node_id
    try:
        cluster = await Cluster.load(store, holder=f"broker-{node_id}", now_ms=now_ms)
        is_new = not cluster.image.cluster_id
        epoch = cluster.controller_epoch
        await cluster.submit(lambda image: decide_bootstrap(image, cluster_id, node_id, epoch))
        if is_new:
            await _append_all(cluster, _adopted_topics(directories, node_id, entropy))
        elif not all(each.was_clean for each in directories):
            await _append_all(cluster, _next_leader_epochs(cluster.image))
    except (MetadataStoreError, CorruptEntryError, ProtocolError) as error:
        raise StartError(str(error), "restore the metadata store from a backup") from error
    return cluster


async def _append_all(cluster: Cluster, records: Iterable[MetadataRecord]) -> None:
    batch = list(records)
    if batch:
        await cluster.append(batch)


def _next_leader_epochs(image: ClusterImage) -> Iterable[MetadataRecord]:
    """After an unclean stop every leadership is a new one (KIP-101): what the log may have lost at
    its end was of the old epoch, so that a consumer which had read it notices."""
    for topic in image.topics.values():
        for index, partition in enumerate(topic.partitions):
            yield PartitionChanged(
                topic.topic_id,
                index,
                partition._replace(
                    leader_epoch=partition.leader_epoch + 1,
                    partition_epoch=partition.partition_epoch + 1,
                ),
            )


# By the defaults, a topic that was compacted, or had a longer retention, would lose its old data.
_KEEP_EVERYTHING = {"retention.ms": "-1"}


def _adopted_topics(
    directories: Sequence[LogDirectory], node_id: int, entropy: Entropy
) -> Iterable[MetadataRecord]:
    """Topics for the partitions that lie in the directories without metadata of ours."""
    topics: dict[str, dict[int, int]] = {}
    topic_ids: dict[str, uuid.UUID] = {}
    for directory in directories:
        for name, log in directory.partitions.items():
            partitions = topics.setdefault(name.topic, {})
            # This is a new leadership, and nobody knows how the last one ended (KIP-101).
            partitions[name.partition] = log.leader_epochs.latest_epoch + 1
            if log.topic_id is not None:
                topic_ids[name.topic] = log.topic_id
    for topic, epochs in sorted(topics.items()):
        topic_id = topic_ids.get(topic) or entropy.uuid()
        yield TopicCreated(topic, topic_id)
        if is_internal(topic):
            settings = INTERNAL_TOPIC_SETTINGS
        else:
            _logger.warning(
                "adopting topic %s with its data; its settings are not known: nothing of it is "
                "deleted until its retention.ms is set or deleted",
                topic,
            )
            settings = _KEEP_EVERYTHING
        yield ConfigChanged(ConfigResource(ResourceType.TOPIC, topic), settings)
        for index in range(max(epochs) + 1):
            partition = PartitionImage(
                replicas=(node_id,),
                isr=(node_id,),
                leader=node_id,
                leader_epoch=epochs.get(index, 0),
                partition_epoch=0,
                directories=(uuid.UUID(int=0),),
            )
            yield PartitionChanged(topic_id, index, partition)
