# From fetched bytes to messages; part of _native.pyx, which includes it.

cdef enum:
    _MAGIC_POSITION = 16
    ABORT_MARKER = 0


cdef class _ReadableBatch:
    """A batch that is to be handed out: checked, decompressed, its records walked."""

    cdef object plain  # what the records were decompressed to, None when they weren't compressed
    cdef const uint8_t* position
    cdef const uint8_t* end
    cdef Header header
    cdef int64_t next_offset


cdef class MessageCursor:
    cdef readonly str topic
    cdef readonly int32_t partition
    cdef readonly int64_t position
    cdef readonly object error
    cdef readonly int64_t buffered_bytes
    cdef Py_buffer _view
    cdef bint _has_view, _is_scanned, _is_read_committed, _checks_crcs
    cdef Py_ssize_t _scanned_bytes, _max_decompressed_bytes
    cdef list _aborted  # (producer id, first offset) by offset, the nearest last
    cdef set _aborting  # producers in whose aborted transactions the scan stands
    cdef list _readable
    cdef _ReadableBatch _current
    cdef int32_t _left
    cdef int64_t _skipped_to

    def __init__(
        self,
        str topic not None,
        int32_t partition,
        buffer,
        int64_t position,
        *,
        aborted=(),
        bint is_read_committed=False,
        bint check_crcs=False,
        Py_ssize_t max_decompressed_bytes=512 * 1024 * 1024,
        int64_t prepared_bytes=64 * 1024 * 1024,
    ):
        if self._has_view:
            raise RuntimeError("a cursor is made once")
        PyObject_GetBuffer(buffer, &self._view, PyBUF_SIMPLE)
        self._has_view = True
        self.topic = topic
        self.partition = partition
        self.position = position
        self._skipped_to = position
        self._is_read_committed = is_read_committed
        self._checks_crcs = check_crcs
        self._max_decompressed_bytes = max_decompressed_bytes
        self._aborted = sorted(aborted, key=_first_offset, reverse=True)
        self._aborting = set()
        self._readable = []
        self.buffered_bytes = self._view.len
        while not self._is_scanned and self.buffered_bytes <= prepared_bytes:
            self._scan()

    def __dealloc__(self):
        if self._has_view:
            PyBuffer_Release(&self._view)

    def __iter__(self):
        return self

    def __next__(self):
        cdef Message message = self._next()
        if message is None:
            raise StopIteration
        return message

    def next(self):
        return self._next()

    def take(self, Py_ssize_t limit):
        cdef list messages = []
        cdef Message message
        while len(messages) < limit:
            message = self._next()
            if message is None:
                break
            messages.append(message)
        return messages

    # --- the application's thread ---

    cdef Message _next(self):
        cdef _ReadableBatch batch
        cdef Fields fields
        cdef int64_t offset
        cdef int reason
        while True:
            batch = self._current
            if batch is None or self._left <= 0:
                if not self._advance():
                    return None
                continue
            reason = _read_fields(batch.position, batch.end, &fields)
            if reason != OK:  # walked before: only if somebody changed the buffer since
                self._left = 0
                self._fail(invalid_record(reason, 0))
                return None
            self._left -= 1
            batch.position = fields.end
            offset = batch.header.base_offset + _zigzag32(fields.raw_offset_delta)
            if offset < self.position:
                continue
            self.position = offset + 1
            return self._message(batch, offset, &fields)

    cdef inline Message _message(self, _ReadableBatch batch, int64_t offset, Fields* fields):
        cdef Message message = Message.__new__(Message)
        message._topic = self.topic
        message._partition = self.partition
        message._offset = offset
        message._leader_epoch = batch.header.partition_leader_epoch
        message._key = _bytes(fields.key, fields.key_size)
        message._value = _bytes(fields.value, fields.value_size)
        if batch.header.attributes & LOG_APPEND_TIME_FLAG:
            message._timestamp_type = LOG_APPEND_TIME
            message._timestamp_ms = batch.header.max_timestamp_ms
        else:
            message._timestamp_ms = _timestamp_ms(&batch.header, fields.raw_timestamp_delta_ms)
            message._timestamp_type = CREATE_TIME
        if _has_headers(fields):
            message._headers = _header_list(fields)
        else:
            # Nothing in it can refer back to it: the collector needn't know it.
            PyObject_GC_UnTrack(<void*>message)
        return message

    cdef bint _advance(self) except -1:
        """Go on to the next readable batch; False at the end of what was fetched."""
        if self._current is not None:
            self.position = max(self.position, self._current.next_offset)
            self._current = None
        while not self._readable:
            if self._is_scanned:
                self.position = max(self.position, self._skipped_to)
                return False
            self._scan()
        self._current = self._readable.pop(0)
        self._left = self._current.header.record_count
        return True

    # --- the engine's thread, as far as prepared_bytes allow ---

    cdef int _scan(self) except -1:
        """Look at one more batch; what can't be read ends the cursor after all that can."""
        try:
            self._scan_batch()
        except RecordsError as error:
            self._fail(error)
        return 0

    cdef int _fail(self, object error) except -1:
        self.error = error
        self._is_scanned = True
        return 0

    cdef int _scan_batch(self) except -1:
        cdef const uint8_t* start = <const uint8_t*>self._view.buf + self._scanned_bytes
        cdef Py_ssize_t available = self._view.len - self._scanned_bytes
        cdef Py_ssize_t size_bytes
        cdef Header header
        cdef int64_t next_offset
        if available <= _MAGIC_POSITION:
            self._is_scanned = True
            return 0
        if start[_MAGIC_POSITION] != MAGIC:
            _raise_bad_header(start, available)
        if available < _HEADER_SIZE_BYTES:
            self._is_scanned = True
            return 0
        _load_header(start, &header)
        size_bytes = <Py_ssize_t>header.batch_length_bytes + _LENGTH_OVERHEAD_BYTES
        if size_bytes < _HEADER_SIZE_BYTES:
            _raise_bad_header(start, available)
        if size_bytes > available:
            self._is_scanned = True
            return 0
        if (
            header.base_offset < 0
            or header.last_offset_delta < 0
            or header.base_offset > INT64_MAX - header.last_offset_delta - 1
        ):
            raise CorruptBatch(
                f"Offsets from {header.base_offset}, {header.last_offset_delta} more"
            )
        next_offset = header.base_offset + header.last_offset_delta + 1
        self._scanned_bytes += size_bytes
        if next_offset > self._skipped_to:
            if self._checks_crcs:
                _check_crc(start, size_bytes, header.crc)
            self._add_batch(start, size_bytes, &header, next_offset)
            self._skipped_to = next_offset
        return 0

    cdef int _add_batch(
        self, const uint8_t* start, Py_ssize_t size_bytes, Header* header, int64_t next_offset
    ) except -1:
        cdef _ReadableBatch batch
        cdef Walk walk
        if self._is_skipped(header, next_offset - 1, start + _HEADER_SIZE_BYTES, start + size_bytes):
            return 0
        batch = _ReadableBatch.__new__(_ReadableBatch)
        batch.header = header[0]
        batch.next_offset = next_offset
        if header.record_count == 0:
            return 0
        batch.position = start + _HEADER_SIZE_BYTES
        batch.end = start + size_bytes
        if header.attributes & CODEC_MASK:
            self._decompress(batch)
        if batch.end - batch.position >= _RELEASE_GIL_BYTES:
            with nogil:
                _walk_with_gaps(batch.position, batch.end, header, &walk)
        else:
            _walk_with_gaps(batch.position, batch.end, header, &walk)
        if walk.reason != OK:
            raise invalid_record(walk.reason, walk.index)
        self._readable.append(batch)
        return 0

    cdef int _decompress(self, _ReadableBatch batch) except -1:
        from ottla.records.compression import Codec, decompress
        from ottla.records.errors import UnsupportedCompression

        cdef int codec = batch.header.attributes & CODEC_MASK
        if codec > 4:
            raise UnsupportedCompression(f"Unknown compression codec {codec}")
        compressed = PyMemoryView_FromMemory(
            <char*>batch.position, batch.end - batch.position, PyBUF_READ
        )
        plain = decompress(Codec(codec), compressed, self._max_decompressed_bytes)
        if type(plain) is not bytes:
            plain = bytes(plain)
        batch.plain = plain
        batch.position = <const uint8_t*>PyBytes_AS_STRING(plain)
        batch.end = batch.position + PyBytes_GET_SIZE(plain)
        self.buffered_bytes += PyBytes_GET_SIZE(plain)
        return 0

    cdef bint _is_skipped(
        self, Header* header, int64_t last_offset, const uint8_t* position, const uint8_t* end
    ) except -1:
        """Whether a batch holds nothing for the user: control records or an aborted transaction."""
        cdef bint is_control = header.attributes & CONTROL_FLAG
        if self._is_read_committed:
            while self._aborted and self._aborted[len(self._aborted) - 1][1] <= last_offset:
                self._aborting.add(self._aborted.pop()[0])
            if self._aborting and header.producer_id in self._aborting:
                if not is_control:
                    return header.attributes & TRANSACTIONAL_FLAG != 0
                if _is_abort_marker(header, position, end):
                    self._aborting.discard(header.producer_id)
        return is_control


