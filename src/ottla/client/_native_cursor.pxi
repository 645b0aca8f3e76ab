# From fetched bytes to messages; part of _native.pyx, which includes it.

cdef enum:
    _MAGIC_POSITION = 16
    ABORT_MARKER = 0


@cython.no_gc
cdef class _ReadableBatch:
    """A batch that is to be handed out: checked, decompressed, its records walked."""

    cdef object plain  # what the records were decompressed to, None when they weren't compressed
    cdef const uint8_t* position
    cdef const uint8_t* end
    cdef Header header
    cdef int64_t next_offset


cdef extern from *:
    """
    #if defined(__GNUC__)
    #define ottla_prefetch(at) __builtin_prefetch(at)
    #else
    #define ottla_prefetch(at) ((void)(at))
    #endif
    """
    void ottla_prefetch(const void*) noexcept nogil

# Where one record ends is where the next begins: without a guess, each would wait for its own
# memory. Records of one batch are mostly of one size.
cdef enum:
    _RECORDS_AHEAD = 8

# How far ahead of what is copied memory is asked for: as long as memory takes to come.
cdef enum:
    _AHEAD_BYTES = 2048
    _MOST_AHEAD_BYTES = 2048
    _CACHE_LINE_BYTES = 64


cdef inline void _prefetch_ahead(const uint8_t* end, Py_ssize_t size_bytes) noexcept nogil:
    """Ask for as much memory as was just left behind."""
    cdef const uint8_t* at = end + _AHEAD_BYTES
    cdef const uint8_t* to = at + min(size_bytes, _MOST_AHEAD_BYTES)
    while at < to:
        ottla_prefetch(at)
        at += _CACHE_LINE_BYTES


# How many messages are made before an engine that waits for the GIL gets it.
cdef enum:
    _MESSAGES_PER_TURN = 256


cdef enum:
    SOUND = 0
    BAD_HEADER = 1
    BAD_OFFSETS = 2
    BAD_CRC = 3


cdef struct Survey:
    Py_ssize_t end  # of the sound batches
    int fault  # what is wrong with the next one
    uint32_t crc
    int32_t end_epoch
    int64_t end_offset
    int64_t record_count


