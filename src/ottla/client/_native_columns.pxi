# From fetched bytes to columns in Arrow's layout; part of _native.pyx, which includes it.

cdef enum:
    # What 32-bit offsets can address; nothing of one record takes more than half of it.
    _COLUMN_MAX_BYTES = 0x7FFFFFFF


cdef class Column:
    """Bytes that only grow; a buffer for readers once nothing is added any more."""

    cdef char* _data
    cdef Py_ssize_t _size, _capacity

    def __dealloc__(self):
        PyMem_RawFree(self._data)

    def __len__(self):
        return self._size

    def __getbuffer__(self, Py_buffer* view, int flags):
        # An empty column has no memory, but readers want an address.
        self._reserve(8)
        PyBuffer_FillInfo(view, self, self._data, self._size, 1, flags)

    cdef int _reserve(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t wanted = self._size + more
        cdef char* data
        if wanted <= self._capacity:
            return 0
        wanted = max(wanted, 2 * self._capacity, 256)
        data = <char*>PyMem_RawRealloc(self._data, wanted)
        if data == NULL:
            raise MemoryError
        self._data = data
        self._capacity = wanted
        return 0

    cdef inline int _add(self, const void* data, Py_ssize_t size) except -1:
        if size > 0:
            self._reserve(size)
            memcpy(self._data + self._size, data, size)
            self._size += size
        return 0

    cdef inline int _add32(self, int32_t number) except -1:
        return self._add(&number, 4)

    cdef inline int _add64(self, int64_t number) except -1:
        return self._add(&number, 8)

    cdef inline int _add_bit(self, Py_ssize_t index, bint is_set) except -1:
        if index % 8 == 0:
            self._reserve(1)
            self._data[self._size] = 0
            self._size += 1
        if is_set:
            self._data[index // 8] |= 1 << (index % 8)
        return 0


cdef class BinaryColumn:
    cdef readonly Column validity, offsets, data
    cdef Py_ssize_t _count

    def __init__(self):
        self.validity = Column()
        self.offsets = Column()
        self.data = Column()
        self.offsets._add32(0)

    cdef inline int _add(self, const uint8_t* data, int32_t size) except -1:
        """Add one value; size -1 is null."""
        self.validity._add_bit(self._count, size >= 0)
        self.data._add(data, size)
        self.offsets._add32(<int32_t>self.data._size)
        self._count += 1
        return 0


cdef class RecordColumns:
    cdef readonly Py_ssize_t count, header_count
    cdef readonly bint is_full
    cdef readonly list topics, runs
    cdef readonly Column topic_indexes, partitions, offsets, timestamps_ms, header_offsets
    cdef readonly BinaryColumn keys, values, header_names, header_values

    def __init__(self):
        self.topics = []
        self.runs = []
        self.topic_indexes = Column()
        self.partitions = Column()
        self.offsets = Column()
        self.timestamps_ms = Column()
        self.header_offsets = Column()
        self.header_offsets._add32(0)
        self.keys = BinaryColumn()
        self.values = BinaryColumn()
        self.header_names = BinaryColumn()
        self.header_values = BinaryColumn()

    def extend(self, MessageCursor cursor not None, Py_ssize_t limit):
        cdef Py_ssize_t first = self.count
        cdef int32_t topic_index
        cdef int64_t offset
        cdef Fields fields
        cdef _ReadableBatch batch
        if cursor.topic not in self.topics:
            self.topics.append(cursor.topic)
        topic_index = self.topics.index(cursor.topic)
        while self.count - first < limit:
            self.is_full = self._has_no_room_for(cursor)
            if self.is_full:
                break
            if (self.count - first) % _MESSAGES_PER_TURN == 0 and waiting_engines > 0:
                give_way()
            if not cursor._next_fields(&fields, &offset):
                break
            batch = cursor._current
            if self.count == first:
                self.runs.append((cursor.topic, cursor.partition, offset, cursor.consumed_epoch))
            self.topic_indexes._add32(topic_index)
            self.partitions._add32(cursor.partition)
            self.offsets._add64(offset)
            if batch.header.attributes & LOG_APPEND_TIME_FLAG:
                self.timestamps_ms._add64(batch.header.max_timestamp_ms)
            else:
                self.timestamps_ms._add64(
                    _timestamp_ms(&batch.header, fields.raw_timestamp_delta_ms)
                )
            self.keys._add(fields.key, fields.key_size)
            self.values._add(fields.value, fields.value_size)
            if _has_headers(&fields):
                self._add_headers(&fields)
            self.header_offsets._add32(<int32_t>self.header_count)
            self.count += 1
        return self.count - first

    cdef bint _has_no_room_for(self, MessageCursor cursor):
        """Whether another record of the batch at hand might be too much for 32-bit offsets."""
        cdef Py_ssize_t room = _COLUMN_MAX_BYTES
        cdef Py_ssize_t largest = cursor._view.len
        if cursor._current is not None:
            largest = max(largest, cursor._current.end - cursor._current.position)
        room -= max(self.keys.data._size, self.values.data._size)
        room = min(room, _COLUMN_MAX_BYTES - self.header_names.data._size)
        room = min(room, _COLUMN_MAX_BYTES - self.header_values.data._size)
        return self.count > 0 and room < largest

    cdef int _add_headers(self, Fields* fields) except -1:
        cdef const uint8_t* position = fields.header_count
        cdef int32_t count = 0, size = 0, number
        cdef int reason = _read_header_count(&position, fields.end, &count)
        for number in range(count if reason == OK else 0):
            reason = _read_size(&position, fields.end, 0, HEADER_KEY_SIZE, &size)
            if reason != OK:
                break
            self._add_name(position, size)
            position += size
            reason = _read_size(&position, fields.end, -1, HEADER_VALUE_SIZE, &size)
            if reason != OK:
                break
            self.header_values._add(position, size)
            self.header_count += 1
            if size > 0:
                position += size
        return 0

    cdef int _add_name(self, const uint8_t* name, int32_t size) except -1:
        """Arrow's text is UTF-8; what brokers let through need not be."""
        cdef int32_t index
        cdef Py_ssize_t text_size = 0
        cdef const char* text
        for index in range(size):
            if name[index] >= 0x80:
                decoded = PyUnicode_DecodeUTF8(<const char*>name, size, b"replace")
                text = PyUnicode_AsUTF8AndSize(decoded, &text_size)
                return self.header_names._add(<const uint8_t*>text, <int32_t>text_size)
        return self.header_names._add(name, size)
