# One partition's batch of records and its deliveries; part of _native.pyx, which includes it.

cdef enum:
    _FIRST_CAPACITY_BYTES = 2048
    _KEPT_CAPACITY_BYTES = 1 << 20
    _KEPT_BUFFERS = 512
    _MAX_BATCH_BYTES = 0x7FFFFFFF


# Buffers of full batches are used again: fresh memory costs more than filling it. What is kept was
# in use a moment ago; the engine has it freed when nothing is produced for a while.
cdef uint8_t* _kept_buffers[_KEPT_BUFFERS]
cdef int _kept_count = 0


cdef uint8_t* _kept(Py_ssize_t capacity) noexcept:
    global _kept_count
    if capacity != _KEPT_CAPACITY_BYTES or _kept_count == 0:
        return NULL
    _kept_count -= 1
    return _kept_buffers[_kept_count]


cdef void _keep(uint8_t* data, Py_ssize_t capacity) noexcept:
    global _kept_count
    if capacity == _KEPT_CAPACITY_BYTES and _kept_count < _KEPT_BUFFERS:
        _kept_buffers[_kept_count] = data
        _kept_count += 1
    else:
        PyMem_RawFree(data)


def free_kept_buffers():
    """Give the memory of past batches back to the system."""
    global _kept_count
    while _kept_count > 0:
        _kept_count -= 1
        PyMem_RawFree(_kept_buffers[_kept_count])


cdef struct Piece:
    # A key, value or header part as it is to be encoded; size -1 is null.
    const uint8_t* data
    Py_ssize_t size


cdef class Accumulator


