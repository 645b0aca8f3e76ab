# Compaction: which offset is the latest of a key, and batches without the records that aren't;
# part of _native.pyx, which includes it. All big work runs without the GIL.

cdef enum:
    TRANSACTIONAL_FLAG = 0x10
    CONTROL_FLAG = 0x20
    DELETE_HORIZON_FLAG = 0x40
    # A varint has at most 10 bytes, and a record that grows may need one more for its length.
    MOST_GROWTH_BYTES = 12


cdef struct Digest:
    uint64_t low
    uint64_t high


# 16 bytes of a key's digest; the offset plus one, so that zeroed memory is an empty table.
cdef struct Slot:
    uint64_t low
    uint64_t high
    uint64_t offset_plus_one


cdef inline uint64_t _rotate(uint64_t number, int count) noexcept nogil:
    return (number << count) | (number >> (64 - count))


cdef inline void _sip_round(uint64_t* v) noexcept nogil:
    v[0] += v[1]
    v[1] = _rotate(v[1], 13) ^ v[0]
    v[0] = _rotate(v[0], 32)
    v[2] += v[3]
    v[3] = _rotate(v[3], 16) ^ v[2]
    v[0] += v[3]
    v[3] = _rotate(v[3], 21) ^ v[0]
    v[2] += v[1]
    v[1] = _rotate(v[1], 17) ^ v[2]
    v[2] = _rotate(v[2], 32)


cdef Digest _digest(const uint8_t* data, Py_ssize_t size, const uint64_t* seed) noexcept nogil:
    """SipHash-2-4 of 128 bits: with a secret seed nobody can make two keys collide."""
    cdef uint64_t[4] v
    cdef uint64_t word
    cdef Digest digest
    cdef Py_ssize_t whole = size - size % 8, at
    cdef int each
    v[0] = seed[0] ^ <uint64_t>0x736F6D6570736575
    v[1] = seed[1] ^ <uint64_t>0x646F72616E646F6D ^ 0xEE
    v[2] = seed[0] ^ <uint64_t>0x6C7967656E657261
    v[3] = seed[1] ^ <uint64_t>0x7465646279746573
    for at in range(0, whole, 8):
        memcpy(&word, data + at, 8)
        v[3] ^= word
        _sip_round(v)
        _sip_round(v)
        v[0] ^= word
    word = <uint64_t>size << 56
    for at in range(whole, size):
        word |= <uint64_t>data[at] << (8 * (at - whole))
    v[3] ^= word
    _sip_round(v)
    _sip_round(v)
    v[0] ^= word
    v[2] ^= 0xEE
    for each in range(4):
        _sip_round(v)
    digest.low = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= 0xDD
    for each in range(4):
        _sip_round(v)
    digest.high = v[0] ^ v[1] ^ v[2] ^ v[3]
    return digest


