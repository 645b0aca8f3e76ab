# From Arrow's columns to batches; part of _native.pyx, which includes it.


cdef class _Rows:
    """A column of bytes or text in Arrow's layout, held as long as this lives."""

    cdef Py_buffer _validity, _offsets, _data
    cdef bint _is_large
    cdef Py_ssize_t _first, _count

    def __cinit__(self, column, Py_ssize_t count):
        validity, offsets, data, self._is_large, self._first = column
        self._count = count
        if validity is not None:
            PyObject_GetBuffer(validity, &self._validity, PyBUF_SIMPLE)
        PyObject_GetBuffer(offsets, &self._offsets, PyBUF_SIMPLE)
        if data is not None:
            PyObject_GetBuffer(data, &self._data, PyBUF_SIMPLE)
        cdef Py_ssize_t last = self._first + count
        if (
            self._first < 0
            or self._offsets.len // (8 if self._is_large else 4) < last + 1
            or (self._validity.buf != NULL and self._validity.len * 8 < last)
        ):
            raise ValueError("a column ends before its last row")

    def __dealloc__(self):
        PyBuffer_Release(&self._validity)
        PyBuffer_Release(&self._offsets)
        PyBuffer_Release(&self._data)

    cdef int _read(self, Py_ssize_t row, Piece* piece) except -1:
        cdef Py_ssize_t index = self._first + row
        cdef int64_t begin, end
        if self._validity.buf != NULL:
            if not (<const uint8_t*>self._validity.buf)[index >> 3] >> (index & 7) & 1:
                piece.data = NULL
                piece.size = -1
                return 0
        if self._is_large:
            begin = (<const int64_t*>self._offsets.buf)[index]
            end = (<const int64_t*>self._offsets.buf)[index + 1]
        else:
            begin = (<const int32_t*>self._offsets.buf)[index]
            end = (<const int32_t*>self._offsets.buf)[index + 1]
        if begin < 0 or end < begin or end > self._data.len:
            raise ValueError("a column's offsets lie outside its data")
        piece.data = <const uint8_t*>self._data.buf + begin
        piece.size = end - begin
        return 0


def append_rows(
    Accumulator accumulator not None, str topic not None, int32_t partition, Py_ssize_t start, Py_ssize_t count,
    keys, values, timestamps_ms, partitions, callback,
):
    cdef _Rows key_rows = None if keys is None else _Rows(keys, count)
    cdef _Rows value_rows = None if values is None else _Rows(values, count)
    cdef const int64_t[:] times
    cdef const int32_t[:] numbers
    cdef bint has_times = timestamps_ms is not None, has_numbers = partitions is not None
    cdef bint wakes = False
    cdef Py_ssize_t row
    cdef int answer = APPENDED
    cdef Piece key, value
    key.data = value.data = NULL
    key.size = value.size = -1
    if has_times:
        times = timestamps_ms
        if times.shape[0] < count:
            raise ValueError("a column ends before its last row")
    if has_numbers:
        numbers = partitions
        if numbers.shape[0] < count:
            raise ValueError("a column ends before its last row")
    for row in range(start, count):
        if key_rows is not None:
            key_rows._read(row, &key)
        if value_rows is not None:
            value_rows._read(row, &value)
        answer = accumulator._append(
            topic, numbers[row] if has_numbers else partition, &key, &value, NULL, 0,
            times[row] if has_times else 0, callback,
        )
        if answer == WAKE:
            wakes = True
        elif answer != APPENDED:
            return row - start, wakes, answer
    return count - start, wakes, APPENDED
