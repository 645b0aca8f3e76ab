# Encoding records; part of _native.pyx, which includes it.


# What no real buffer has as its number of dimensions.
cdef enum:
    _NOT_OPENED = -1


cdef inline Py_ssize_t _get_bytes(object content, Py_buffer* view) except -2:
    """Open ``content``, bytes-like or None, for reading; its size, -1 for None."""
    view.ndim = _NOT_OPENED
    if content is None:
        view.buf = NULL
        return -1
    if type(content) is bytes:
        view.buf = PyBytes_AS_STRING(content)
        return PyBytes_GET_SIZE(content)
    PyObject_GetBuffer(content, view, PyBUF_SIMPLE)
    return view.len


cdef inline void _release(Py_buffer* view) noexcept:
    if view.ndim != _NOT_OPENED:
        PyBuffer_Release(view)


cdef class RecordBuffer:
    cdef uint8_t* _data
    cdef Py_ssize_t _size, _capacity, _max_bytes
    cdef int _exports
    cdef bint _has_base_timestamp
    cdef readonly int64_t base_timestamp_ms, max_timestamp_ms
    cdef readonly int32_t record_count, last_offset_delta

    def __cinit__(self, max_bytes=_MAX_BATCH_BYTES, base_timestamp_ms=None):
        self._max_bytes = min(max_bytes, _MAX_BATCH_BYTES)
        self._has_base_timestamp = base_timestamp_ms is not None
        self.base_timestamp_ms = (
            base_timestamp_ms if base_timestamp_ms is not None else NO_TIMESTAMP_MS
        )
        self.max_timestamp_ms = NO_TIMESTAMP_MS
        self.last_offset_delta = -1
        self._reserve(0)

    def __dealloc__(self):
        PyMem_Free(self._data)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self._data, self._size, 1, flags)
        self._exports += 1

    def __releasebuffer__(self, Py_buffer* view):
        self._exports -= 1

    @property
    def size_bytes(self):
        return _HEADER_SIZE_BYTES + self._size

    def payload(self):
        return memoryview(self)

    def append(
        self,
        key,
        value,
        headers=(),
        int64_t timestamp_ms=NO_TIMESTAMP_MS,
        int64_t offset_delta=-1,
    ):
        if offset_delta == -1:
            offset_delta = <int64_t>self.last_offset_delta + 1
        return self._append_objects(key, value, headers, timestamp_ms, offset_delta)

    def extend(self, records, int64_t base_offset):
        cdef int64_t offset
        for record in records:
            if not isinstance(record, Record):
                raise TypeError(f"{type(record).__name__} is not a Record")
            offset = <object>PyTuple_GET_ITEM(record, 0)
            if not self._append_objects(
                <object>PyTuple_GET_ITEM(record, 2),
                <object>PyTuple_GET_ITEM(record, 3),
                <object>PyTuple_GET_ITEM(record, 4),
                <object>PyTuple_GET_ITEM(record, 1),
                offset - base_offset,
            ):
                return False
        return True

    cdef bint _append_objects(
        self, object key, object value, object headers, int64_t timestamp_ms, int64_t offset_delta
    ) except -1:
        cdef Py_buffer key_view, value_view
        cdef Py_ssize_t key_size, value_size
        if type(headers) is not tuple:
            headers = tuple(headers)
        cdef list encoded = _encoded_headers(<tuple>headers) if headers else None
        if not self.last_offset_delta < offset_delta <= 0x7FFFFFFF:
            raise ValueError(f"offset delta {offset_delta} after {self.last_offset_delta}")
        key_size = _get_bytes(key, &key_view)
        try:
            value_size = _get_bytes(value, &value_view)
            try:
                return self._append(
                    key_view.buf, key_size, value_view.buf, value_size, encoded,
                    timestamp_ms, <int32_t>offset_delta,
                )
            finally:
                _release(&value_view)
        finally:
            _release(&key_view)

    cdef bint _append(
        self, const void* key, Py_ssize_t key_size, const void* value, Py_ssize_t value_size,
        list headers, int64_t timestamp_ms, int32_t offset_delta,
    ) except -1:
        cdef int64_t base = self.base_timestamp_ms if self._has_base_timestamp else timestamp_ms
        cdef int64_t delta = <int64_t>(<uint64_t>timestamp_ms - <uint64_t>base)
        cdef Py_ssize_t header_count = 0 if headers is None else len(headers) // 2
        cdef Py_ssize_t body = (
            1 + _varint_size(delta) + _varint_size(offset_delta) + _sized(key_size)
            + _sized(value_size) + _varint_size(header_count)
        )
        cdef object item
        if headers is not None:
            for item in headers:
                body += _sized(-1 if item is None else PyBytes_GET_SIZE(item))
        cdef Py_ssize_t size = self._size + _varint_size(body) + body
        if size + _HEADER_SIZE_BYTES > _MAX_BATCH_BYTES:
            raise BatchTooLarge(
                f"A batch of {size + _HEADER_SIZE_BYTES} bytes is more than Kafka's format allows"
            )
        if size + _HEADER_SIZE_BYTES > self._max_bytes and self.record_count:
            return False
        self._reserve(size)
        cdef uint8_t* at = _put_varint(self._data + self._size, body)
        at[0] = 0
        at = _put_varint(at + 1, delta)
        at = _put_varint(at, offset_delta)
        at = _put_bytes(at, key, key_size)
        at = _put_bytes(at, value, value_size)
        at = _put_varint(at, header_count)
        if headers is not None:
            for item in headers:
                if item is None:
                    at = _put_bytes(at, NULL, -1)
                else:
                    at = _put_bytes(at, PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item))
        self._size = size
        self._has_base_timestamp = True
        self.base_timestamp_ms = base
        if timestamp_ms > self.max_timestamp_ms:
            self.max_timestamp_ms = timestamp_ms
        self.last_offset_delta = offset_delta
        self.record_count += 1
        return True

    cdef int _reserve(self, Py_ssize_t size) except -1:
        cdef uint8_t* grown
        cdef Py_ssize_t capacity
        if self._exports:
            raise BufferError("the batch's records are being read")
        if self._data != NULL and size <= self._capacity:
            return 0
        capacity = max(size + size // 2, 1024)
        grown = <uint8_t*>PyMem_Realloc(self._data, capacity)
        if grown == NULL:
            raise MemoryError
        self._data = grown
        self._capacity = capacity
        return 0


cdef list _encoded_headers(tuple headers):
    """Names and contents in turn, each bytes or None."""
    cdef list encoded = []
    cdef object name, content
    for name, content in headers:
        encoded.append((<str?>name).encode("utf-8"))
        encoded.append(
            content if content is None or type(content) is bytes else bytes(memoryview(content))
        )
    return encoded
