# Which partition a key belongs to; part of _native.pyx, which includes it.

cdef enum:
    RANDOM = 0
    CONSISTENT = 1
    CONSISTENT_RANDOM = 2
    MURMUR2 = 3
    MURMUR2_RANDOM = 4
    FNV1A = 5
    FNV1A_RANDOM = 6

cdef uint32_t[256] _CRC32_TABLE


cdef void _prepare_crc32() noexcept:
    cdef uint32_t byte, state
    cdef int bit
    for byte in range(256):
        state = byte
        for bit in range(8):
            state = (state >> 1) ^ (0xEDB88320 if state & 1 else 0)
        _CRC32_TABLE[byte] = state


_prepare_crc32()


cdef inline uint32_t _crc32(const uint8_t* key, Py_ssize_t size) noexcept nogil:
    # Keys are short: setting up a faster checksum would cost more than it saves.
    cdef uint32_t state = 0xFFFFFFFF
    cdef Py_ssize_t index
    for index in range(size):
        state = (state >> 8) ^ _CRC32_TABLE[(state ^ key[index]) & 0xFF]
    return ~state


cdef inline uint32_t _murmur2(const uint8_t* key, Py_ssize_t size) noexcept nogil:
    cdef uint32_t multiplier = 0x5BD1E995
    cdef uint32_t state = <uint32_t>0x9747B28C ^ <uint32_t>size
    cdef uint32_t word
    cdef Py_ssize_t left = size
    while left >= 4:
        word = (
            <uint32_t>key[0] | <uint32_t>key[1] << 8 | <uint32_t>key[2] << 16
            | <uint32_t>key[3] << 24
        ) * multiplier
        word = (word ^ word >> 24) * multiplier
        state = state * multiplier ^ word
        key += 4
        left -= 4
    if left == 3:
        state ^= <uint32_t>key[2] << 16
    if left >= 2:
        state ^= <uint32_t>key[1] << 8
    if left >= 1:
        state = (state ^ key[0]) * multiplier
    state = (state ^ state >> 13) * multiplier
    return state ^ state >> 15


cdef inline uint32_t _fnv1a(const uint8_t* key, Py_ssize_t size) noexcept nogil:
    cdef uint32_t state = 0x811C9DC5
    cdef Py_ssize_t index
    for index in range(size):
        state = (state ^ key[index]) * 0x01000193
    # The absolute value, as Sarama's reference partitioner takes it.
    return 0 - state if state & <uint32_t>0x80000000 else state


cdef inline uint32_t _hashed(
    int partitioner, const uint8_t* key, Py_ssize_t size
) noexcept nogil:
    if partitioner == CONSISTENT or partitioner == CONSISTENT_RANDOM:
        return _crc32(key, size)
    if partitioner == MURMUR2 or partitioner == MURMUR2_RANDOM:
        return _murmur2(key, size) & 0x7FFFFFFF
    return _fnv1a(key, size)


cdef object _partition_of(int partitioner, bytes key, int32_t partition_count):
    if partition_count <= 0:
        raise ValueError(f"partition_count must be > 0, got {partition_count}")
    return (
        _hashed(partitioner, <const uint8_t*>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
        % <uint32_t>partition_count
    )


def murmur2(bytes key not None, int32_t partition_count, /):
    """The partition that Java's clients choose for a key."""
    return _partition_of(MURMUR2, key, partition_count)


def consistent(bytes key not None, int32_t partition_count, /):
    """The partition by the key's CRC-32, the default of this client."""
    return _partition_of(CONSISTENT, key, partition_count)


def fnv1a(bytes key not None, int32_t partition_count, /):
    """The partition by the key's FNV-1a hash, as Sarama chooses it."""
    return _partition_of(FNV1A, key, partition_count)