def _first_offset(transaction):
    return transaction[1]


cdef bint _is_abort_marker(const Header* header, const uint8_t* position, const uint8_t* end):
    cdef Fields fields
    if header.record_count < 1 or header.attributes & CODEC_MASK:
        return False
    return (
        _read_fields(position, end, &fields) == OK
        and fields.key_size >= 4
        and _load16(fields.key + 2) == ABORT_MARKER
    )


cdef int _raise_bad_header(const uint8_t* start, Py_ssize_t available) except -1:
    cdef Py_ssize_t size = available if available < _HEADER_SIZE_BYTES else _HEADER_SIZE_BYTES
    read_header(PyBytes_FromStringAndSize(<const char*>start, size), 0)
    raise CorruptBatch("Invalid batch header")


cdef int _check_crc(const uint8_t* start, Py_ssize_t size_bytes, uint32_t stated) except -1:
    cdef uint32_t computed = _crc_of(
        start + _ATTRIBUTES_POSITION, size_bytes - _ATTRIBUTES_POSITION
    )
    if computed != stated:
        raise CorruptBatch(f"CRC-32C is {computed:#010x}, the batch says {stated:#010x}")
    return 0


cdef void _walk_with_gaps(
    const uint8_t* position, const uint8_t* end, const Header* header, Walk* walk
) noexcept nogil:
    """Check the structure of records whose offsets grow; compaction leaves gaps between them."""
    cdef Fields fields
    cdef int32_t offset_delta, last_offset_delta = -1
    walk.index = 0
    walk.reason = RECORD_COUNT
    if header.record_count < 0:
        return
    for walk.index in range(header.record_count):
        walk.reason = _read_fields(position, end, &fields)
        if walk.reason != OK:
            return
        offset_delta = _zigzag32(fields.raw_offset_delta)
        if offset_delta <= last_offset_delta or offset_delta > header.last_offset_delta:
            walk.reason = OFFSET_DELTA
            return
        last_offset_delta = offset_delta
        if fields.header_count + 1 != fields.end or fields.header_count[0] != 0:
            walk.reason = _skip_headers(fields.header_count, fields.end)
            if walk.reason != OK:
                return
        position = fields.end
    walk.reason = OK if position == end else BATCH_GOES_ON