cdef class ProducerBatch:
    cdef readonly str topic
    cdef readonly int32_t partition
    cdef readonly int64_t created_ms
    cdef readonly int32_t record_count
    cdef readonly int64_t base_timestamp_ms, max_timestamp_ms
    cdef Accumulator _owner
    cdef uint8_t* _data
    cdef Py_ssize_t _size_bytes, _capacity_bytes
    cdef int _exports
    cdef list _callbacks
    cdef int64_t* _enqueued_us
    cdef Py_ssize_t _enqueued_capacity
    cdef bytes _wire
    cdef int32_t _unreleased_records
    cdef int64_t _unreleased_bytes
    cdef bint _is_sealed
    cdef bint _is_ahead  # the accumulator counts its bytes among those that run ahead

    def __cinit__(self):
        self.base_timestamp_ms = self.max_timestamp_ms = NO_TIMESTAMP_MS
        self._size_bytes = _HEADER_SIZE_BYTES

    def __dealloc__(self):
        _keep(self._data, self._capacity_bytes)
        PyMem_RawFree(self._enqueued_us)

    def __len__(self):
        return self.record_count

    @property
    def plain_size_bytes(self):
        return self._size_bytes

    @property
    def size_bytes(self):
        return self._size_bytes if self._wire is None else len(self._wire)

    @property
    def has_callbacks(self):
        return self._callbacks is not None

    def __getbuffer__(self, Py_buffer* view, int flags):
        if not self._is_sealed:
            raise BufferError("the batch isn't sealed")
        if self._wire is not None:
            # Owned by the bytes, so that they outlive being sealed again.
            PyBuffer_FillInfo(
                view, self._wire, PyBytes_AS_STRING(self._wire), len(self._wire), 1, flags
            )
            return
        PyBuffer_FillInfo(view, self, self._data, self._size_bytes, 1, flags)
        self._exports += 1

    def __releasebuffer__(self, Py_buffer* view):
        self._exports -= 1

    cdef inline int _reserve(self, Py_ssize_t size_bytes) except -1:
        if size_bytes <= self._capacity_bytes:
            return 0
        return self._grow(size_bytes)

    cdef int _grow(self, Py_ssize_t size_bytes) except -1:
        # Four times as much each time: large batches are filled by a few copies.
        cdef Py_ssize_t capacity = size_bytes * 2
        if size_bytes <= _FIRST_CAPACITY_BYTES:
            capacity = _FIRST_CAPACITY_BYTES
        elif size_bytes < _KEPT_CAPACITY_BYTES // 4:
            capacity = size_bytes * 4
        elif size_bytes <= _KEPT_CAPACITY_BYTES:
            capacity = _KEPT_CAPACITY_BYTES
        cdef uint8_t* grown = _kept(capacity)
        if grown == NULL:
            grown = <uint8_t*>PyMem_RawMalloc(capacity)
        if grown == NULL:
            raise MemoryError
        if self._data != NULL:
            memcpy(grown, self._data, self._size_bytes)
            _keep(self._data, self._capacity_bytes)
        self._data = grown
        self._capacity_bytes = capacity
        return 0

    cdef inline Py_ssize_t _body_size(self, Py_ssize_t tail_bytes, int64_t timestamp_ms) noexcept:
        """Bytes of a record after its length, were it appended now."""
        cdef int64_t base = self.base_timestamp_ms if self.record_count else timestamp_ms
        cdef int64_t delta = <int64_t>(<uint64_t>timestamp_ms - <uint64_t>base)
        return 1 + _varint_size(delta) + _varint_size(self.record_count) + tail_bytes

    cdef inline uint8_t* _begin_record(
        self, Py_ssize_t body_bytes, int64_t timestamp_ms
    ) except NULL:
        """Make room for a record and write what stands before its key; the batch counts it."""
        cdef Py_ssize_t size = self._size_bytes + _varint_size(body_bytes) + body_bytes
        self._reserve(size)
        if self.record_count == 0:
            self.base_timestamp_ms = timestamp_ms
        if timestamp_ms > self.max_timestamp_ms:
            self.max_timestamp_ms = timestamp_ms
        cdef uint8_t* at = _put_varint(self._data + self._size_bytes, body_bytes)
        at[0] = 0
        at = _put_varint(
            at + 1, <int64_t>(<uint64_t>timestamp_ms - <uint64_t>self.base_timestamp_ms)
        )
        at = _put_varint(at, self.record_count)
        self._unreleased_bytes += size - self._size_bytes
        self._unreleased_records += 1
        self._size_bytes = size
        self.record_count += 1
        return at

    cdef int _remember(self, object callback, int64_t enqueued_us) except -1:
        """Keep the callback of the record just appended; there is a list of them already."""
        cdef int64_t* grown
        cdef Py_ssize_t missing = self.record_count - 1 - PyList_GET_SIZE(self._callbacks)
        cdef Py_ssize_t capacity
        while missing > 0:
            self._callbacks.append(None)
            missing -= 1
        if self.record_count > self._enqueued_capacity:
            capacity = self.record_count * 2 + 16
            grown = <int64_t*>PyMem_RawRealloc(self._enqueued_us, capacity * sizeof(int64_t))
            if grown == NULL:
                raise MemoryError
            self._enqueued_us = grown
            self._enqueued_capacity = capacity
        self._callbacks.append(callback)
        self._enqueued_us[self.record_count - 1] = enqueued_us
        return 0

    def seal(
        self,
        int64_t producer_id=-1,
        int16_t producer_epoch=-1,
        int32_t base_sequence=-1,
        bint is_transactional=False,
        int codec=0,
        level=None,
    ):
        cdef Py_ssize_t size_bytes = self._size_bytes
        cdef uint8_t* at = self._data
        cdef bytes payload, made = None
        if codec != 0:
            from ottla.records.compression import Codec, compress

            plain = PyMemoryView_FromMemory(
                <char*>self._data + _HEADER_SIZE_BYTES, size_bytes - _HEADER_SIZE_BYTES, PyBUF_READ
            )
            payload = compress(Codec(codec), plain, level)
            if len(payload) < len(plain):
                size_bytes = _HEADER_SIZE_BYTES + len(payload)
                made = PyBytes_FromStringAndSize(NULL, size_bytes)
                at = <uint8_t*>PyBytes_AS_STRING(made)
                memcpy(at + _HEADER_SIZE_BYTES, PyBytes_AS_STRING(payload), len(payload))
            else:
                codec = 0
        if made is None and self._exports > 0:
            # An earlier attempt is still being sent; its bytes must stay as they are.
            made = PyBytes_FromStringAndSize(<char*>self._data, size_bytes)
            at = <uint8_t*>PyBytes_AS_STRING(made)
        self._write_header(
            at, size_bytes, codec | (TRANSACTIONAL_FLAG if is_transactional else 0),
            producer_id, producer_epoch, base_sequence,
        )
        self._wire = made
        self._is_sealed = True

    cdef int _write_header(
        self, uint8_t* at, Py_ssize_t size_bytes, int attributes,
        int64_t producer_id, int16_t producer_epoch, int32_t base_sequence,
    ) except -1:
        cdef uint32_t crc
        _store64(at, 0)
        _store32(at + 8, <uint32_t>(size_bytes - _LENGTH_OVERHEAD_BYTES))
        _store32(at + 12, 0xFFFFFFFF)
        at[16] = MAGIC
        at[21] = 0
        at[22] = <uint8_t>attributes
        _store32(at + 23, <uint32_t>(self.record_count - 1))
        _store64(at + 27, <uint64_t>self.base_timestamp_ms)
        _store64(at + 35, <uint64_t>self.max_timestamp_ms)
        _store64(at + 43, <uint64_t>producer_id)
        at[51] = <uint8_t>(<uint16_t>producer_epoch >> 8)
        at[52] = <uint8_t>producer_epoch
        _store32(at + 53, <uint32_t>base_sequence)
        _store32(at + 57, <uint32_t>self.record_count)
        _store32(at + 17, _crc_of(at + _ATTRIBUTES_POSITION, size_bytes - _ATTRIBUTES_POSITION))
        return 0

    def wire(self):
        return memoryview(self)

    def split(self, Py_ssize_t max_bytes):
        cdef list parts = []
        cdef ProducerBatch part = None
        cdef const uint8_t* position = self._data + _HEADER_SIZE_BYTES
        cdef Fields fields
        cdef int32_t index
        cdef int64_t timestamp_ms
        cdef Py_ssize_t tail, body
        for index in range(self.record_count):
            _read_own(position, self, &fields)
            timestamp_ms = self.base_timestamp_ms + _zigzag64(fields.raw_timestamp_delta_ms)
            tail = fields.end - _tail(&fields)
            if part is not None:
                body = part._body_size(tail, timestamp_ms)
                if part._size_bytes + _varint_size(body) + body > max_bytes:
                    part = None
            if part is None:
                part = self._owner._new_batch(self.topic, self.partition, self.created_ms)
                parts.append(part)
            part._copy_record(self, index, &fields, timestamp_ms)
            position = fields.end
        self.release()
        return parts

    cdef int _copy_record(
        self, ProducerBatch source, int32_t index, Fields* fields, int64_t timestamp_ms
    ) except -1:
        cdef const uint8_t* from_ = _tail(fields)
        cdef Py_ssize_t tail_bytes = fields.end - from_
        cdef uint8_t* at
        callback = source._callback(index)
        if callback is not None and self._callbacks is None:
            self._callbacks = []
        cdef Py_ssize_t before = self._size_bytes
        at = self._begin_record(self._body_size(tail_bytes, timestamp_ms), timestamp_ms)
        memcpy(at, from_, tail_bytes)
        self._owner.message_count += 1
        self._owner.byte_count += self._size_bytes - before
        if callback is not None:
            self._remember(callback, source._enqueued_us[index])
        return 0

    cdef inline object _callback(self, int32_t index):
        if self._callbacks is None or index >= PyList_GET_SIZE(self._callbacks):
            return None
        return <object>PyList_GET_ITEM(self._callbacks, index)

    def deliveries(
        self, int64_t base_offset=-1, int64_t log_append_time_ms=-1, error=None, now=None,
        bint with_headers=True,
    ):
        cdef Deliveries made = Deliveries.__new__(Deliveries)
        self._owner._returned(self)
        made._batch = self
        made._error = error
        made._base_offset = base_offset
        made._log_append_time_ms = log_append_time_ms
        made._now_us = ottla_monotonic_us() if now is None else <int64_t>(<double>now * 1e6)
        made._with_headers = with_headers
        made._position = self._data + _HEADER_SIZE_BYTES
        return made

    def release(self):
        self._owner._returned(self)
        self._owner._released(self._unreleased_records, self._unreleased_bytes)
        self._unreleased_records = 0
        self._unreleased_bytes = 0


