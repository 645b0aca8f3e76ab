"""Opening what lies on the disks: log directories, recovered, and the metadata store.

It needs neither event loop nor request code, so a start does it first: once it is done all that
could go wrong with the data has, and the ports may be opened.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ottla.broker.configuration.broker_configuration import BrokerConfiguration
from ottla.broker.open_files import raise_open_file_limit
from ottla.broker.start_errors import StartError, directory_error
from ottla.log.config import LogConfig
from ottla.log.directory import LogDirectory, read_meta_properties
from ottla.log.errors import DirectoryRefused, ForeignDirectory, LogDirectoryFailed
from ottla.metadata.store.interface import MetadataStore, MetadataStoreError
from ottla.metadata.store.sqlite import FILE_NAME, SqliteMetadataStore
from ottla.metadata.uuids import format_uuid
from ottla.ports.disk import Disk
from ottla.ports.entropy import Entropy

_logger = logging.getLogger(__name__)


class OpenedData(NamedTuple):
    """A broker's data, locked and recovered."""

    directories: list[LogDirectory]
    """Those that can be used, in the order of ``log.dirs``; the first holds the metadata."""
    offline: Mapping[str, LogDirectoryFailed]
    """Why the others can't, by path."""
    cluster_id: str
    store: MetadataStore

    def abandon(self) -> None:
        """Let go of the directories; nothing was written since they were opened."""
        _let_go(self.directories)


def open_data(
    configuration: BrokerConfiguration,
    disk: Disk,
    entropy: Entropy,
    *,
    now_ms: int,
    store: MetadataStore | None = None,
) -> OpenedData:
    """Lock, format where new, and recover every log directory; open the metadata store.

    Args:
        store: the metadata store, where it isn't the embedded one in the first log directory.

    Raises:
        StartError: a directory is in use or another's, the disk of the metadata failed, or the
            store can't be opened.
    """
    raise_open_file_limit()
    opened: list[LogDirectory] = []
    offline: dict[str, LogDirectoryFailed] = {}
    try:
        cluster_id = _cluster_id(configuration, disk, entropy)
        for path in configuration.log_dirs:
            try:
                opened.append(
                    _open_directory(configuration, path, cluster_id, disk, entropy, now_ms=now_ms)
                )
            except LogDirectoryFailed as failure:
                if not opened or _has_no_files_left(failure):
                    # Without its metadata a broker can't go on.
                    raise
                offline[path] = failure
        if store is None:
            store = open_store(configuration.log_dirs, disk)
    except (DirectoryRefused, LogDirectoryFailed, OSError) as error:
        _let_go(opened)
        raise directory_error(error) from error
    except StartError:
        _let_go(opened)
        raise
    return OpenedData(opened, offline, cluster_id, store)


def _open_directory(
    configuration: BrokerConfiguration,
    path: str,
    cluster_id: str,
    disk: Disk,
    entropy: Entropy,
    *,
    now_ms: int,
) -> LogDirectory:
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
    _report_recovery(directory)
    return directory


def _has_no_files_left(failure: LogDirectoryFailed) -> bool:
    """Nothing is wrong with the disk: the process may open no more files."""
    cause = failure.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE)


def _let_go(directories: Sequence[LogDirectory]) -> None:
    for directory in directories:
        if directory.was_clean:
            directory.close()
        else:
            directory.abandon()


def _cluster_id(configuration: BrokerConfiguration, disk: Disk, entropy: Entropy) -> str:
    """The id the directories carry; for new ones, the configured or a fresh one."""
    for path in configuration.log_dirs:
        try:
            meta = read_meta_properties(disk, path)
        except OSError:
            # Met again when the directory is opened, where it is known what it costs.
            continue
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
