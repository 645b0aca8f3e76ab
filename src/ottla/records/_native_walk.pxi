# Reading records without trusting a byte of them; part of _native.pyx, which includes it.

cdef struct Fields:
    const uint8_t* end
    uint64_t raw_timestamp_delta_ms  # both deltas still zigzag-encoded
    uint32_t raw_offset_delta
    int32_t key_size
    int32_t value_size
    const uint8_t* key
    const uint8_t* value
    const uint8_t* header_count


cdef struct Walk:
    int reason
    int32_t index
    int64_t min_timestamp_ms
    int64_t max_timestamp_ms
    int32_t first_null_key


cdef int _unsigned(
    const uint8_t** at, const uint8_t* end, int max_bytes, uint64_t* out
) noexcept nogil:
    """Read an unsigned varint, or find out why not."""
    cdef const uint8_t* position = at[0]
    cdef uint64_t number = 0
    cdef uint8_t byte
    cdef int shift = 0, count
    for count in range(max_bytes):
        if position >= end:
            return RECORD_ENDS_EARLY
        byte = position[0]
        number |= <uint64_t>(byte & 0x7F) << shift
        shift += 7
        position += 1
        if byte < 0x80:
            at[0] = position
            out[0] = number
            return OK
    return VARINT


cdef inline int64_t _zigzag64(uint64_t raw) noexcept nogil:
    return <int64_t>((raw >> 1) ^ (0 - (raw & 1)))


cdef inline int32_t _zigzag32(uint32_t raw) noexcept nogil:
    return <int32_t>((raw >> 1) ^ (0 - (raw & 1)))


cdef inline int _varint32(
    const uint8_t** at, const uint8_t* end, int32_t* out
) noexcept nogil:
    cdef uint64_t raw
    cdef int reason = _unsigned(at, end, 5, &raw)
    if reason == OK:
        out[0] = _zigzag32(<uint32_t>raw)
    return reason


cdef inline int _read_size(
    const uint8_t** at, const uint8_t* end, int32_t minimum, int bad_size, int32_t* size
) noexcept nogil:
    cdef int reason = _varint32(at, end, size)
    if reason != OK:
        return reason
    if size[0] < minimum or size[0] > end - at[0]:
        return bad_size
    return OK


# At least the attributes and four varints of 3 bytes, which is all that is read before a check.
cdef enum:
    FAST_MARGIN_BYTES = 16


cdef inline bint _short_varint(const uint8_t** at, uint32_t* raw) noexcept nogil:
    """Read an unsigned varint of at most 3 bytes, all of which the caller knows to be there."""
    cdef const uint8_t* position = at[0]
    cdef uint32_t first = position[0], second, third
    if first < 0x80:
        raw[0] = first
        at[0] = position + 1
        return True
    second = position[1]
    if second < 0x80:
        raw[0] = first - 0x80 + (second << 7)
        at[0] = position + 2
        return True
    third = position[2]
    raw[0] = first - 0x80 + ((second - 0x80) << 7) + (third << 14)
    at[0] = position + 3
    return third < 0x80


cdef inline bint _read_fields_fast(
    const uint8_t* position, const uint8_t* end, Fields* fields
) noexcept nogil:
    """Read an ordinary record with few checks; False means: look exactly.

    Ordinary is a record with short varints and enough of the buffer after it that none of them can
    reach beyond the buffer: sizes are checked before they are followed, the record's end at last.
    """
    cdef uint32_t length = 0, timestamp = 0, offset = 0, key = 0, value = 0
    cdef const uint8_t* record_end
    if end - position < FAST_MARGIN_BYTES or not _short_varint(&position, &length) or length & 1:
        return False
    length >>= 1
    if <Py_ssize_t>length + FAST_MARGIN_BYTES > end - position:
        return False
    record_end = position + length
    position += 1  # the record's own attributes are unused
    if not (
        _short_varint(&position, &timestamp)
        and _short_varint(&position, &offset)
        and _short_varint(&position, &key)
    ):
        return False
    fields.key = position
    if key == 1:
        fields.key_size = -1
    else:
        fields.key_size = key >> 1
        position += key >> 1
        if key & 1 or position > record_end:
            return False
    if not _short_varint(&position, &value):
        return False
    fields.value = position
    if value == 1:
        fields.value_size = -1
    else:
        fields.value_size = value >> 1
        position += value >> 1
        if value & 1:
            return False
    fields.raw_timestamp_delta_ms = timestamp
    fields.raw_offset_delta = offset
    fields.header_count = position
    fields.end = record_end
    return position < record_end


cdef inline int _read_fields(
    const uint8_t* position, const uint8_t* end, Fields* fields
) noexcept nogil:
    """Read one record up to its headers."""
    if _read_fields_fast(position, end, fields):
        return OK
    return _read_fields_exactly(position, end, fields)