cdef uint32_t _crc_of(const uint8_t* data, Py_ssize_t size_bytes) except? 0:
    cdef uint32_t crc
    if not _HAS_FAST_CRC:
        return portable_crc32c(PyMemoryView_FromMemory(<char*>data, size_bytes, PyBUF_READ))
    if size_bytes < _RELEASE_GIL_BYTES:
        return ottla_crc32c(0, data, size_bytes)
    with nogil:
        crc = ottla_crc32c(0, data, size_bytes)
        want_gil()
    have_gil()
    return crc


cdef inline const uint8_t* _tail(const Fields* fields) noexcept:
    """Where a record's key begins: its size, content and all that follows."""
    cdef int32_t size = fields.key_size
    return fields.key - _varint_size(size)


cdef inline int _read_own(
    const uint8_t* position, ProducerBatch batch, Fields* fields
) except -1:
    cdef int reason = _read_fields(position, batch._data + batch._size_bytes, fields)
    if reason != OK:
        raise invalid_record(reason, 0)
    return 0


cdef class Deliveries:
    cdef ProducerBatch _batch
    cdef object _error, _callback
    cdef int64_t _base_offset, _log_append_time_ms, _now_us
    cdef bint _with_headers
    cdef const uint8_t* _position
    cdef int32_t _index
    cdef Fields _fields  # the record whose message is being served

    @property
    def batch(self):
        return self._batch

    @property
    def error(self):
        return self._error

    def __iter__(self):
        return self

    def __next__(self):
        cdef Message message = self._next(None, True)
        if message is None:
            raise StopIteration
        return self._callback, message

    def serve(self, int64_t limit=-1):
        cdef int64_t served = 0
        cdef Message message = None
        cdef object error = self._error
        # Most callbacks neither look at the content nor keep the message: then no content is
        # copied, and one message serves for all. It is read from the batch while that is here.
        try:
            while served != limit:
                message = self._next(message, False)
                if message is None:
                    break
                served += 1
                self._callback(error, message)
                if Py_REFCNT(<PyObject*>message) > 1 or PyObject_GC_IsTracked(message):
                    message._read()
                    message = None
        finally:
            if message is not None:
                message._read()
        return served

    def resolve(self, future_type):
        cdef ProducerBatch batch = self._batch
        cdef const uint8_t* position = batch._data + _HEADER_SIZE_BYTES
        cdef Fields fields
        cdef int32_t index
        cdef object callback, error = self._error
        cdef DeliveryFuture future
        cdef list awaited = []
        cdef int64_t left = 0
        for index in range(batch.record_count):
            _read_own(position, batch, &fields)
            position = fields.end
            callback = batch._callback(index)
            if callback is None:
                continue
            if not isinstance(callback, future_type):
                left += 1
                continue
            batch._callbacks[index] = None
            if batch._unreleased_records > 0:
                batch._unreleased_records -= 1
                batch._owner._released(1, 0)
            if type(callback) is DeliveryFuture:
                future = <DeliveryFuture>callback
                if future._state == _PENDING and future._settle(
                    self._read_message(index, &fields) if error is None else KafkaException(error)
                ):
                    awaited.append(future)
            elif not callback.done():
                if error is None:
                    callback.set_result(self._read_message(index, &fields))
                else:
                    callback.set_exception(KafkaException(error))
        if awaited:
            (<DeliveryFuture>awaited[0])._loop.call_soon(_run_callbacks, awaited)
        if left == 0:
            batch.release()
        return left

    cdef Message _next(self, Message message, bint is_read):
        """The next record that has a callback, decoded; None, and all released, at the end.

        Args:
            message: which nobody else has, to be used again; or None.
            is_read: whether it holds key and value itself, not only until the next one.
        """
        cdef ProducerBatch batch = self._batch
        cdef Fields* fields = &self._fields
        cdef int32_t index
        cdef object callback
        while self._index < batch.record_count:
            _read_own(self._position, batch, fields)
            index = self._index
            callback = batch._callback(index)
            self._index = index + 1
            self._position = fields.end
            if callback is None:
                continue
            if batch._unreleased_records > 0:
                batch._unreleased_records -= 1
                batch._owner._released(1, 0)
            self._callback = callback
            message = self._message(message, index, fields)
            if is_read:
                message._read()
            return message
        self._callback = None
        batch.release()
        return None

    cdef Message _read_message(self, int32_t index, Fields* fields):
        cdef Message message = self._message(None, index, fields)
        message._read()
        return message

    cdef Message _message(self, Message message, int32_t index, Fields* fields):
        """What a record has become: a new message, or the given one, which was the last's."""
        cdef ProducerBatch batch = self._batch
        if message is None:
            message = Message.__new__(Message)
            message._topic = batch.topic
            message._partition = batch.partition
            message._error = self._error
        message._unread = fields
        if self._base_offset >= 0 and self._error is None:
            message._offset = self._base_offset + index
        if self._error is not None:
            # What was not appended has no time of the log's, and its own is not told.
            message._timestamp_ms = -1
        elif self._log_append_time_ms >= 0:
            message._timestamp_type = LOG_APPEND_TIME
            message._timestamp_ms = self._log_append_time_ms
        else:
            message._timestamp_type = CREATE_TIME
            message._timestamp_ms = (
                batch.base_timestamp_ms + _zigzag64(fields.raw_timestamp_delta_ms)
            )
        message._latency_seconds = <double>(self._now_us - batch._enqueued_us[index]) / 1e6
        if message._latency_seconds < 0.0:
            message._latency_seconds = 0.0
        if self._with_headers and _has_headers(fields):
            message._headers = _header_list(fields)
        else:
            PyObject_GC_UnTrack(<void*>message)
        return message