cdef class OffsetMap:
    cdef Slot* _table
    cdef size_t _slots, _max_slots, _grow_at
    cdef uint64_t[2] _seed
    cdef readonly size_t count, capacity

    def __cinit__(self, Py_ssize_t memory_bytes, double load_factor, bytes seed):
        cdef size_t first = max(memory_bytes // <Py_ssize_t>sizeof(Slot), 0)
        cdef int doublings = 0
        # Small at first: pages that are never touched cost nothing, and most logs have few keys.
        while first > 1024:
            first >>= 1
            doublings += 1
        self._max_slots = first << doublings
        self.capacity = <size_t>(self._max_slots * load_factor)
        if len(seed) != 16:
            raise ValueError("the seed has 16 bytes")
        if self.capacity < 1:
            raise ValueError(f"{memory_bytes} bytes hold no key")
        if self.capacity >= self._max_slots:
            self.capacity = self._max_slots - 1
        memcpy(self._seed, PyBytes_AS_STRING(seed), 16)
        self._allocate()

    cdef int _allocate(self) except -1:
        self._table = <Slot*>PyMem_RawCalloc(self._max_slots, sizeof(Slot))
        if self._table == NULL:
            raise MemoryError
        self._slots = self._max_slots
        while self._slots > 1024:
            self._slots >>= 1
        self.count = 0
        self._set_limit()
        return 0

    cdef void _set_limit(self) noexcept nogil:
        # Fast while there is room to grow; only the last size is filled to the load factor.
        self._grow_at = self._slots // 2 if self._slots < self._max_slots else self.capacity

    def __dealloc__(self):
        PyMem_RawFree(self._table)

    def clear(self):
        PyMem_RawFree(self._table)
        self._table = NULL
        self._allocate()

    def put(self, const uint8_t[::1] key, int64_t offset):
        cdef const uint8_t* data = &key[0] if key.shape[0] else NULL
        return self._put(data, key.shape[0], offset)

    def get(self, const uint8_t[::1] key):
        cdef const uint8_t* data = &key[0] if key.shape[0] else NULL
        return self._get(data, key.shape[0])

    cdef inline Slot* _find(self, Digest digest) noexcept nogil:
        cdef size_t at = digest.low % self._slots
        cdef Slot* slot = self._table + at
        while slot.offset_plus_one and (slot.low != digest.low or slot.high != digest.high):
            at += 1
            if at == self._slots:
                at = 0
            slot = self._table + at
        return slot

    cdef bint _put(self, const uint8_t* key, Py_ssize_t size, int64_t offset) noexcept nogil:
        cdef Digest digest = _digest(key, size, self._seed)
        cdef Slot* slot = self._find(digest)
        if not slot.offset_plus_one:
            if self.count >= self._grow_at:
                if self._slots == self._max_slots:
                    return False
                self._grow()
                slot = self._find(digest)
            slot.low = digest.low
            slot.high = digest.high
            self.count += 1
        slot.offset_plus_one = <uint64_t>offset + 1
        return True

    cdef int64_t _get(self, const uint8_t* key, Py_ssize_t size) noexcept nogil:
        return <int64_t>self._find(_digest(key, size, self._seed)).offset_plus_one - 1

    cdef void _grow(self) noexcept nogil:
        """Double the table where it is, so that memory never exceeds its limit.

        With twice the slots an entry's home is the old one or that plus the old number of slots.
        Taken in their order from an empty slot on, entries find a place at or before their own,
        or in the new half.
        """
        cdef size_t old_slots = self._slots, start = 0, number
        cdef Slot moved
        cdef Slot* slot
        cdef Digest digest
        while self._table[start].offset_plus_one:
            start += 1
        self._slots = old_slots * 2
        self._set_limit()
        for number in range(1, old_slots):
            slot = self._table + (start + number) % old_slots
            if slot.offset_plus_one:
                moved = slot[0]
                slot.offset_plus_one = 0
                digest.low = moved.low
                digest.high = moved.high
                slot = self._find(digest)
                slot[0] = moved


# --- what is indexed ---

cdef enum:
    FULL = -1


cdef int _index(
    OffsetMap offset_map, const uint8_t* position, const uint8_t* end, const Header* header,
    int64_t start_offset, int32_t* index,
) noexcept nogil:
    """Note the offset of every key; OK, FULL or why a record can't be read."""
    cdef Fields fields
    cdef int64_t offset
    cdef int reason
    if header.record_count < 0:
        index[0] = 0
        return RECORD_COUNT
    for index[0] in range(header.record_count):
        reason = _read_fields(position, end, &fields)
        if reason != OK:
            return reason
        offset = header.base_offset + _zigzag32(fields.raw_offset_delta)
        if fields.key_size >= 0 and offset >= start_offset:
            if not offset_map._put(fields.key, fields.key_size, offset):
                return FULL
        position = fields.end
    return OK if position == end else BATCH_GOES_ON


def index_records(
    OffsetMap offset_map, buffer, Py_ssize_t position, Py_ssize_t end, header, int64_t start_offset
):
    cdef Header fields
    cdef Py_buffer view
    cdef const uint8_t* start
    cdef int32_t index = 0
    cdef int reason
    _c_header(header, &fields)
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        _check_range(&view, position, end)
        start = <const uint8_t*>view.buf
        with nogil:
            reason = _index(
                offset_map, start + position, start + end, &fields, start_offset, &index
            )
    finally:
        PyBuffer_Release(&view)
    if reason > OK:
        raise invalid_record(reason, index)
    return reason == OK


cdef Py_ssize_t _plain_batch(
    const uint8_t* start, Py_ssize_t available_bytes, Header* header
) noexcept nogil:
    """The size of an undamaged batch that needs no special care; 0 for any other."""
    cdef Py_ssize_t size_bytes
    if not _HAS_FAST_CRC or available_bytes < _HEADER_SIZE_BYTES or start[16] != MAGIC:
        return 0
    _load_header(start, header)
    size_bytes = <Py_ssize_t>header.batch_length_bytes + _LENGTH_OVERHEAD_BYTES
    if size_bytes < _HEADER_SIZE_BYTES or size_bytes > available_bytes:
        return 0
    if header.attributes & (CODEC_MASK | TRANSACTIONAL_FLAG | CONTROL_FLAG):
        return 0
    if header.last_offset_delta < 0 or header.crc != ottla_crc32c(
        0, start + _ATTRIBUTES_POSITION, size_bytes - _ATTRIBUTES_POSITION
    ):
        return 0
    return size_bytes


def index_batches(OffsetMap offset_map, buffer, Py_ssize_t position, int64_t start_offset):
    cdef Header header
    cdef Py_buffer view
    cdef const uint8_t* start
    cdef Py_ssize_t size_bytes
    cdef int64_t last_offset = -1
    cdef int32_t index = 0
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        _check_range(&view, position, view.len)
        with nogil:
            while True:
                start = <const uint8_t*>view.buf + position
                size_bytes = _plain_batch(start, view.len - position, &header)
                if size_bytes == 0 or _index(
                    offset_map, start + _HEADER_SIZE_BYTES, start + size_bytes, &header,
                    start_offset, &index,
                ) != OK:
                    break
                last_offset = header.base_offset + header.last_offset_delta
                position += size_bytes
    finally:
        PyBuffer_Release(&view)
    return position, last_offset


# --- what is kept ---

cdef struct Selection:
    int reason
    int32_t index  # of the record that can't be read
    int32_t count
    bint has_tombstone
    int64_t max_timestamp_ms


cdef void _select(
    OffsetMap offset_map, const uint8_t* position, const uint8_t* end, const Header* header,
    bint drops_tombstones, uint8_t* keeps, Selection* selection,
) noexcept nogil:
    """Decide for every record whether it is its key's latest, and not a tombstone that may go."""
    cdef Fields fields
    cdef int32_t index
    cdef int64_t timestamp_ms
    selection.count = 0
    selection.has_tombstone = False
    selection.max_timestamp_ms = NO_TIMESTAMP_MS
    for index in range(header.record_count):
        selection.index = index
        selection.reason = _read_fields(position, end, &fields)
        if selection.reason != OK:
            return
        position = fields.end
        keeps[index] = fields.key_size >= 0 and not (drops_tombstones and fields.value_size < 0)
        if keeps[index]:
            keeps[index] = (
                header.base_offset + _zigzag32(fields.raw_offset_delta)
                >= offset_map._get(fields.key, fields.key_size)
            )
        if keeps[index]:
            selection.count += 1
            if fields.value_size < 0:
                selection.has_tombstone = True
            timestamp_ms = _timestamp_ms(header, fields.raw_timestamp_delta_ms)
            if timestamp_ms > selection.max_timestamp_ms:
                selection.max_timestamp_ms = timestamp_ms
    selection.reason = OK if position == end else BATCH_GOES_ON
    if header.attributes & LOG_APPEND_TIME_FLAG:
        selection.max_timestamp_ms = header.max_timestamp_ms


cdef Py_ssize_t _copy_kept(
    const uint8_t* position, const Header* header, const uint8_t* keeps, int64_t base_timestamp_ms,
    uint8_t* out,
) noexcept nogil:
    """Copy what `_select` kept, as it is but for the timestamps' new base; the size."""
    cdef uint8_t* at = out
    cdef const uint8_t* body
    cdef const uint8_t* record_end
    cdef int32_t index, length = 0
    cdef uint64_t raw = 0
    cdef int64_t delta
    cdef Py_ssize_t rest
    for index in range(header.record_count):
        body = position
        # Read by `_select` already: the limits are only there to be formal.
        _varint32(&body, position + 5, &length)
        record_end = body + length
        if not keeps[index]:
            pass
        elif base_timestamp_ms == header.base_timestamp_ms:
            memcpy(at, position, record_end - position)
            at += record_end - position
        else:
            position = body + 1
            _unsigned(&position, record_end, 10, &raw)
            delta = <int64_t>(
                <uint64_t>_timestamp_ms(header, raw) - <uint64_t>base_timestamp_ms
            )
            rest = record_end - position
            at = _put_varint(at, 1 + _varint_size(delta) + rest)
            at[0] = body[0]
            at = _put_varint(at + 1, delta)
            memcpy(at, position, rest)
            at += rest
        position = record_end
    return at - out


cdef inline int64_t _wrapping_sum(int64_t a, int64_t b) noexcept nogil:
    return <int64_t>(<uint64_t>a + <uint64_t>b)


cdef inline bint _horizon_passed(const Header* header, int64_t now_ms) noexcept nogil:
    return header.attributes & DELETE_HORIZON_FLAG and header.base_timestamp_ms <= now_ms


cdef inline bint _needs_horizon(const Header* header, const Selection* selection) noexcept nogil:
    return selection.has_tombstone and not header.attributes & DELETE_HORIZON_FLAG


def filter_records(
    OffsetMap offset_map, buffer, Py_ssize_t position, Py_ssize_t end, header, int64_t now_ms,
    int64_t delete_retention_ms,
):
    cdef Header fields
    cdef Selection selection
    cdef Py_buffer view
    cdef const uint8_t* start
    cdef uint8_t* keeps
    cdef uint8_t* out = NULL
    cdef int64_t base_timestamp_ms
    cdef Py_ssize_t size = 0
    _c_header(header, &fields)
    if fields.record_count < 0:
        raise invalid_record(RECORD_COUNT, 0)
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        _check_range(&view, position, end)
        start = <const uint8_t*>view.buf
        if fields.record_count > end - position:
            raise invalid_record(RECORD_ENDS_EARLY, 0)
        keeps = <uint8_t*>PyMem_RawMalloc(fields.record_count + 1)
        try:
            if keeps == NULL:
                raise MemoryError
            with nogil:
                _select(
                    offset_map, start + position, start + end, &fields,
                    _horizon_passed(&fields, now_ms), keeps, &selection,
                )
            if selection.reason != OK:
                raise invalid_record(selection.reason, selection.index)
            base_timestamp_ms = fields.base_timestamp_ms
            horizon_ms = None
            if _needs_horizon(&fields, &selection):
                base_timestamp_ms = _wrapping_sum(now_ms, delete_retention_ms)
                horizon_ms = base_timestamp_ms
            elif selection.count == fields.record_count:
                return None
            out = <uint8_t*>PyMem_RawMalloc(
                end - position + <Py_ssize_t>selection.count * MOST_GROWTH_BYTES + 1
            )
            if out == NULL:
                raise MemoryError
            with nogil:
                size = _copy_kept(start + position, &fields, keeps, base_timestamp_ms, out)
            return (
                selection.count, PyBytes_FromStringAndSize(<const char*>out, size),
                horizon_ms, selection.max_timestamp_ms,
            )
        finally:
            PyMem_RawFree(keeps)
            PyMem_RawFree(out)
    finally:
        PyBuffer_Release(&view)


cdef void _finish_batch(
    uint8_t* batch, Py_ssize_t size_bytes, int attributes, int64_t base_timestamp_ms,
    int64_t max_timestamp_ms, int32_t record_count,
) noexcept nogil:
    """Give a copied header the fields that compaction changes."""
    _store32(batch + 8, <uint32_t>(size_bytes - _LENGTH_OVERHEAD_BYTES))
    batch[21] = <uint8_t>(attributes >> 8)
    batch[22] = <uint8_t>attributes
    _store64(batch + 27, <uint64_t>base_timestamp_ms)
    _store64(batch + 35, <uint64_t>max_timestamp_ms)
    _store32(batch + 57, <uint32_t>record_count)
    _store32(
        batch + 17,
        ottla_crc32c(0, batch + _ATTRIBUTES_POSITION, size_bytes - _ATTRIBUTES_POSITION),
    )


cdef bint _contains(const int64_t* numbers, Py_ssize_t count, int64_t number) noexcept nogil:
    cdef Py_ssize_t low = 0, high = count, middle
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] < number:
            low = middle + 1
        else:
            high = middle
    return low < count and numbers[low] == number


