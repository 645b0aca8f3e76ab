"""The records of ``__remote_log_metadata``: which segments lie in remote storage (KIP-405).

They are framed as those of ``__cluster_metadata``.
"""

from __future__ import annotations

from typing import Final

from ottla.wire.declare import (
    Array,
    Bool,
    Buffer,
    Bytes,
    Int8,
    Int32,
    Int64,
    String,
    Uuid,
    at,
    message,
    struct,
)
from ottla.wire.metadata_records import MetadataRecord, decode_framed


@struct
class RemotePartition:
    """A partition, by the id of its topic."""

    name: String
    id: Uuid
    partition: Int32


@struct
class RemoteSegmentId:
    """A segment in remote storage."""

    topic_id_partition: RemotePartition
    id: Uuid


@struct
class EpochStart:
    """Where a leader epoch begins."""

    leader_epoch: Int32
    offset: Int64


@message(key=None, versions="0", flexible=0)
class RemoteLogSegmentMetadataRecord(MetadataRecord):
    """A segment is being copied."""

    RECORD_TYPE = 0

    remote_log_segment_id: RemoteSegmentId
    start_offset: Int64
    end_offset: Int64
    broker_id: Int32
    max_timestamp_ms: Int64
    event_timestamp_ms: Int64
    segment_leader_epochs: Array[EpochStart]
    segment_size_in_bytes: Int32
    custom_metadata: Bytes | None = at(default=None)
    remote_log_segment_state: Int8
    txn_index_empty: Bool = at(default=False, tag=0)


@message(key=None, versions="0", flexible=0)
class RemoteLogSegmentMetadataUpdateRecord(MetadataRecord):
    """What became of a segment."""

    RECORD_TYPE = 1

    remote_log_segment_id: RemoteSegmentId
    broker_id: Int32
    event_timestamp_ms: Int64
    custom_metadata: Bytes | None = at(default=None)
    remote_log_segment_state: Int8


@message(key=None, versions="0", flexible=0)
class RemotePartitionDeleteMetadataRecord(MetadataRecord):
    """A partition's remote segments are to go, are going, or are gone."""

    RECORD_TYPE = 2

    topic_id_partition: RemotePartition
    broker_id: Int32
    event_timestamp_ms: Int64
    remote_partition_delete_state: Int8


_BY_TYPE: Final[dict[int, type[MetadataRecord]]] = {
    kind.RECORD_TYPE: kind
    for kind in (
        RemoteLogSegmentMetadataRecord,
        RemoteLogSegmentMetadataUpdateRecord,
        RemotePartitionDeleteMetadataRecord,
    )
}


def decode_record(data: Buffer) -> MetadataRecord:
    """What a value says; raises ``Truncated`` or ``Malformed``."""
    return decode_framed(data, _BY_TYPE)[1]
