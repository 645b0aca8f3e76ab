"""The pure-Python twin of ``_native``: the same functions, the same answers, slower.

``backend`` chooses one of the two; nothing else imports either.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from crc32c import crc32c as _crc32c

from ottla.records import rejection
from ottla.records.batch import (
    ATTRIBUTES_POSITION,
    HEADER_SIZE_BYTES,
    LENGTH_OVERHEAD_BYTES,
    NO_TIMESTAMP_MS,
    BatchHeader,
    read_header,
    truncated,
)
from ottla.records.errors import BatchTooLarge, CorruptBatch, RecordsError
from ottla.records.record import BytesLike, Headers, Record, Walked
from ottla.records.rejection import invalid_record

NAME = "python"

MAX_BATCH_BYTES = 2**31 - 1
_MAX_INT64 = 2**63 - 1
_BASE_OFFSET = struct.Struct(">q")
_LEADER_EPOCH = struct.Struct(">i")


def crc32c(data: BytesLike, seed: int = 0) -> int:
    return _crc32c(data, seed)


def check_batch(buffer: BytesLike, position: int) -> tuple[BatchHeader, Walked | None]:
    """Check header and CRC, and walk the records unless they are compressed.

    Raises what ``read_header`` and ``walk_records`` raise; ``TruncatedBatch`` when the buffer ends
    first; ``CorruptBatch`` for a wrong CRC.
    """
    header = check_crc(buffer, position)
    if header.is_compressed:
        return header, None
    end = position + header.size_bytes
    return header, walk_records(buffer, position + HEADER_SIZE_BYTES, end, header)


def check_crc(buffer: BytesLike, position: int) -> BatchHeader:
    """Check that the batch is all there and as its sender wrote it."""
    header = read_header(buffer, position)
    size_bytes = header.size_bytes
    if size_bytes > len(buffer) - position:
        raise truncated(size_bytes, len(buffer) - position)
    view = memoryview(buffer)[position + ATTRIBUTES_POSITION : position + size_bytes]
    computed = _crc32c(view)
    if computed != header.crc:
        raise CorruptBatch(f"CRC-32C is {computed:#010x}, the batch says {header.crc:#010x}")
    return header


def walk_records(buffer: BytesLike, position: int, end: int, header: BatchHeader) -> Walked:
    """Check the structure of the records in ``buffer[position:end]``, offset deltas from 0.

    Returns the range of their timestamps (-1, "no timestamp", is left out of the minimum) and the
    index of the first null key, or -1.
    """
    min_timestamp_ms, max_timestamp_ms, first_null_key = _MAX_INT64, NO_TIMESTAMP_MS, -1
    if header.record_count < 0:
        raise invalid_record(rejection.RECORD_COUNT, 0)
    for index in range(header.record_count):
        record = RecordReader(buffer, position, end, index)
        timestamp_ms = wrap_int64(header.base_timestamp_ms + record.timestamp_delta_ms)
        if record.offset_delta != index:
            raise invalid_record(rejection.OFFSET_DELTA, index)
        if record.key_size < 0 and first_null_key < 0:
            first_null_key = index
        record.skip_headers()
        if timestamp_ms > max_timestamp_ms:
            max_timestamp_ms = timestamp_ms
        if timestamp_ms < min_timestamp_ms and timestamp_ms != NO_TIMESTAMP_MS:
            min_timestamp_ms = timestamp_ms
        position = record.end
    if position != end:
        raise invalid_record(rejection.BATCH_GOES_ON, max(header.record_count - 1, 0))
    if header.is_log_append_time:
        return Walked(header.max_timestamp_ms, header.max_timestamp_ms, first_null_key)
    if min_timestamp_ms == _MAX_INT64:
        min_timestamp_ms = NO_TIMESTAMP_MS
    return Walked(min_timestamp_ms, max_timestamp_ms, first_null_key)


def stamp_plain_batch(
    buffer: bytearray | memoryview,
    position: int,
    end: int,
    base_offset: int,
    leader_epoch: int,
    now_ms: int,
    before_max_ms: int,
    after_max_ms: int,
) -> BatchHeader | None:
    """Check the one batch in ``buffer[position:end]``, and stamp it if nothing needs a closer look.

    Plain is a batch that fills the range exactly, has no attributes (no codec, not transactional,
    no control batch, timestamps of its producer), passes every check of ``validate_batch``, states
    its records' largest timestamp, and whose timestamps lie within the limits around ``now_ms``.

    Returns the header as stamped; ``None``, the batch unchanged, when it is not plain.
    """
    if not 0 <= position <= end <= len(buffer):
        raise ValueError(f"[{position}:{end}] is not within {len(buffer)} bytes")
    view = memoryview(buffer)[position:end]
    try:
        header, walked = check_batch(view, 0)
    except RecordsError:
        return None
    if (
        walked is None
        or header.size_bytes != end - position
        or header.attributes
        or header.record_count < 1
        or header.last_offset_delta != header.record_count - 1
    ):
        return None
    oldest_ms, newest_ms, _ = walked
    if newest_ms != header.max_timestamp_ms:
        return None
    if newest_ms != NO_TIMESTAMP_MS and not (
        newest_ms - now_ms <= after_max_ms and now_ms - oldest_ms <= before_max_ms
    ):
        return None
    _BASE_OFFSET.pack_into(view, 0, base_offset)
    _LEADER_EPOCH.pack_into(view, LENGTH_OVERHEAD_BYTES, leader_epoch)
    return header._replace(base_offset=base_offset, partition_leader_epoch=leader_epoch)


def decode_records(buffer: BytesLike, position: int, end: int, header: BatchHeader) -> list[Record]:
    """The records in ``buffer[position:end]``; offset deltas may have gaps but only grow."""
    records = []
    last_offset_delta = -1
    if header.record_count < 0:
        raise invalid_record(rejection.RECORD_COUNT, 0)
    for index in range(header.record_count):
        record = RecordReader(buffer, position, end, index)
        if not last_offset_delta < record.offset_delta <= header.last_offset_delta:
            raise invalid_record(rejection.OFFSET_DELTA, index)
        last_offset_delta = record.offset_delta
        timestamp_ms = (
            header.max_timestamp_ms
            if header.is_log_append_time
            else wrap_int64(header.base_timestamp_ms + record.timestamp_delta_ms)
        )
        offset = wrap_int64(header.base_offset + last_offset_delta)
        records.append(
            Record(offset, timestamp_ms, record.key(), record.value(), record.read_headers())
        )
        position = record.end
    if position != end:
        raise invalid_record(rejection.BATCH_GOES_ON, max(header.record_count - 1, 0))
    return records


def wrap_int64(number: int) -> int:
    # Java's long arithmetic: a delta may overflow, and must not fail on one side only.
    return (number + 2**63) % 2**64 - 2**63


class RecordReader:
    """One record of a batch: its fixed part is read at once, its headers on demand."""

    __slots__ = (
        "_buffer",
        "_index",
        "_key_position",
        "_position",
        "_value_position",
        "attributes_position",
        "end",
        "key_size",
        "offset_delta",
        "offset_delta_position",
        "start",
        "timestamp_delta_ms",
        "value_size",
    )

    def __init__(self, buffer: BytesLike, position: int, end: int, index: int) -> None:
        self._buffer = buffer
        self._index = index
        self._position = self.start = position
        self.end = end
        length = self._read_varint32()
        if length < 0 or length > end - self._position:
            raise invalid_record(rejection.RECORD_LENGTH, index)
        self.end = self._position + length
        if length == 0:
            raise invalid_record(rejection.RECORD_ENDS_EARLY, index)
        self.attributes_position = self._position
        self._position += 1  # the record's own attributes are unused
        self.timestamp_delta_ms = self._read_varint64()
        self.offset_delta_position = self._position
        self.offset_delta = self._read_varint32()
        self.key_size = self._read_size(rejection.KEY_SIZE, minimum=-1)
        self._key_position = self._skip(self.key_size)
        self.value_size = self._read_size(rejection.VALUE_SIZE, minimum=-1)
        self._value_position = self._skip(self.value_size)

    def key(self) -> bytes | None:
        return self._bytes(self._key_position, self.key_size)

    def value(self) -> bytes | None:
        return self._bytes(self._value_position, self.value_size)

    def skip_headers(self) -> None:
        for _ in range(self._read_header_count()):
            self._skip(self._read_size(rejection.HEADER_KEY_SIZE, minimum=0))
            self._skip(self._read_size(rejection.HEADER_VALUE_SIZE, minimum=-1))
        self._check_end()

    def read_headers(self) -> Headers:
        headers = []
        for _ in range(self._read_header_count()):
            key_size = self._read_size(rejection.HEADER_KEY_SIZE, minimum=0)
            key_position = self._skip(key_size)
            value_size = self._read_size(rejection.HEADER_VALUE_SIZE, minimum=-1)
            value = self._bytes(self._skip(value_size), value_size)
            key = bytes(self._buffer[key_position : key_position + key_size])
            # Brokers don't check that header keys are UTF-8, so readers must cope, as Java's do.
            headers.append((key.decode("utf-8", "replace"), value))
        self._check_end()
        return tuple(headers)

    def _read_header_count(self) -> int:
        count = self._read_varint32()
        if count < 0 or count > self.end - self._position:
            raise invalid_record(rejection.HEADER_COUNT, self._index)
        return count

    def _check_end(self) -> None:
        if self._position != self.end:
            raise invalid_record(rejection.RECORD_GOES_ON, self._index)

    def _bytes(self, position: int, size: int) -> bytes | None:
        return None if size < 0 else bytes(self._buffer[position : position + size])

    def _read_size(self, reason: int, minimum: int) -> int:
        size = self._read_varint32()
        if size < minimum or size > self.end - self._position:
            raise invalid_record(reason, self._index)
        return size

    def _skip(self, size: int) -> int:
        position = self._position
        if size > 0:
            self._position += size
        return position

    def _read_varint32(self) -> int:
        raw = self._read_unsigned(5) & 0xFFFFFFFF
        return (raw >> 1) ^ -(raw & 1)

    def _read_varint64(self) -> int:
        raw = self._read_unsigned(10) & 0xFFFFFFFFFFFFFFFF
        return (raw >> 1) ^ -(raw & 1)

    def _read_unsigned(self, max_bytes: int) -> int:
        buffer, position, end = self._buffer, self._position, self.end
        number = shift = 0
        for _ in range(max_bytes):
            if position >= end:
                raise invalid_record(rejection.RECORD_ENDS_EARLY, self._index)
            byte = buffer[position]
            position += 1
            if byte < 0x80:
                self._position = position
                return number | byte << shift
            number |= (byte & 0x7F) << shift
            shift += 7
        raise invalid_record(rejection.VARINT, self._index)


class RecordBuffer:
    """The records of an open batch, encoded as they come.

    The first record's timestamp becomes the base timestamp unless one is given.
    """

    __slots__ = (
        "_base_timestamp_ms",
        "_encoded",
        "_last_offset_delta",
        "_max_bytes",
        "_max_timestamp_ms",
        "_record_count",
    )

    def __init__(
        self, max_bytes: int = MAX_BATCH_BYTES, base_timestamp_ms: int | None = None
    ) -> None:
        self._encoded = bytearray()
        self._max_bytes = min(max_bytes, MAX_BATCH_BYTES)
        self._base_timestamp_ms = base_timestamp_ms
        self._max_timestamp_ms = NO_TIMESTAMP_MS
        self._record_count = 0
        self._last_offset_delta = -1

    @property
    def base_timestamp_ms(self) -> int:
        return NO_TIMESTAMP_MS if self._base_timestamp_ms is None else self._base_timestamp_ms

    @property
    def max_timestamp_ms(self) -> int:
        return self._max_timestamp_ms

    @property
    def record_count(self) -> int:
        return self._record_count

    @property
    def last_offset_delta(self) -> int:
        return self._last_offset_delta

    @property
    def size_bytes(self) -> int:
        """Bytes of the batch so far, header included, before compression."""
        return HEADER_SIZE_BYTES + len(self._encoded)

    def payload(self) -> BytesLike:
        """The encoded records; valid until the next ``append``."""
        return self._encoded

    def append(
        self,
        key: BytesLike | None,
        value: BytesLike | None,
        headers: Iterable[tuple[str, BytesLike | None]] = (),
        timestamp_ms: int = NO_TIMESTAMP_MS,
        offset_delta: int = -1,
    ) -> bool:
        """Encode one record; ``False``, and nothing changed, when the batch has no room for it.

        The first record always has room, up to what Kafka's 32-bit sizes can say
        (``BatchTooLarge``). Without ``offset_delta`` the record follows the last one directly;
        with it, it must be greater than the last one's (``ValueError``).
        """
        if offset_delta == -1:
            offset_delta = self._last_offset_delta + 1
        return self._append(key, value, headers, timestamp_ms, offset_delta)

    def _append(
        self,
        key: BytesLike | None,
        value: BytesLike | None,
        headers: Iterable[tuple[str, BytesLike | None]],
        timestamp_ms: int,
        offset_delta: int,
    ) -> bool:
        if not self._last_offset_delta < offset_delta < 2**31:
            raise ValueError(f"offset delta {offset_delta} after {self._last_offset_delta}")
        if timestamp_ms != wrap_int64(timestamp_ms):
            raise OverflowError(f"timestamp {timestamp_ms} has more than 64 bits")
        base_timestamp_ms = self._base_timestamp_ms
        if base_timestamp_ms is None:
            base_timestamp_ms = timestamp_ms
        body = bytearray(1)
        write_varint(body, wrap_int64(timestamp_ms - base_timestamp_ms))
        write_varint(body, offset_delta)
        _write_bytes(body, key)
        _write_bytes(body, value)
        header_list = list(headers)
        write_varint(body, len(header_list))
        for name, content in header_list:
            _write_bytes(body, name.encode("utf-8"))
            _write_bytes(body, content)
        length = bytearray()
        write_varint(length, len(body))
        size_bytes = self.size_bytes + len(length) + len(body)
        if size_bytes > MAX_BATCH_BYTES:
            raise BatchTooLarge(f"A batch of {size_bytes} bytes is more than Kafka's format allows")
        if size_bytes > self._max_bytes and self._record_count:
            return False
        self._encoded += length
        self._encoded += body
        self._base_timestamp_ms = base_timestamp_ms
        if timestamp_ms > self._max_timestamp_ms:
            self._max_timestamp_ms = timestamp_ms
        self._last_offset_delta = offset_delta
        self._record_count += 1
        return True

    def extend(self, records: Iterable[Record], base_offset: int) -> bool:
        """Append records at their own offsets; ``False`` at the first without room."""
        for offset, timestamp_ms, key, value, headers in records:
            if not self._append(key, value, headers, timestamp_ms, offset - base_offset):
                return False
        return True


def write_varint(target: bytearray, number: int) -> None:
    raw = (number << 1) ^ (number >> 63)
    while raw > 0x7F:
        target.append(raw & 0x7F | 0x80)
        raw >>= 7
    target.append(raw)


def _write_bytes(target: bytearray, content: BytesLike | None) -> None:
    if content is None:
        target.append(1)  # the zigzag of -1
    else:
        write_varint(target, len(content))
        target += content