cdef struct Round:
    int64_t latest_offset
    int64_t now_ms
    int64_t delete_retention_ms
    const int64_t* kept_ends
    Py_ssize_t kept_ends_count
    uint8_t* keeps
    Py_ssize_t keeps_capacity
    uint8_t* out
    Py_ssize_t out_size
    Py_ssize_t out_capacity


cdef bint _reserve(uint8_t** data, Py_ssize_t* capacity, Py_ssize_t needed) noexcept nogil:
    cdef uint8_t* grown
    if needed <= capacity[0]:
        return True
    needed += needed // 2
    grown = <uint8_t*>PyMem_RawRealloc(data[0], needed)
    if grown == NULL:
        return False
    data[0] = grown
    capacity[0] = needed
    return True


cdef bint _clean_batch(
    OffsetMap offset_map, const uint8_t* batch, Py_ssize_t size_bytes, const Header* header,
    Round* rules,
) noexcept nogil:
    """Append to the output what stays of a plain batch; False: the batch can't be read."""
    cdef Selection selection
    cdef const uint8_t* records = batch + _HEADER_SIZE_BYTES
    cdef int64_t base_timestamp_ms = header.base_timestamp_ms
    cdef int attributes = header.attributes
    cdef uint8_t* out
    cdef Py_ssize_t kept_bytes
    if header.record_count < 0 or header.record_count > size_bytes or not _reserve(
        &rules.keeps, &rules.keeps_capacity, header.record_count + 1
    ) or not _reserve(
        &rules.out, &rules.out_capacity,
        rules.out_size + size_bytes + <Py_ssize_t>header.record_count * MOST_GROWTH_BYTES,
    ):
        return False
    out = rules.out + rules.out_size
    if header.base_offset > rules.latest_offset:
        memcpy(out, batch, size_bytes)
        rules.out_size += size_bytes
        return True
    _select(
        offset_map, records, batch + size_bytes, header, _horizon_passed(header, rules.now_ms),
        rules.keeps, &selection,
    )
    if selection.reason != OK:
        return False
    if selection.count == 0:
        if _contains(
            rules.kept_ends, rules.kept_ends_count, header.base_offset + header.last_offset_delta
        ):
            memcpy(out, batch, _HEADER_SIZE_BYTES)
            _finish_batch(
                out, _HEADER_SIZE_BYTES, attributes & LOG_APPEND_TIME_FLAG, NO_TIMESTAMP_MS,
                header.max_timestamp_ms, 0,
            )
            rules.out_size += _HEADER_SIZE_BYTES
        return True
    if _needs_horizon(header, &selection):
        base_timestamp_ms = _wrapping_sum(rules.now_ms, rules.delete_retention_ms)
        attributes |= DELETE_HORIZON_FLAG
    elif selection.count == header.record_count:
        memcpy(out, batch, size_bytes)
        rules.out_size += size_bytes
        return True
    memcpy(out, batch, _HEADER_SIZE_BYTES)
    kept_bytes = _copy_kept(
        records, header, rules.keeps, base_timestamp_ms, out + _HEADER_SIZE_BYTES
    )
    _finish_batch(
        out, _HEADER_SIZE_BYTES + kept_bytes, attributes, base_timestamp_ms,
        selection.max_timestamp_ms, selection.count,
    )
    rules.out_size += _HEADER_SIZE_BYTES + kept_bytes
    return True


def clean_batches(
    OffsetMap offset_map, buffer, Py_ssize_t position, int64_t latest_offset, int64_t now_ms,
    int64_t delete_retention_ms, const int64_t[::1] kept_ends,
):
    cdef Header header
    cdef Round rules
    cdef Py_buffer view
    cdef const uint8_t* start
    cdef Py_ssize_t size_bytes
    memset(&rules, 0, sizeof(Round))
    rules.latest_offset = latest_offset
    rules.now_ms = now_ms
    rules.delete_retention_ms = delete_retention_ms
    rules.kept_ends_count = kept_ends.shape[0]
    rules.kept_ends = &kept_ends[0] if kept_ends.shape[0] else NULL
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        _check_range(&view, position, view.len)
        with nogil:
            while True:
                start = <const uint8_t*>view.buf + position
                size_bytes = _plain_batch(start, view.len - position, &header)
                if size_bytes == 0 or not _clean_batch(
                    offset_map, start, size_bytes, &header, &rules
                ):
                    break
                position += size_bytes
        return position, PyBytes_FromStringAndSize(<const char*>rules.out, rules.out_size)
    finally:
        PyMem_RawFree(rules.keeps)
        PyMem_RawFree(rules.out)
        PyBuffer_Release(&view)
