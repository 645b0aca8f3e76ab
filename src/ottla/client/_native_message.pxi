# The message a user sees; part of _native.pyx, which includes it.

cdef enum:
    NO_OFFSET = -1001
    CREATE_TIME = 1
    LOG_APPEND_TIME = 2


@cython.freelist(1024)
cdef class Message:
    """One consumed or produced message, or what happened instead of it: see ``error()``."""

    cdef object _topic, _key, _value, _headers, _error
    cdef int64_t _offset, _timestamp_ms
    cdef double _latency_seconds
    cdef int32_t _partition, _timestamp_type, _leader_epoch
    cdef int16_t _delivery_count
    # The record that key and value are still to be read from; whoever set it sees to it that it is
    # read, or the message gone, before the record is.
    cdef const Fields* _unread

    def __cinit__(self):
        self._partition = -1
        self._offset = NO_OFFSET
        self._latency_seconds = -1.0
        self._leader_epoch = -1
        self._delivery_count = -1

    def __init__(
        self,
        topic=None,
        partition=-1,
        offset=NO_OFFSET,
        key=None,
        value=None,
        headers=None,
        error=None,
        timestamp=None,
        double latency=-1.0,
        leader_epoch=-1,
        delivery_count=-1,
    ):
        cdef int32_t timestamp_type = 0
        cdef int64_t timestamp_ms = 0
        if timestamp is not None:
            if type(timestamp) is not tuple or len(<tuple>timestamp) != 2:
                raise TypeError("timestamp must be a tuple of (int, int)")
            timestamp_type, timestamp_ms = timestamp
        self._topic = topic
        self._partition = index(partition)
        self._offset = index(offset)
        self._key = key
        self._value = value
        self._headers = headers
        self._error = error
        self._timestamp_type = timestamp_type
        self._timestamp_ms = timestamp_ms
        self._latency_seconds = latency
        self._leader_epoch = index(leader_epoch)
        self._delivery_count = index(delivery_count)

    @classmethod
    def __class_getitem__(cls, parameters):
        return cls

    def topic(self):
        """The topic's name."""
        return self._topic

    def partition(self):
        """The partition, None when there is none."""
        return self._partition if self._partition >= 0 else None

    def offset(self):
        """The offset, None when there is none."""
        return self._offset if self._offset >= 0 else None

    cdef int _read(self) except -1:
        """Make objects of key and value; what runs Python code is not among them."""
        cdef const Fields* fields = self._unread
        if fields != NULL:
            self._key = _bytes(fields.key, fields.key_size)
            self._value = _bytes(fields.value, fields.value_size)
            self._unread = NULL
        return 0

    def key(self):
        """The key, or what ``set_key`` put there."""
        if self._unread != NULL:
            self._read()
        return self._key

    def value(self):
        """The value, or what ``set_value`` put there."""
        if self._unread != NULL:
            self._read()
        return self._value

    def deserialized_key(self):
        """The same as ``key()``, typed as a deserializer's result."""
        self._read()
        return self._key

    def deserialized_value(self):
        """The same as ``value()``, typed as a deserializer's result."""
        self._read()
        return self._value

    def headers(self):
        """A list of (name, value) tuples, None without headers."""
        return self._headers

    def error(self):
        """The ``KafkaError`` this message stands for, None for a proper message."""
        return self._error

    def timestamp(self):
        """The timestamp's type (one of ``TIMESTAMP_*``) and milliseconds since the epoch."""
        return self._timestamp_type, self._timestamp_ms

    def latency(self):
        """Seconds from ``produce()`` to the broker's answer, None for a consumed message."""
        return self._latency_seconds if self._latency_seconds >= 0.0 else None

    def leader_epoch(self):
        """The epoch of the leader that appended the message, None when unknown."""
        return self._leader_epoch if self._leader_epoch >= 0 else None

    def delivery_count(self):
        """How often a share group has delivered the message, None elsewhere."""
        return self._delivery_count if self._delivery_count > 0 else None

    cdef int _track(self) except -1:
        self._read()
        # Messages of the client refer to texts and bytes only; what a user puts in may be cyclic.
        if not PyObject_GC_IsTracked(self):
            PyObject_GC_Track(<void*>self)
        return 0

    def set_topic(self, value, /):
        """Replace the topic."""
        self._track()
        self._topic = value

    def set_key(self, value, /):
        """Replace the key by any object."""
        self._track()
        self._key = value

    def set_value(self, value, /):
        """Replace the value by any object."""
        self._track()
        self._value = value

    def set_headers(self, value, /):
        """Replace the headers by any object."""
        self._track()
        self._headers = value

    def set_error(self, value, /):
        """Replace the error by any object."""
        self._track()
        self._error = value

    def __len__(self):
        self._read()
        return 0 if self._value is None else len(self._value)

    def __bool__(self):
        # A message is as true as its value is long.
        self._read()
        return self._value is not None and len(self._value) > 0

    __hash__ = None

    def __eq__(self, other):
        if not isinstance(other, Message):
            return NotImplemented
        cdef Message that = <Message>other
        self._read()
        that._read()
        return (
            self._partition == that._partition
            and self._offset == that._offset
            and self._leader_epoch == that._leader_epoch
            and self._timestamp_ms == that._timestamp_ms
            and self._topic == that._topic
            and self._key == that._key
            and self._value == that._value
            and self._headers == that._headers
            and self._error == that._error
        )

    def __reduce__(self):
        self._read()
        return type(self), (
            self._topic,
            self._partition,
            self._offset,
            self._key,
            self._value,
            self._headers,
            self._error,
            (self._timestamp_type, self._timestamp_ms),
            self._latency_seconds,
            self._leader_epoch,
            self._delivery_count,
        )


cdef inline object _bytes(const uint8_t* at, int32_t size):
    return None if size < 0 else PyBytes_FromStringAndSize(<const char*>at, size)


cdef list _header_list(Fields* fields):
    """The headers as (name, value) tuples; the record has been walked, the reading is bounded."""
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
    if reason != OK:
        raise invalid_record(reason, 0)
    return headers


cdef inline bint _has_headers(const Fields* fields) noexcept:
    return fields.end - fields.header_count != 1 or fields.header_count[0] != 0
