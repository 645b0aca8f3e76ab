# Numbers, constants and the batch header of Kafka's format; included by the accelerators of this
# room (_native.pyx) and of the client's.

cdef enum:
    _HEADER_SIZE_BYTES = 61
    _LENGTH_OVERHEAD_BYTES = 12
    _ATTRIBUTES_POSITION = 21

cdef enum:
    OK = 0
    CODEC_MASK = 0x07
    LOG_APPEND_TIME_FLAG = 0x08
    MAGIC = 2
    NO_TIMESTAMP_MS = -1

# The reasons of ``rejection``, as constants: a reason that could be OK would cost checks.
cdef enum:
    RECORD_LENGTH = 1
    RECORD_ENDS_EARLY = 2
    VARINT = 3
    OFFSET_DELTA = 4
    KEY_SIZE = 5
    VALUE_SIZE = 6
    HEADER_COUNT = 7
    HEADER_KEY_SIZE = 8
    HEADER_VALUE_SIZE = 9
    RECORD_GOES_ON = 10
    BATCH_GOES_ON = 11
    RECORD_COUNT = 12


# --- big-endian numbers and the batch header ---

cdef struct Header:
    int64_t base_offset
    int32_t batch_length_bytes
    int32_t partition_leader_epoch
    uint32_t crc
    int16_t attributes
    int32_t last_offset_delta
    int64_t base_timestamp_ms
    int64_t max_timestamp_ms
    int64_t producer_id
    int16_t producer_epoch
    int32_t base_sequence
    int32_t record_count


cdef inline uint32_t _load32(const uint8_t* at) noexcept nogil:
    return (
        (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | <uint32_t>at[3]
    )


cdef inline uint64_t _load64(const uint8_t* at) noexcept nogil:
    return (<uint64_t>_load32(at) << 32) | _load32(at + 4)


cdef inline int16_t _load16(const uint8_t* at) noexcept nogil:
    return <int16_t>((<uint32_t>at[0] << 8) | at[1])


cdef inline void _store32(uint8_t* at, uint32_t value) noexcept nogil:
    at[0] = <uint8_t>(value >> 24)
    at[1] = <uint8_t>(value >> 16)
    at[2] = <uint8_t>(value >> 8)
    at[3] = <uint8_t>value


cdef inline void _store64(uint8_t* at, uint64_t value) noexcept nogil:
    _store32(at, <uint32_t>(value >> 32))
    _store32(at + 4, <uint32_t>value)


cdef void _load_header(const uint8_t* at, Header* header) noexcept nogil:
    header.base_offset = <int64_t>_load64(at)
    header.batch_length_bytes = <int32_t>_load32(at + 8)
    header.partition_leader_epoch = <int32_t>_load32(at + 12)
    header.crc = _load32(at + 17)
    header.attributes = _load16(at + 21)
    header.last_offset_delta = <int32_t>_load32(at + 23)
    header.base_timestamp_ms = <int64_t>_load64(at + 27)
    header.max_timestamp_ms = <int64_t>_load64(at + 35)
    header.producer_id = <int64_t>_load64(at + 43)
    header.producer_epoch = _load16(at + 51)
    header.base_sequence = <int32_t>_load32(at + 53)
    header.record_count = <int32_t>_load32(at + 57)


# --- varints, written ---

cdef inline int _varint_size(int64_t number) noexcept nogil:
    cdef uint64_t raw = (<uint64_t>number << 1) ^ <uint64_t>(number >> 63)
    cdef int size = 1
    while raw > 0x7F:
        raw >>= 7
        size += 1
    return size


cdef inline uint8_t* _put_varint(uint8_t* at, int64_t number) noexcept nogil:
    cdef uint64_t raw = (<uint64_t>number << 1) ^ <uint64_t>(number >> 63)
    while raw > 0x7F:
        at[0] = <uint8_t>(raw | 0x80)
        at += 1
        raw >>= 7
    at[0] = <uint8_t>raw
    return at + 1


cdef inline uint8_t* _put_bytes(uint8_t* at, const void* data, Py_ssize_t size) noexcept nogil:
    """Size and content; size -1 is null."""
    at = _put_varint(at, size)
    if size > 0:
        memcpy(at, data, size)
        at += size
    return at


cdef inline Py_ssize_t _sized(Py_ssize_t size) noexcept nogil:
    return _varint_size(size) + (size if size > 0 else 0)