# Nothing that a cursor refers to can refer back to it. If the collector knew of the buffer, it would
# break cycles elsewhere by releasing the view that the cursor has exported.
@cython.no_gc
cdef class MessageCursor:
    cdef readonly str topic
    cdef readonly int32_t partition
    cdef readonly int64_t position
    cdef readonly int64_t consumed
    cdef readonly int32_t consumed_epoch
    cdef readonly int64_t end_offset
    cdef readonly int32_t end_epoch
    cdef readonly int64_t record_count
    cdef readonly int64_t damaged_offset
    cdef readonly int64_t resume_offset
    cdef readonly object error
    cdef readonly int64_t buffered_bytes
    cdef Py_buffer _view
    cdef bint _has_view, _is_scanned, _is_read_committed
    cdef Py_ssize_t _scanned_bytes, _sound_bytes, _walked_bytes, _max_decompressed_bytes
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
    ):
        if self._has_view:
            raise RuntimeError("a cursor is made once")
        PyObject_GetBuffer(buffer, &self._view, PyBUF_SIMPLE)
        self._has_view = True
        self.topic = topic
        self.partition = partition
        self.position = position
        self.consumed = NO_OFFSET
        self.consumed_epoch = -1
        self.damaged_offset = self.resume_offset = -1
        self._skipped_to = position
        self._is_read_committed = is_read_committed
        self._max_decompressed_bytes = max_decompressed_bytes
        self._aborted = sorted(aborted, key=_first_offset, reverse=True)
        self._aborting = set()
        self._readable = []
        self.buffered_bytes = self._view.len
        self._survey(check_crcs)

    def prepare(self, int64_t most_bytes):
        cdef const uint8_t* data = <const uint8_t*>self._view.buf
        # All plain batches at once: for each of them an engine would have to get the GIL back.
        with nogil:
            self._walked_bytes = _walk_plain_batches(data, self._scanned_bytes, self._sound_bytes)
            want_gil()
        have_gil()
        while not self._is_scanned and self.buffered_bytes <= most_bytes:
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
            if len(messages) % _MESSAGES_PER_TURN == 0 and waiting_engines > 0:
                give_way()
            message = self._next()
            if message is None:
                break
            messages.append(message)
        return messages

    def take_acquired(self, ranges):
        cdef list messages = []
        cdef Fields fields
        cdef Message message
        cdef int64_t offset, first = -1, last = -1
        cdef int16_t delivery_count = 0
        cdef object left = iter(ranges), acquired
        while self._next_fields(&fields, &offset):
            while offset > last:
                acquired = next(left, None)
                if acquired is None:
                    return messages
                first, last, delivery_count = acquired
            if offset >= first:
                message = self._message(self._current, offset, &fields)
                message._delivery_count = delivery_count
                messages.append(message)
        return messages

    # --- the application's thread ---

    cdef inline Message _next(self):
        cdef Fields fields
        cdef int64_t offset
        if not self._next_fields(&fields, &offset):
            return None
        return self._message(self._current, offset, &fields)

    cdef bint _next_fields(self, Fields* fields, int64_t* offset) except -1:
        """The next record for the user, which is one of ``_current``; False at the end."""
        cdef _ReadableBatch batch
        cdef int reason
        while True:
            batch = self._current
            if batch is None or self._left <= 0:
                if not self._advance():
                    return False
                continue
            reason = _read_fields(batch.position, batch.end, fields)
            if reason != OK:  # walked before: only if somebody changed the buffer since
                self._left = 0
                self._fail(invalid_record(reason, 0))
                return False
            self._left -= 1
            _prefetch_ahead(fields.end, fields.end - batch.position)
            batch.position = fields.end
            offset[0] = batch.header.base_offset + _zigzag32(fields.raw_offset_delta)
            if offset[0] < self.position:
                continue
            self.consumed = self.position = offset[0] + 1
            self.consumed_epoch = batch.header.partition_leader_epoch
            return True

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

    # --- the engine's thread, as far as ``prepare`` goes ---

    cdef int _scan(self) except -1:
        """Look at one more batch; what can't be read ends the cursor after all that can."""
        try:
            self._scan_batch()
        except RecordsError as error:
            self._fail(error)
        return 0

    cdef int _fail(self, object error) except -1:
        # With its traceback it would keep what was unpacked until it was too much.
        self.error = error.with_traceback(None)
        self._is_scanned = True
        return 0

    cdef int _survey(self, bint check_crcs) except -1:
        """Look at every batch from outside: how far they are whole and sound, and what they hold."""
        cdef const uint8_t* data = <const uint8_t*>self._view.buf
        cdef Survey survey
        cdef bint is_checked_here = check_crcs and not _HAS_FAST_CRC
        if not check_crcs or self._view.len < _RELEASE_GIL_BYTES or is_checked_here:
            _look_at_batches(data, self._view.len, self.position, check_crcs, &survey)
        else:
            with nogil:
                _look_at_batches(data, self._view.len, self.position, check_crcs, &survey)
                want_gil()
            have_gil()
        self._sound_bytes = survey.end
        self.end_offset = survey.end_offset
        self.end_epoch = survey.end_epoch
        self.record_count = survey.record_count
        if survey.fault == BAD_CRC:
            self._survey_damage(data + survey.end, self._view.len - survey.end)
        if survey.fault != SOUND:
            try:
                _raise_fault(data + survey.end, self._view.len - survey.end, &survey)
            except RecordsError as error:
                self.error = error.with_traceback(None)
        return 0

    cdef void _survey_damage(self, const uint8_t* start, Py_ssize_t available) noexcept:
        cdef Header header
        cdef Py_ssize_t batch_bytes
        cdef int64_t following
        _load_header(start, &header)
        batch_bytes = <Py_ssize_t>header.batch_length_bytes + _LENGTH_OVERHEAD_BYTES
        self.damaged_offset = header.base_offset
        self.resume_offset = header.base_offset + header.last_offset_delta + 1
        if available - batch_bytes >= 8:
            following = <int64_t>_load64(start + batch_bytes)
            if following > header.base_offset:
                self.resume_offset = following

    cdef int _scan_batch(self) except -1:
        cdef const uint8_t* start = <const uint8_t*>self._view.buf + self._scanned_bytes
        cdef Py_ssize_t size_bytes
        cdef Header header
        cdef int64_t next_offset
        if self._scanned_bytes >= self._sound_bytes:
            self._is_scanned = True
            return 0
        _load_header(start, &header)
        size_bytes = <Py_ssize_t>header.batch_length_bytes + _LENGTH_OVERHEAD_BYTES
        next_offset = header.base_offset + header.last_offset_delta + 1
        self._scanned_bytes += size_bytes
        if next_offset > self._skipped_to:
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
        if start >= <const uint8_t*>self._view.buf + self._walked_bytes:
            if batch.end - batch.position >= _RELEASE_GIL_BYTES:
                with nogil:
                    _walk_with_gaps(batch.position, batch.end, header, &walk)
                    want_gil()
                have_gil()
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


