# Text lines to records and back; part of _native.pyx, which includes it.

cdef extern from "string.h":
    void* memchr(const void*, int, size_t) nogil

cdef enum:
    _LINES_FULL_BYTES = 1 << 20
    _LINES_PER_TURN = 256


def append_lines(
    Accumulator accumulator not None, str topic not None, int32_t partition, data,
    Py_ssize_t start, callback,
):
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return _append_lines(accumulator, topic, partition, &view, max(start, 0), callback)
    finally:
        PyBuffer_Release(&view)


cdef tuple _append_lines(
    Accumulator accumulator, str topic, int32_t partition, Py_buffer* view, Py_ssize_t position,
    object callback,
):
    cdef const uint8_t* text = <const uint8_t*>view.buf
    cdef const uint8_t* end
    cdef Piece key, value
    cdef Py_ssize_t count = 0
    cdef bint wakes = False
    cdef int answer = APPENDED
    key.data = NULL
    key.size = -1
    while position < view.len:
        end = <const uint8_t*>memchr(text + position, c"\n", view.len - position)
        if end == NULL:
            break
        if count % _LINES_PER_TURN == 0 and waiting_engines > 0:
            give_way()
        value.data = text + position
        value.size = end - value.data
        answer = accumulator._append(topic, partition, &key, &value, NULL, 0, 0, callback)
        if answer == WAKE:
            wakes = True
        elif answer != APPENDED:
            return position, count, wakes, answer
        position += value.size + 1
        count += 1
    return position, count, wakes, APPENDED


cdef class RecordLines:
    cdef readonly Py_ssize_t count
    cdef readonly bint is_full
    cdef readonly list runs
    cdef readonly Column data
    cdef bytes _separator, _null

    def __init__(self, bytes separator not None=b"\n", bytes null not None=b"null"):
        self.runs = []
        self.data = Column()
        self._separator = separator
        self._null = null

    def extend(self, MessageCursor cursor not None, Py_ssize_t limit):
        cdef Column data = self.data
        cdef Py_ssize_t first = self.count
        cdef int64_t offset
        cdef Fields fields
        cdef const char* separator = PyBytes_AS_STRING(self._separator)
        cdef const char* null = PyBytes_AS_STRING(self._null)
        cdef Py_ssize_t separator_size = len(self._separator), null_size = len(self._null)
        # One growth instead of many: lines are hardly longer than the records they come from.
        data._reserve(min(cursor._view.len, <Py_ssize_t>_LINES_FULL_BYTES))
        while self.count - first < limit:
            self.is_full = data._size >= _LINES_FULL_BYTES
            if self.is_full:
                break
            if (self.count - first) % _MESSAGES_PER_TURN == 0 and waiting_engines > 0:
                give_way()
            if not cursor._next_fields(&fields, &offset):
                break
            if self.count == first:
                self.runs.append((cursor.topic, cursor.partition, offset, cursor.consumed_epoch))
            if fields.value_size < 0:
                data._add(null, null_size)
            else:
                data._add(fields.value, fields.value_size)
            data._add(separator, separator_size)
            self.count += 1
        return self.count - first
