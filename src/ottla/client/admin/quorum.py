"""The metadata quorum: who leads, who votes, how far everybody is."""

from __future__ import annotations

from typing import NamedTuple

from ottla.client.values import Uuid


class QuorumReplica(NamedTuple):
    """A voter or observer of the metadata log.

    Attributes:
        replica_id: the node's id.
        directory_id: the id of its metadata directory (KIP-853), None if it is not known.
        log_end_offset: how much of the log it has.
        last_fetch_timestamp_ms: when it last fetched, None if it is not known.
        last_caught_up_timestamp_ms: when it last had all of the log, None likewise.
    """

    replica_id: int
    directory_id: Uuid | None
    log_end_offset: int
    last_fetch_timestamp_ms: int | None
    last_caught_up_timestamp_ms: int | None


class QuorumListener(NamedTuple):
    """An address of a controller."""

    name: str
    host: str
    port: int


class QuorumInfo(NamedTuple):
    """What ``describe_metadata_quorum`` answers.

    Attributes:
        leader_id: the active controller.
        leader_epoch: its epoch.
        high_watermark: up to where the metadata is committed.
        voters: the controllers that vote.
        observers: the other nodes that read the metadata log.
        nodes: the voters' addresses by id (KIP-853), empty if the broker does not tell.
    """

    leader_id: int
    leader_epoch: int
    high_watermark: int
    voters: list[QuorumReplica]
    observers: list[QuorumReplica]
    nodes: dict[int, list[QuorumListener]]
