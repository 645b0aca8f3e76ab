# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The native twin of ``_reference``: the same functions and answers; big work without the GIL.

Every read is bounded by the buffer it was handed, whatever the bytes in it say. ``backend`` chooses
one of the twins; nothing else imports either.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBUF_WRITABLE,
    PyBuffer_FillInfo,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.list cimport PyList_Append
from cpython.mem cimport (
    PyMem_Free,
    PyMem_RawCalloc,
    PyMem_RawFree,
    PyMem_RawMalloc,
    PyMem_RawRealloc,
    PyMem_Realloc,
)
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_SET_ITEM
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from ottla.records.batch import BatchHeader, read_header, truncated
from ottla.records.errors import BatchTooLarge, CorruptBatch
from ottla.records.record import Record, Walked
from ottla.records.rejection import invalid_record

cdef extern from "Python.h":
    ctypedef object (*allocfunc)(type, Py_ssize_t)
    ctypedef struct PyTypeObject:
        allocfunc tp_alloc
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL
    object PyUnicode_DecodeUTF8(const char*, Py_ssize_t, const char*)

cdef extern from "stdint.h":
    const int64_t INT64_MAX

cdef extern from *:
    void __builtin_prefetch(const void*) nogil

cdef extern from "_crc32c.h":
    int ottla_crc32c_prepare() nogil
    uint32_t ottla_crc32c(uint32_t, const uint8_t*, size_t) nogil

NAME = "native"

cdef bint _HAS_FAST_CRC = ottla_crc32c_prepare()

# About 5 us of work: below that, other threads gain less than switching costs.
cdef Py_ssize_t _RELEASE_GIL_BYTES = 65536
cdef Py_ssize_t _MAX_BATCH_BYTES = 0x7FFFFFFF

include "_native_format.pxi"


cdef object _new_named_tuple(type cls, tuple fields):
    # tuple.__new__(cls, fields) without the argument tuple and the iterator.
    cdef Py_ssize_t index, size = len(fields)
    cdef object item
    cdef object made = (<PyTypeObject*>cls).tp_alloc(cls, size)
    for index in range(size):
        item = fields[index]
        Py_INCREF(item)
        PyTuple_SET_ITEM(made, index, item)
    return made


cdef object _header_object(Header* header):
    return _new_named_tuple(
        <type>BatchHeader,
        (
            header.base_offset,
            header.batch_length_bytes,
            header.partition_leader_epoch,
            MAGIC,
            header.crc,
            header.attributes,
            header.last_offset_delta,
            header.base_timestamp_ms,
            header.max_timestamp_ms,
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
            header.record_count,
        ),
    )


# --- one record after the other ---

include "_native_walk.pxi"


cdef object _walked(Walk* walk):
    if walk.reason != OK:
        raise invalid_record(walk.reason, walk.index)
    return _new_named_tuple(
        <type>Walked, (walk.min_timestamp_ms, walk.max_timestamp_ms, walk.first_null_key)
    )


cdef inline void _c_header(object header, Header* out) except *:
    """What walking and decoding need of a ``BatchHeader``."""
    out.base_offset = header[0]
    out.attributes = header[5]
    out.last_offset_delta = header[6]
    out.base_timestamp_ms = header[7]
    out.max_timestamp_ms = header[8]
    out.record_count = header[12]


cdef int _check_range(Py_buffer* view, Py_ssize_t position, Py_ssize_t end) except -1:
    if not 0 <= position <= end <= view.len:
        raise ValueError(f"[{position}:{end}] is not within {view.len} bytes")
    return 0


# --- what the room calls ---

