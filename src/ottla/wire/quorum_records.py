"""The values of control records in ``__cluster_metadata``: what Kafka's quorum says of itself.

Their keys are those of all control records; a value begins with its version.
"""

from __future__ import annotations

from ottla.wire.declare import (
    ZERO_UUID,
    Array,
    Int16,
    Int32,
    Int64,
    Message,
    String,
    Uint16,
    Uuid,
    at,
    message,
    struct,
)


@struct
class ElectedBy:
    """A voter of an election."""

    voter_id: Int32
    voter_directory_id: Uuid = at("1+", default=ZERO_UUID)


@message(key=None, versions="0-1", flexible=0)
class LeaderChangeRecord(Message):
    """The first record of an epoch: who leads from here on, and who wanted that."""

    version: Int16
    leader_id: Int32
    voters: Array[ElectedBy]
    granting_voters: Array[ElectedBy]


@message(key=None, versions="0", flexible=0)
class SnapshotHeaderRecord(Message):
    """The first record of a snapshot."""

    version: Int16
    last_contained_log_timestamp: Int64


@message(key=None, versions="0", flexible=0)
class SnapshotFooterRecord(Message):
    """The last record of a snapshot."""

    version: Int16


@message(key=None, versions="0", flexible=0)
class KRaftVersionRecord(Message):
    """The version of the quorum's protocol (KIP-853)."""

    version: Int16
    k_raft_version: Int16


@struct
class VoterEndpoint:
    """Where a voter listens."""

    name: String
    host: String
    port: Uint16


@struct
class VersionRange:
    """The versions of the quorum's protocol that a voter supports."""

    min_supported_version: Int16
    max_supported_version: Int16


@struct
class Voter:
    """One that takes part in elections."""

    voter_id: Int32
    voter_directory_id: Uuid
    endpoints: Array[VoterEndpoint]
    k_raft_version_feature: VersionRange


@message(key=None, versions="0", flexible=0)
class VotersRecord(Message):
    """Who takes part in elections from now on."""

    version: Int16
    voters: Array[Voter]