cdef int _read_fields_exactly(
    const uint8_t* position, const uint8_t* end, Fields* fields
) noexcept nogil:
    cdef int32_t length = 0
    cdef uint64_t raw_offset_delta
    cdef int reason = _varint32(&position, end, &length)
    if reason != OK:
        return reason
    if length < 0 or length > end - position:
        return RECORD_LENGTH
    cdef const uint8_t* record_end = position + length
    fields.end = record_end
    if length == 0:
        return RECORD_ENDS_EARLY
    position += 1  # the record's own attributes are unused
    reason = _unsigned(&position, record_end, 10, &fields.raw_timestamp_delta_ms)
    if reason != OK:
        return reason
    reason = _unsigned(&position, record_end, 5, &raw_offset_delta)
    if reason != OK:
        return reason
    fields.raw_offset_delta = <uint32_t>raw_offset_delta
    reason = _read_size(&position, record_end, -1, KEY_SIZE, &fields.key_size)
    if reason != OK:
        return reason
    fields.key = position
    if fields.key_size > 0:
        position += fields.key_size
    reason = _read_size(&position, record_end, -1, VALUE_SIZE, &fields.value_size)
    if reason != OK:
        return reason
    fields.value = position
    if fields.value_size > 0:
        position += fields.value_size
    fields.header_count = position
    return OK


cdef inline int _read_header_count(
    const uint8_t** at, const uint8_t* end, int32_t* count
) noexcept nogil:
    cdef int reason = _varint32(at, end, count)
    if reason != OK:
        return reason
    if count[0] < 0 or count[0] > end - at[0]:
        return HEADER_COUNT
    return OK


cdef int _skip_headers(const uint8_t* position, const uint8_t* end) noexcept nogil:
    cdef int32_t count = 0, size = 0, index
    cdef int reason = _read_header_count(&position, end, &count)
    if reason != OK:
        return reason
    for index in range(count):
        reason = _read_size(&position, end, 0, HEADER_KEY_SIZE, &size)
        if reason != OK:
            return reason
        position += size
        reason = _read_size(&position, end, -1, HEADER_VALUE_SIZE, &size)
        if reason != OK:
            return reason
        if size > 0:
            position += size
    return OK if position == end else RECORD_GOES_ON


cdef inline int64_t _timestamp_ms(const Header* header, uint64_t raw_delta_ms) noexcept nogil:
    # Unsigned, because a hostile delta may overflow: it wraps, as Java's longs do.
    return <int64_t>(<uint64_t>header.base_timestamp_ms + <uint64_t>_zigzag64(raw_delta_ms))


cdef void _walk(
    const uint8_t* position, const uint8_t* end, const Header* header, Walk* walk
) noexcept nogil:
    cdef Fields fields, exact
    cdef int64_t timestamp_ms, low = INT64_MAX, high = NO_TIMESTAMP_MS
    cdef uint64_t raw_timestamp_delta_ms = 0
    cdef int32_t index, first_null_key = -1
    cdef int reason
    walk.index = 0
    if header.record_count < 0:
        walk.reason = RECORD_COUNT
        return
    for index in range(header.record_count):
        if not _read_fields_fast(position, end, &fields):
            reason = _read_fields_exactly(position, end, &exact)
            if reason != OK:
                walk.reason = reason
                walk.index = index
                return
            # A struct whose address is never taken can live in registers.
            fields = exact
        if fields.raw_offset_delta != <uint32_t>index << 1:
            walk.reason = OFFSET_DELTA
            walk.index = index
            return
        if fields.header_count + 1 != fields.end or fields.header_count[0] != 0:
            reason = _skip_headers(fields.header_count, fields.end)
            if reason != OK:
                walk.reason = reason
                walk.index = index
                return
        if fields.key_size < 0 and first_null_key < 0:
            first_null_key = index
        if fields.raw_timestamp_delta_ms != raw_timestamp_delta_ms or index == 0:
            raw_timestamp_delta_ms = fields.raw_timestamp_delta_ms
            timestamp_ms = _timestamp_ms(header, raw_timestamp_delta_ms)
            if timestamp_ms > high:
                high = timestamp_ms
            if timestamp_ms < low and timestamp_ms != NO_TIMESTAMP_MS:
                low = timestamp_ms
        position = fields.end
    walk.first_null_key = first_null_key
    if position != end:
        walk.reason = BATCH_GOES_ON
        walk.index = header.record_count - 1 if header.record_count > 0 else 0
        return
    walk.reason = OK
    if header.attributes & LOG_APPEND_TIME_FLAG:
        low = high = header.max_timestamp_ms
    walk.min_timestamp_ms = low if low != INT64_MAX else NO_TIMESTAMP_MS
    walk.max_timestamp_ms = high
