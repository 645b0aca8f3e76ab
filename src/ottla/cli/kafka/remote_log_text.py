"""The records of ``__remote_log_metadata`` as Kafka's dump tool shows them."""

from __future__ import annotations

from typing import Final

from ottla.cli.kafka.uuids import format_uuid
from ottla.records.record import Record
from ottla.wire.errors import ProtocolError
from ottla.wire.remote_log_records import (
    RemoteLogSegmentMetadataRecord,
    RemoteLogSegmentMetadataUpdateRecord,
    RemotePartition,
    RemotePartitionDeleteMetadataRecord,
    RemoteSegmentId,
    decode_record,
)

_SEGMENT_STATES: Final = (
    "COPY_SEGMENT_STARTED",
    "COPY_SEGMENT_FINISHED",
    "DELETE_SEGMENT_STARTED",
    "DELETE_SEGMENT_FINISHED",
)
_DELETE_STATES: Final = (
    "DELETE_PARTITION_MARKED",
    "DELETE_PARTITION_STARTED",
    "DELETE_PARTITION_FINISHED",
)


def remote_log_payload(record: Record) -> str:
    """Shows a record of ``__remote_log_metadata``."""
    try:
        return f"payload: {_shown(record.value or b'')}"
    except (ProtocolError, IndexError) as error:
        return f"payload: Error at offset {record.offset}, skipping. {error}"


def _shown(value: bytes) -> str:
    found = decode_record(value)
    if isinstance(found, RemoteLogSegmentMetadataRecord):
        epochs = ", ".join(f"{e.leader_epoch}={e.offset}" for e in found.segment_leader_epochs)
        return (
            f"RemoteLogSegmentMetadata{{remoteLogSegmentId={_segment(found.remote_log_segment_id)}"
            f", startOffset={found.start_offset}, endOffset={found.end_offset}"
            f", brokerId={found.broker_id}, maxTimestampMs={found.max_timestamp_ms}"
            f", eventTimestampMs={found.event_timestamp_ms}, segmentLeaderEpochs={{{epochs}}}"
            f", segmentSizeInBytes={found.segment_size_in_bytes}"
            f", customMetadata={_custom(found.custom_metadata)}"
            f", state={_SEGMENT_STATES[found.remote_log_segment_state]}"
            f", txnIdxEmpty={str(found.txn_index_empty).lower()}}}"
        )
    if isinstance(found, RemoteLogSegmentMetadataUpdateRecord):
        return (
            "RemoteLogSegmentMetadataUpdate{remoteLogSegmentId="
            f"{_segment(found.remote_log_segment_id)}"
            f", customMetadata={_custom(found.custom_metadata)}"
            f", state={_SEGMENT_STATES[found.remote_log_segment_state]}"
            f", eventTimestampMs={found.event_timestamp_ms}, brokerId={found.broker_id}}}"
        )
    assert isinstance(found, RemotePartitionDeleteMetadataRecord)
    return (
        f"RemotePartitionDeleteMetadata{{topicPartition={_partition(found.topic_id_partition)}"
        f", state={_DELETE_STATES[found.remote_partition_delete_state]}"
        f", eventTimestampMs={found.event_timestamp_ms}, brokerId={found.broker_id}}}"
    )


def _partition(found: RemotePartition) -> str:
    return f"{format_uuid(found.id)}:{found.name}-{found.partition}"


def _segment(found: RemoteSegmentId) -> str:
    where = _partition(found.topic_id_partition)
    return f"RemoteLogSegmentId{{topicIdPartition={where}, id={format_uuid(found.id)}}}"


def _custom(data: bytes | memoryview | None) -> str:
    return "Optional.empty" if data is None else f"Optional[CustomMetadata{{{len(data)} bytes}}]"
