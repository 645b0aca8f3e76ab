"""The pure-Python twin of what ``_native`` does for compaction: same decisions, same bytes.

``compaction`` chooses one of the two; nothing else imports either.
"""

from __future__ import annotations

from array import array

from ottla.records import rejection
from ottla.records._reference import RecordReader, wrap_int64, write_varint
from ottla.records.batch import NO_TIMESTAMP_MS, BatchHeader
from ottla.records.record import BytesLike
from ottla.records.rejection import invalid_record

# A digest, its offset and their place in a dict, as measured and rounded up.
_ENTRY_BYTES = 240

Filtered = tuple[int, bytes, int | None, int]
"""How many records stay, those records, the new delete horizon (the base of their timestamps from
now on) or ``None``, and the largest timestamp."""


class OffsetMap:
    """The latest offset of every key seen, by a digest of the key: bounded, whatever the keys.

    Args:
        memory_bytes: how much the table may take.
        load_factor: the share of the table that is filled before ``put`` refuses new keys.
        seed: 16 secret bytes, so that nobody can choose keys that collide.
    """

    def __init__(self, memory_bytes: int, load_factor: float, seed: bytes) -> None:
        from hashlib import blake2b

        if len(seed) != 16:
            raise ValueError("the seed has 16 bytes")
        self._offsets: dict[bytes, int] = {}
        self._keyed = blake2b(digest_size=16, key=seed)
        self.capacity = int(memory_bytes // _ENTRY_BYTES * load_factor)
        """How many keys fit."""
        if self.capacity < 1:
            raise ValueError(f"{memory_bytes} bytes hold no key")

    @property
    def count(self) -> int:
        """How many keys there are."""
        return len(self._offsets)

    def clear(self) -> None:
        self._offsets.clear()

    def _digest(self, key: BytesLike) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(key)
        return keyed.digest()

    def put(self, key: BytesLike, offset: int) -> bool:
        """Note the offset of a key; ``False`` when the key is new and there is no room."""
        digest = self._digest(key)
        if len(self._offsets) >= self.capacity and digest not in self._offsets:
            return False
        self._offsets[digest] = offset
        return True

    def get(self, key: BytesLike) -> int:
        """The offset noted last for a key, or -1."""
        return self._offsets.get(self._digest(key), -1)


def index_records(
    offset_map: OffsetMap,
    buffer: BytesLike,
    position: int,
    end: int,
    header: BatchHeader,
    start_offset: int,
) -> bool:
    """Note the offsets of the keys in ``buffer[position:end]``, from ``start_offset`` on.

    ``False`` when the map is full: some of the records may be in it, others are not.
    """
    if header.record_count < 0:
        raise invalid_record(rejection.RECORD_COUNT, 0)
    for index in range(header.record_count):
        record = RecordReader(buffer, position, end, index)
        key = record.key()
        offset = header.base_offset + record.offset_delta
        if key is not None and offset >= start_offset and not offset_map.put(key, offset):
            return False
        position = record.end
    if position != end:
        raise invalid_record(rejection.BATCH_GOES_ON, max(header.record_count - 1, 0))
    return True


def index_batches(
    offset_map: OffsetMap, buffer: BytesLike, position: int, start_offset: int
) -> tuple[int, int]:
    """Index as many whole, plain batches from ``position`` on as can be done at once.

    Returns where that ended, and the last offset indexed (-1: none). The batch there is incomplete,
    damaged, of another kind, or more than the map holds: the caller looks. The native twin does
    most batches here; this one leaves them all to the caller.
    """
    return position, -1


def clean_batches(
    offset_map: OffsetMap,
    buffer: BytesLike,
    position: int,
    latest_offset: int,
    now_ms: int,
    delete_retention_ms: int,
    kept_ends: array[int],
) -> tuple[int, bytes]:
    """Clean as many whole, plain batches from ``position`` on as can be done at once.

    Batches after ``latest_offset`` are copied as they are; a batch without records that ends at one
    of ``kept_ends`` (sorted) is kept as a header. Returns where that ended, and what stays.
    """
    return position, b""


def filter_records(
    offset_map: OffsetMap,
    buffer: BytesLike,
    position: int,
    end: int,
    header: BatchHeader,
    now_ms: int,
    delete_retention_ms: int,
) -> Filtered | None:
    """Leave out of the records in ``buffer[position:end]`` those that have been superseded.

    Tombstones go, too, once the batch's delete horizon has passed; when some stay and the batch has
    no horizon, the base timestamp becomes one. ``None``: the batch stays as it is.
    """
    if header.record_count < 0:
        raise invalid_record(rejection.RECORD_COUNT, 0)
    horizon_ms = header.delete_horizon_ms
    drops_tombstones = horizon_ms is not None and horizon_ms <= now_ms
    kept: list[RecordReader] = []
    has_tombstone = False
    max_timestamp_ms = NO_TIMESTAMP_MS
    for index in range(header.record_count):
        record = RecordReader(buffer, position, end, index)
        position = record.end
        key = record.key()
        is_tombstone = record.value_size < 0
        if key is None or (drops_tombstones and is_tombstone):
            continue
        if header.base_offset + record.offset_delta < offset_map.get(key):
            continue
        kept.append(record)
        has_tombstone = has_tombstone or is_tombstone
        timestamp_ms = wrap_int64(header.base_timestamp_ms + record.timestamp_delta_ms)
        max_timestamp_ms = max(max_timestamp_ms, timestamp_ms)
    if position != end:
        raise invalid_record(rejection.BATCH_GOES_ON, max(header.record_count - 1, 0))
    new_horizon_ms = None
    if has_tombstone and horizon_ms is None:
        new_horizon_ms = wrap_int64(now_ms + delete_retention_ms)
    elif len(kept) == header.record_count:
        return None
    if header.is_log_append_time:
        max_timestamp_ms = header.max_timestamp_ms
    base_timestamp_ms = header.base_timestamp_ms if new_horizon_ms is None else new_horizon_ms
    payload = b"".join([_encoded(record, buffer, header, base_timestamp_ms) for record in kept])
    return len(kept), payload, new_horizon_ms, max_timestamp_ms


def _encoded(
    record: RecordReader, buffer: BytesLike, header: BatchHeader, base_timestamp_ms: int
) -> bytes:
    """A record as it is, but for its timestamp's base."""
    if base_timestamp_ms == header.base_timestamp_ms:
        return bytes(buffer[record.start : record.end])
    timestamp_ms = wrap_int64(header.base_timestamp_ms + record.timestamp_delta_ms)
    body = bytearray(buffer[record.attributes_position : record.attributes_position + 1])
    write_varint(body, wrap_int64(timestamp_ms - base_timestamp_ms))
    body += buffer[record.offset_delta_position : record.end]
    length = bytearray()
    write_varint(length, len(body))
    return bytes(length + body)