def crc32c(data, uint32_t seed=0):
    if not _HAS_FAST_CRC:
        from crc32c import crc32c as portable

        return portable(data, seed)
    cdef Py_buffer view
    cdef uint32_t crc
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    if view.len >= _RELEASE_GIL_BYTES:
        with nogil:
            crc = ottla_crc32c(seed, <const uint8_t*>view.buf, view.len)
    else:
        crc = ottla_crc32c(seed, <const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return crc


def check_batch(buffer, Py_ssize_t position):
    cdef Header header
    cdef Walk walk
    found = _check(buffer, position, &header, &walk, True)
    if header.attributes & CODEC_MASK:
        return found, None
    return found, _walked(&walk)


def check_crc(buffer, Py_ssize_t position):
    cdef Header header
    cdef Walk walk
    return _check(buffer, position, &header, &walk, False)


cdef object _check(
    object buffer, Py_ssize_t position, Header* header, Walk* walk, bint walks
):
    cdef Py_buffer view
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        return _check_view(buffer, &view, position, header, walk, walks)
    finally:
        PyBuffer_Release(&view)


cdef object _check_view(
    object buffer, Py_buffer* view, Py_ssize_t position, Header* header, Walk* walk, bint walks
):
    cdef const uint8_t* start
    cdef Py_ssize_t size_bytes, covered_bytes
    cdef uint32_t computed
    if position < 0 or view.len - position < _HEADER_SIZE_BYTES:
        read_header(buffer, position)
    start = <const uint8_t*>view.buf + position
    _load_header(start, header)
    size_bytes = <Py_ssize_t>header.batch_length_bytes + _LENGTH_OVERHEAD_BYTES
    if start[16] != MAGIC or size_bytes < _HEADER_SIZE_BYTES:
        read_header(buffer, position)
    if size_bytes > view.len - position:
        raise truncated(size_bytes, view.len - position)
    walks = walks and header.attributes & CODEC_MASK == 0
    covered_bytes = size_bytes - _ATTRIBUTES_POSITION
    if not _HAS_FAST_CRC:
        covered = memoryview(buffer)[position + _ATTRIBUTES_POSITION : position + size_bytes]
        computed = crc32c(covered)
        if computed == header.crc and walks:
            _walk(start + _HEADER_SIZE_BYTES, start + size_bytes, header, walk)
    elif size_bytes >= _RELEASE_GIL_BYTES:
        with nogil:
            computed = ottla_crc32c(0, start + _ATTRIBUTES_POSITION, covered_bytes)
            if computed == header.crc and walks:
                _walk(start + _HEADER_SIZE_BYTES, start + size_bytes, header, walk)
    else:
        computed = ottla_crc32c(0, start + _ATTRIBUTES_POSITION, covered_bytes)
        if computed == header.crc and walks:
            _walk(start + _HEADER_SIZE_BYTES, start + size_bytes, header, walk)
    if computed != header.crc:
        raise CorruptBatch(f"CRC-32C is {computed:#010x}, the batch says {header.crc:#010x}")
    return _header_object(header)


def walk_records(buffer, Py_ssize_t position, Py_ssize_t end, header):
    cdef Header fields
    cdef Walk walk
    cdef Py_buffer view
    cdef const uint8_t* start
    _c_header(header, &fields)
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        _check_range(&view, position, end)
        start = <const uint8_t*>view.buf
        if end - position >= _RELEASE_GIL_BYTES:
            with nogil:
                _walk(start + position, start + end, &fields, &walk)
        else:
            _walk(start + position, start + end, &fields, &walk)
    finally:
        PyBuffer_Release(&view)
    return _walked(&walk)


def stamp_plain_batch(
    buffer,
    Py_ssize_t position,
    Py_ssize_t end,
    int64_t base_offset,
    int32_t leader_epoch,
    int64_t now_ms,
    int64_t before_max_ms,
    int64_t after_max_ms,
):
    cdef Header header
    cdef Walk walk
    cdef Py_buffer view
    cdef uint8_t* start
    cdef bint is_plain
    PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
    try:
        _check_range(&view, position, end)
        start = <uint8_t*>view.buf + position
        if end - position >= _RELEASE_GIL_BYTES:
            with nogil:
                is_plain = _is_plain(start, end - position, &header, &walk)
        else:
            is_plain = _is_plain(start, end - position, &header, &walk)
        if not is_plain:
            return None
        if walk.max_timestamp_ms != NO_TIMESTAMP_MS and not _is_within(
            &walk, now_ms, before_max_ms, after_max_ms
        ):
            return None
        header.base_offset = base_offset
        header.partition_leader_epoch = leader_epoch
        _store64(start, <uint64_t>base_offset)
        _store32(start + _LENGTH_OVERHEAD_BYTES, <uint32_t>leader_epoch)
    finally:
        PyBuffer_Release(&view)
    return _header_object(&header)


cdef bint _is_plain(
    const uint8_t* start, Py_ssize_t size_bytes, Header* header, Walk* walk
) noexcept nogil:
    """Whether the bytes are one batch without attributes in which everything is right."""
    if size_bytes < _HEADER_SIZE_BYTES or start[16] != MAGIC or not _HAS_FAST_CRC:
        return False
    _load_header(start, header)
    if (
        <Py_ssize_t>header.batch_length_bytes + _LENGTH_OVERHEAD_BYTES != size_bytes
        or header.attributes != 0
        or header.record_count < 1
        or header.last_offset_delta != header.record_count - 1
    ):
        return False
    if header.crc != ottla_crc32c(
        0, start + _ATTRIBUTES_POSITION, size_bytes - _ATTRIBUTES_POSITION
    ):
        return False
    _walk(start + _HEADER_SIZE_BYTES, start + size_bytes, header, walk)
    return walk.reason == OK and walk.max_timestamp_ms == header.max_timestamp_ms


cdef inline bint _is_within(
    const Walk* walk, int64_t now_ms, int64_t before_max_ms, int64_t after_max_ms
) noexcept nogil:
    # Unsigned, because the difference of two timestamps may not fit a signed number.
    if walk.max_timestamp_ms > now_ms:
        if <uint64_t>walk.max_timestamp_ms - <uint64_t>now_ms > <uint64_t>after_max_ms:
            return False
    if walk.min_timestamp_ms < now_ms:
        if <uint64_t>now_ms - <uint64_t>walk.min_timestamp_ms > <uint64_t>before_max_ms:
            return False
    return True


def decode_records(buffer, Py_ssize_t position, Py_ssize_t end, header):
    cdef Header fields
    cdef Py_buffer view
    _c_header(header, &fields)
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        _check_range(&view, position, end)
        return _decode(
            <const uint8_t*>view.buf + position, <const uint8_t*>view.buf + end, &fields
        )
    finally:
        PyBuffer_Release(&view)


cdef list _decode(const uint8_t* position, const uint8_t* end, Header* header):
    cdef Fields fields
    cdef int64_t timestamp_ms, offset
    cdef int32_t index, offset_delta, last_offset_delta = -1
    cdef int reason
    cdef bint log_append_time = header.attributes & LOG_APPEND_TIME_FLAG
    cdef list records = []
    cdef object timestamp = header.base_timestamp_ms
    cdef int64_t timestamp_of_object = header.base_timestamp_ms
    if header.record_count < 0:
        raise invalid_record(RECORD_COUNT, 0)
    for index in range(header.record_count):
        reason = _read_fields(position, end, &fields)
        if reason != OK:
            raise invalid_record(reason, index)
        offset_delta = _zigzag32(fields.raw_offset_delta)
        if not last_offset_delta < offset_delta <= header.last_offset_delta:
            raise invalid_record(OFFSET_DELTA, index)
        last_offset_delta = offset_delta
        if log_append_time:
            timestamp_ms = header.max_timestamp_ms
        else:
            timestamp_ms = _timestamp_ms(header, fields.raw_timestamp_delta_ms)
        offset = <int64_t>(<uint64_t>header.base_offset + <uint64_t>last_offset_delta)
        if timestamp_ms != timestamp_of_object:
            timestamp = timestamp_ms
            timestamp_of_object = timestamp_ms
        PyList_Append(records, _record(offset, timestamp, &fields, index))
        position = fields.end
    if position != end:
        raise invalid_record(
            BATCH_GOES_ON, header.record_count - 1 if header.record_count > 0 else 0
        )
    return records


cdef inline object _bytes(const uint8_t* at, int32_t size):
    return None if size < 0 else PyBytes_FromStringAndSize(<const char*>at, size)


cdef inline void _set_item(object target, Py_ssize_t index, object item):
    Py_INCREF(item)
    PyTuple_SET_ITEM(target, index, item)


cdef object _record(object offset, object timestamp, Fields* fields, int32_t index):
    cdef object headers
    if fields.end - fields.header_count == 1 and fields.header_count[0] == 0:
        headers = ()
    else:
        headers = _headers(fields, index)
    cdef object key = _bytes(fields.key, fields.key_size)
    cdef object value = _bytes(fields.value, fields.value_size)
    cdef object made = (<PyTypeObject*>Record).tp_alloc(<type>Record, 5)
    _set_item(made, 0, offset)
    _set_item(made, 1, timestamp)
    _set_item(made, 2, key)
    _set_item(made, 3, value)
    _set_item(made, 4, headers)
    return made


cdef tuple _headers(Fields* fields, int32_t index):
    cdef const uint8_t* position = fields.header_count
    cdef int32_t count = 0, size = 0, number
    cdef object name
    cdef list headers = []
    cdef int reason = _read_header_count(&position, fields.end, &count)
    for number in range(count if reason == OK else 0):
        reason = _read_size(&position, fields.end, 0, HEADER_KEY_SIZE, &size)
        if reason != OK:
            break
        # Brokers don't check that header keys are UTF-8, so readers must cope, as Java's do.
        name = PyUnicode_DecodeUTF8(<const char*>position, size, b"replace")
        position += size
        reason = _read_size(&position, fields.end, -1, HEADER_VALUE_SIZE, &size)
        if reason != OK:
            break
        headers.append((name, _bytes(position, size)))
        if size > 0:
            position += size
    if reason == OK and position != fields.end:
        reason = RECORD_GOES_ON
    if reason != OK:
        raise invalid_record(reason, index)
    return tuple(headers)


# --- encoding ---

include "_native_encode.pxi"


# --- compaction ---

include "_native_compaction.pxi"
