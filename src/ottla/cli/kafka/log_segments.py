"""A log segment's batches and records as ``kafka-dump-log`` shows them."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.internal_records import (
    Decoder,
    Undecodable,
    as_json,
    group_value_json,
)
from ottla.cli.kafka.java_text import java_double, java_json
from ottla.records.batch import BatchHeader, iter_complete_headers
from ottla.records.control import ControlType, decode_control_key, decode_end_transaction_marker
from ottla.records.crc import crc32c
from ottla.records.decode import decode_records
from ottla.records.errors import RecordsError
from ottla.records.record import Record
from ottla.wire.declare import Message
from ottla.wire.errors import ProtocolError

Payload = Callable[[Record], str]
"""A record's key and value as text."""
_CRC_END = 21
_CODECS = {0: "none", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_PACKAGE = "org.apache.kafka.tools.api."


class SegmentDump(NamedTuple):
    """What is to be shown of a segment."""

    shows_records: bool
    payload: Payload | None
    skips_metadata: bool
    most_bytes: int


def _decoder(name: str) -> Callable[[bytes], str]:
    decoders: dict[str, Callable[[bytes], str]] = {
        "StringDecoder": lambda data: data.decode(errors="replace"),
        "DefaultDecoder": lambda data: repr(bytes(data))[2:-1],
        "LongDecoder": lambda data: str(int.from_bytes(data[:8], "big", signed=True)),
        "IntegerDecoder": lambda data: str(int.from_bytes(data[:4], "big", signed=True)),
    }
    short = name.removeprefix(_PACKAGE).removeprefix("kafka.serializer.")
    if short not in decoders:
        known = ", ".join(decoders)
        raise ToolFailure(f"There is no decoder {name} here", f"there are {known}")
    return decoders[short]


def text_payload(key_decoder: str, value_decoder: str) -> Payload:
    """Shows keys and values by decoders; raises ``ToolFailure`` for one that doesn't exist."""
    of_key, of_value = _decoder(key_decoder), _decoder(value_decoder)

    def show(record: Record) -> str:
        parts = [] if record.key is None else [f"key: {of_key(record.key)}"]
        parts += [] if record.value is None else [f"payload: {of_value(record.value)}"]
        return " ".join(parts)

    return show


def record_payload(decode: Decoder) -> Payload:
    """Shows the records of an internal topic."""

    def show(record: Record) -> str:
        try:
            (kind, key), value = decode(record.key or b"", record.value)
        except Undecodable as error:
            return f"key: (undecodable: {error})"
        shown_key = java_json({"type": str(kind), "data": as_json(key)})
        if value is None:
            return f"key: {shown_key} payload: <DELETE>"
        version, held = value
        shown = {"version": str(version), "data": group_value_json(held, version)}
        return f"key: {shown_key} payload: {java_json(shown)}"

    return show


def metadata_payload(record: Record) -> str:
    """Shows a record of ``__cluster_metadata``."""
    from ottla.wire.metadata_records import ClientQuotaRecord, decode_record

    try:
        version, found = decode_record(record.value or b"")
    except ProtocolError as error:
        return f"payload: Error at {record.offset}, skipping. {error}"
    shown = {
        "type": upper_snake(type(found).__name__),
        "version": version,
        "data": as_json(found, version),
    }
    told = java_json(shown)
    if isinstance(found, ClientQuotaRecord):
        told = told.replace(f'"value":{found.value!r}', f'"value":{java_double(found.value)}')
    return f"payload: {told}"


def upper_snake(name: str) -> str:
    """The name of a record's type as Kafka's enumerations spell it."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper()


def read(path: str) -> bytes | mmap.mmap:
    """A file's bytes without reading those nobody looks at."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def base_offset(path: str) -> int:
    """The offset that a file's name tells; raises ``ToolFailure`` if it tells none."""
    name = os.path.basename(path).split(".")[0]
    if not (name.isascii() and name.isdigit()):
        raise ToolFailure(
            f'For input string: "{name}"', "segments are called as the offset they begin with"
        )
    return int(name)


def dump_segment(path: str, show: SegmentDump) -> list[str]:
    """Print a segment; returns what is wrong with it."""
    name = os.path.basename(path)
    print(_title(name, path))
    buffer = memoryview(read(path))[: show.most_bytes]
    end, last, gaps = 0, None, []
    try:
        for position, header in iter_complete_headers(buffer):
            end = position + header.size_bytes
            print(_batch_line(buffer, position, header))
            if not show.shows_records:
                continue
            for record in decode_records(buffer, position):
                # The first record tells where the segment begins, and follows nothing.
                if last is not None and record.offset != last + 1:
                    gaps.append(f"  {last} is followed by {record.offset}")
                last = record.offset
                print(_record_line(record, header, show))
    except RecordsError as error:
        print(f"Found an invalid batch at position {end} of {name}: {error}")
        return []
    if len(buffer) > end and show.most_bytes >= len(buffer) > 0 and show.most_bytes >= 2**31 - 1:
        print(f"Found {len(buffer) - end} invalid bytes at the end of {name}")
    return [f"Non-consecutive offsets in {os.path.abspath(path)}", *gaps] if gaps else []


def _title(name: str, path: str) -> str:
    if not name.endswith(".checkpoint"):
        return f"Log starting offset: {base_offset(path)}"
    if name == "bootstrap.checkpoint":
        return "KRaft bootstrap snapshot"
    offset, _, epoch = name.removesuffix(".checkpoint").partition("-")
    if not (offset.isdecimal() and epoch.isdecimal()):
        raise ToolFailure(
            f"{name} is no snapshot's name", "they are called as the offset and epoch of their end"
        )
    return f"Snapshot end offset: {int(offset)}, epoch: {int(epoch)}"


def _bool(flag: bool) -> str:
    return "true" if flag else "false"


def _batch_line(buffer: memoryview, position: int, header: BatchHeader) -> str:
    end = position + header.size_bytes
    is_valid = crc32c(buffer[position + _CRC_END : end]) == header.crc
    horizon = "OptionalLong.empty"
    if header.delete_horizon_ms is not None:
        horizon = f"OptionalLong[{header.delete_horizon_ms}]"
    kind = "LogAppendTime" if header.is_log_append_time else "CreateTime"
    fields = {
        "baseOffset": header.base_offset,
        "lastOffset": header.last_offset,
        "count": header.record_count,
        "baseSequence": header.base_sequence,
        "lastSequence": header.last_sequence,
        "producerId": header.producer_id,
        "producerEpoch": header.producer_epoch,
        "partitionLeaderEpoch": header.partition_leader_epoch,
        "isTransactional": _bool(header.is_transactional),
        "isControl": _bool(header.is_control),
        "deleteHorizonMs": horizon,
        "position": position,
        kind: header.max_timestamp_ms,
        "size": header.size_bytes,
        "magic": header.magic,
        "compresscodec": _CODECS.get(header.attributes & 7, "unknown"),
        "crc": header.crc,
        "isvalid": _bool(is_valid),
    }
    return " ".join(f"{name}: {shown}" for name, shown in fields.items())


def _record_line(record: Record, header: BatchHeader, show: SegmentDump) -> str:
    parts = [] if show.skips_metadata else list(_metadata(record, header))
    if show.payload is not None and not header.is_control:
        parts.append(show.payload(record))
    shown = " ".join(part for part in parts if part)
    return f"| {shown}" if shown else ""


def _metadata(record: Record, header: BatchHeader) -> Iterator[str]:
    kind = "LogAppendTime" if header.is_log_append_time else "CreateTime"
    yield f"offset: {record.offset} {kind}: {record.timestamp_ms}"
    yield f"keySize: {_size(record.key)} valueSize: {_size(record.value)}"
    sequence = -1
    if header.base_sequence >= 0:
        sequence = (header.base_sequence + record.offset - header.base_offset) & 0x7FFFFFFF
    names = ",".join(name for name, _ in record.headers)
    yield f"sequence: {sequence} headerKeys: [{names}]"
    if header.is_control:
        yield _control(record)


def _control(record: Record) -> str:
    """What a control record says."""
    from ottla.wire import quorum_records

    shown: dict[ControlType, tuple[str, type[Message]]] = {
        ControlType.LEADER_CHANGE: ("LeaderChange:", quorum_records.LeaderChangeRecord),
        ControlType.SNAPSHOT_HEADER: ("SnapshotHeader", quorum_records.SnapshotHeaderRecord),
        ControlType.SNAPSHOT_FOOTER: ("SnapshotFooter", quorum_records.SnapshotFooterRecord),
        ControlType.KRAFT_VERSION: ("KRaftVersion", quorum_records.KRaftVersionRecord),
        ControlType.KRAFT_VOTERS: ("KRaftVoters", quorum_records.VotersRecord),
    }
    try:
        kind = decode_control_key(record.key)
        if kind in (ControlType.COMMIT, ControlType.ABORT):
            marker = decode_end_transaction_marker(record.key, record.value)
            return f"endTxnMarker: {kind.name} coordinatorEpoch: {marker.coordinator_epoch}"
        if kind in shown:
            name, declared = shown[kind]
            version = int.from_bytes((record.value or b"")[:2], "big")
            if version not in declared.VERSIONS:
                return f"controlType: {kind.name}({kind.value}) of version {version}"
            value = as_json(declared.decode(record.value or b"", version), version)
            return f"{name} {java_json(value)}"
    except (RecordsError, ProtocolError, ValueError) as error:
        return f"controlType: UNKNOWN({error})"
    return f"controlType: {kind.name}({kind.value})"


def _size(data: bytes | None) -> int:
    return -1 if data is None else len(data)