cdef void _look_at_batches(
    const uint8_t* data, Py_ssize_t size, int64_t position, bint check_crcs, Survey* survey
) noexcept nogil:
    """Look at all whole batches until one is not sound; those before the position don't count."""
    cdef const uint8_t* start
    cdef Py_ssize_t batch_bytes, available
    cdef Header header
    cdef int64_t next_offset
    survey.end = 0
    survey.fault = SOUND
    survey.crc = 0
    survey.end_offset = position
    survey.end_epoch = -1
    survey.record_count = 0
    while True:
        start = data + survey.end
        available = size - survey.end
        if available <= _MAGIC_POSITION:
            return
        if start[_MAGIC_POSITION] != MAGIC:
            survey.fault = BAD_HEADER
            return
        if available < _HEADER_SIZE_BYTES:
            return
        _load_header(start, &header)
        batch_bytes = <Py_ssize_t>header.batch_length_bytes + _LENGTH_OVERHEAD_BYTES
        if batch_bytes < _HEADER_SIZE_BYTES:
            survey.fault = BAD_HEADER
            return
        if batch_bytes > available:
            return
        if (
            header.base_offset < 0
            or header.last_offset_delta < 0
            or header.base_offset > INT64_MAX - header.last_offset_delta - 1
        ):
            survey.fault = BAD_OFFSETS
            return
        next_offset = header.base_offset + header.last_offset_delta + 1
        if next_offset > survey.end_offset:
            if check_crcs and not _is_crc_right(start, batch_bytes, header.crc, &survey.crc):
                survey.fault = BAD_CRC
                return
            survey.end_offset = next_offset
            survey.end_epoch = header.partition_leader_epoch
            if header.record_count > 0 and not header.attributes & CONTROL_FLAG:
                # What a batch says of itself may be wrong; it can't hold more than it has offsets.
                survey.record_count += min(
                    <int64_t>header.record_count, <int64_t>header.last_offset_delta + 1
                )
        survey.end += batch_bytes


cdef bint _is_crc_right(
    const uint8_t* start, Py_ssize_t batch_bytes, uint32_t stated, uint32_t* computed
) noexcept nogil:
    if _HAS_FAST_CRC:
        computed[0] = ottla_crc32c(
            0, start + _ATTRIBUTES_POSITION, batch_bytes - _ATTRIBUTES_POSITION
        )
    else:
        with gil:
            computed[0] = portable_crc32c(
                PyBytes_FromStringAndSize(
                    <const char*>start + _ATTRIBUTES_POSITION, batch_bytes - _ATTRIBUTES_POSITION
                )
            )
    return computed[0] == stated


cdef int _raise_fault(
    const uint8_t* start, Py_ssize_t available, const Survey* survey
) except -1:
    cdef Header header
    cdef Py_ssize_t size = available if available < _HEADER_SIZE_BYTES else _HEADER_SIZE_BYTES
    if survey.fault == BAD_HEADER:
        read_header(PyBytes_FromStringAndSize(<const char*>start, size), 0)
        raise CorruptBatch("Invalid batch header")
    _load_header(start, &header)
    if survey.fault == BAD_OFFSETS:
        raise CorruptBatch(f"Offsets from {header.base_offset}, {header.last_offset_delta} more")
    raise CorruptBatch(f"CRC-32C is {survey.crc:#010x}, the batch says {header.crc:#010x}")


cdef Py_ssize_t _walk_plain_batches(
    const uint8_t* data, Py_ssize_t start, Py_ssize_t end
) noexcept nogil:
    """Check the records of batches up to the first that is compressed or damaged; where that begins.

    All of them have been looked at from outside.
    """
    cdef const uint8_t* batch
    cdef Header header
    cdef Walk walk
    while start < end:
        batch = data + start
        _load_header(batch, &header)
        start += <Py_ssize_t>header.batch_length_bytes + _LENGTH_OVERHEAD_BYTES
        if header.attributes & CODEC_MASK:
            return batch - data
        if header.record_count > 0:
            _walk_with_gaps(batch + _HEADER_SIZE_BYTES, data + start, &header, &walk)
            if walk.reason != OK:
                return batch - data
    return start


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
        ottla_prefetch(fields.end + _RECORDS_AHEAD * (fields.end - position))
        if fields.header_count + 1 != fields.end or fields.header_count[0] != 0:
            walk.reason = _skip_headers(fields.header_count, fields.end)
            if walk.reason != OK:
                return
        position = fields.end
    walk.reason = OK if position == end else BATCH_GOES_ON
