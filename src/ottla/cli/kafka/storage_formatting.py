"""``kafka-storage format``: directories of a new cluster, for Apache Kafka and for ours."""

from __future__ import annotations

import argparse
import os
import time
import uuid
from collections.abc import Sequence
from typing import Final, NamedTuple

from ottla.cli.kafka import storage_snapshots as snapshots
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.features import parse_level
from ottla.cli.kafka.metadata_versions import (
    METADATA,
    features_to_format,
    metadata_level,
    release_of,
)
from ottla.cli.kafka.storage_credentials import credentials
from ottla.cli.kafka.storage_directories import (
    META_PROPERTIES,
    metadata_directory,
    read_meta_properties,
)
from ottla.cli.kafka.storage_voters import listed_controllers, this_controller
from ottla.log.text_files import MetaProperties, format_meta_properties
from ottla.wire.metadata_records import UserScramCredentialRecord
from ottla.wire.quorum_records import Voter

_STATIC_VOTERS: Final = "controller.quorum.voters"
_FIRST_WITH_SCRAM: Final = "3.5-IV2"


class _NewCluster(NamedTuple):
    """What its directories begin with."""

    cluster_id: str
    node_id: int
    levels: dict[str, int]
    credentials: list[UserScramCredentialRecord]
    voters: list[Voter] | None
    """The controllers, if they can be exchanged later."""


def format_directories(
    given: argparse.Namespace, entries: dict[str, str], directories: Sequence[str]
) -> int:
    """Make directories log directories.

    Args:
        given: the options.
        entries: the broker's properties.
        directories: those that the properties name.

    Returns:
        The exit status.

    Raises:
        ToolFailure: something makes no sense, is formatted already or can't be written.
    """
    cluster = _new_cluster(given, entries)
    fresh = _not_formatted(given, directories)
    if not fresh:
        print("All of the log directories are already formatted.")
    release = release_of(cluster.levels[METADATA])
    for directory in fresh:
        is_for_metadata = directory == metadata_directory(entries)
        kind, directory_id = _kind(cluster) if is_for_metadata else ("data", uuid.uuid4())
        print(f"Formatting {kind} directory {directory} with metadata.version {release}.")
        if is_for_metadata:
            _write_snapshots(directory, cluster)
        meta = MetaProperties(cluster.cluster_id, cluster.node_id, directory_id)
        # Last: without it the directory counts as not formatted.
        _write(directory, META_PROPERTIES, format_meta_properties(meta))
    return 0


def _new_cluster(given: argparse.Namespace, entries: dict[str, str]) -> _NewCluster:
    text = entries.get("node.id") or entries.get("broker.id") or ""
    if not text.isdigit():
        raise ToolFailure('Missing required configuration "node.id" which has no default value.')
    node_id = int(text)
    voters = _voters(given, node_id, entries)
    has_dynamic_quorum = voters is not None or (
        given.no_initial_controllers and not entries.get(_STATIC_VOTERS)
    )
    chosen = dict(parse_level(each) for each in given.feature or ())
    release = given.release_version or entries.get("inter.broker.protocol.version")
    levels = features_to_format(release, chosen, has_dynamic_quorum=has_dynamic_quorum)
    users = credentials(given.add_scram or ())
    if users and levels[METADATA] < metadata_level(_FIRST_WITH_SCRAM):
        raise ToolFailure(f"SCRAM is only supported in {METADATA} {_FIRST_WITH_SCRAM} or later.")
    return _NewCluster(given.cluster_id, node_id, levels, users, voters)


def _voters(given: argparse.Namespace, node_id: int, entries: dict[str, str]) -> list[Voter] | None:
    """The controllers of a quorum that can change (KIP-853), if it is to be one."""
    begins_with_some = given.standalone or given.initial_controllers is not None
    if entries.get(_STATIC_VOTERS):
        if begins_with_some:
            raise ToolFailure(
                f"You cannot specify {_STATIC_VOTERS} and format the node with "
                "--initial-controllers or --standalone. If you want to use dynamic quorum, please "
                f"remove {_STATIC_VOTERS} and specify controller.quorum.bootstrap.servers instead."
            )
        return None
    if given.standalone:
        return this_controller(node_id, entries)
    if begins_with_some:
        return listed_controllers(given.initial_controllers, entries)
    if "controller" in entries.get("process.roles", "") and not given.no_initial_controllers:
        raise ToolFailure(
            f"Because {_STATIC_VOTERS} is not set on this controller, you must specify one of the "
            "following: --standalone, --initial-controllers, or --no-initial-controllers."
        )
    return None


def _not_formatted(given: argparse.Namespace, directories: Sequence[str]) -> list[str]:
    fresh = []
    for directory in directories:
        meta = read_meta_properties(directory)
        if meta is None:
            fresh.append(directory)
            continue
        path = os.path.join(directory, META_PROPERTIES)
        if meta.cluster_id != given.cluster_id and given.ignore_formatted:
            raise ToolFailure(
                f"Invalid cluster.id in: {path}. Expected {given.cluster_id}, but read "
                f"{meta.cluster_id}"
            )
        if not given.ignore_formatted:
            raise ToolFailure(
                f"Log directory {directory} is already formatted. Use --ignore-formatted to "
                "ignore this directory and format the others."
            )
    return fresh


def _kind(cluster: _NewCluster) -> tuple[str, uuid.UUID]:
    """What the directory with the metadata is called, and its id."""
    if cluster.voters is None:
        return "metadata", uuid.uuid4()
    for voter in cluster.voters:
        if voter.voter_id == cluster.node_id:
            return "dynamic metadata voter", voter.voter_directory_id
    return "dynamic metadata", uuid.uuid4()


def _write_snapshots(directory: str, cluster: _NewCluster) -> None:
    now_ms = int(time.time() * 1000)
    data = snapshots.bootstrap_snapshot(cluster.levels, cluster.credentials, now_ms)
    _write(directory, snapshots.BOOTSTRAP, data)
    if cluster.voters is not None:
        data = snapshots.quorum_snapshot(cluster.voters, now_ms)
        _write(directory, snapshots.FIRST_SNAPSHOT, data)


def _write(directory: str, name: str, data: bytes) -> None:
    """Put a file there whole or not at all, and so that a power cut doesn't take it back."""
    path = os.path.join(directory, name)
    directory = os.path.dirname(path)
    try:
        os.makedirs(directory, exist_ok=True)
        with open(f"{path}.tmp", "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.tmp", path)
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ToolFailure(f"{directory} can't be formatted: {error.strerror}") from None
