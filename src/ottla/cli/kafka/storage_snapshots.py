"""What Apache Kafka finds in a formatted directory: the snapshots its quorum begins with.

A broker of ours reads neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ottla.records.control import ControlType, encode_control_key
from ottla.records.encode import BatchBuilder
from ottla.wire.declare import Message
from ottla.wire.metadata_records import (
    FeatureLevelRecord,
    MetadataRecord,
    UserScramCredentialRecord,
    encode_record,
)
from ottla.wire.quorum_records import (
    KRaftVersionRecord,
    SnapshotFooterRecord,
    SnapshotHeaderRecord,
    Voter,
    VotersRecord,
)

BOOTSTRAP: Final = "bootstrap.checkpoint"
FIRST_SNAPSHOT: Final = "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"
_QUORUM_FEATURE: Final = "kraft.version"
_EPOCH: Final = 0


def bootstrap_snapshot(
    levels: Mapping[str, int], credentials: Sequence[UserScramCredentialRecord], now_ms: int
) -> bytes:
    """``bootstrap.checkpoint``: the features and the users that a new cluster begins with."""
    header = SnapshotHeaderRecord(version=0, last_contained_log_timestamp=0)
    first = _control([(ControlType.SNAPSHOT_HEADER, header)], 0, now_ms)
    metadata = "metadata.version"
    names = [metadata, *sorted(set(levels) - {metadata, _QUORUM_FEATURE})]
    records: list[MetadataRecord] = [
        FeatureLevelRecord(name=name, feature_level=levels[name])
        for name in names
        if levels[name] > 0
    ]
    records += credentials
    builder = BatchBuilder()
    for record in records:
        builder.append(None, encode_record(record, 0), (), now_ms)
    middle = builder.close(base_offset=1, leader_epoch=_EPOCH)
    return first + middle + _footer(1 + len(records), now_ms)


def quorum_snapshot(voters: Sequence[Voter], now_ms: int) -> bytes:
    """The snapshot at offset 0: a quorum of these voters, who may change later (KIP-853)."""
    header = SnapshotHeaderRecord(version=0, last_contained_log_timestamp=now_ms)
    records: list[tuple[ControlType, Message]] = [
        (ControlType.SNAPSHOT_HEADER, header),
        (ControlType.KRAFT_VERSION, KRaftVersionRecord(version=0, k_raft_version=1)),
        (ControlType.KRAFT_VOTERS, VotersRecord(version=0, voters=list(voters))),
    ]
    return _control(records, 0, now_ms) + _footer(len(records), now_ms)


def _footer(offset: int, now_ms: int) -> bytes:
    return _control(
        [(ControlType.SNAPSHOT_FOOTER, SnapshotFooterRecord(version=0))], offset, now_ms
    )


def _control(records: Sequence[tuple[ControlType, Message]], offset: int, now_ms: int) -> bytes:
    builder = BatchBuilder()
    for kind, record in records:
        builder.append(encode_control_key(kind), record.encode(0), (), now_ms)
    return builder.close(base_offset=offset, leader_epoch=_EPOCH, is_control=True)
