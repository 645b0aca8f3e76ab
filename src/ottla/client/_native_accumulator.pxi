# From produce() to batches; part of _native.pyx, which includes it.

cdef enum:
    APPENDED = 0
    WAKE = 1
    QUEUE_FULL = 2
    TOO_LARGE = 3
    UNKNOWN_PARTITION = 4
    UNKNOWN_TOPIC = 5
    _INLINE_PIECES = 32
    _PAUSE_EVERY_BYTES = 1 << 20
    _LONGEST_PAUSE_NS = 1_000_000


cdef class _Queue:
    """The batches of one partition that nobody has taken yet; partition -1 is not chosen yet."""

    cdef _Topic topic
    cdef int32_t partition
    cdef ProducerBatch open
    cdef list sealed
    cdef bint is_active
    cdef bint is_retired  # its records wait elsewhere now

    def __cinit__(self):
        self.sealed = []


cdef class _Topic:
    cdef str name
    cdef int32_t partition_count  # 0: not known yet
    cdef list queues  # by partition, once the count is known
    cdef dict waiting  # by partition, until then
    cdef bint is_refused
    cdef int32_t sticky_partition
    cdef int64_t sticky_since_ms

    def __cinit__(self):
        self.queues = []
        self.waiting = {}
        self.sticky_partition = -1


cdef class Accumulator:
    cdef dict _topics
    cdef str _last_name
    cdef _Topic _last_topic
    cdef list _active
    cdef int64_t _batch_size_bytes, _max_bytes, _max_message_bytes, _sticky_linger_ms
    cdef int32_t _batch_max_records
    cdef int _partitioner
    cdef uint64_t _random_state
    cdef object _clock
    cdef bint _engine_is_awake
    cdef int64_t _max_messages
    cdef readonly int64_t message_count, byte_count
    cdef public int64_t linger_ms
    cdef public bint is_flushing, has_futures
    cdef readonly int64_t ahead_bytes, pause_count
    cdef int64_t _most_ahead_bytes, _unpaused_bytes
    cdef bint _is_to_pause
    cdef int _returned_batches, _pausing_threads

    def __init__(
        self,
        *,
        int64_t batch_size_bytes=1_000_000,
        int32_t batch_max_records=10_000,
        int64_t linger_ms=5,
        int64_t max_messages=100_000,
        int64_t max_bytes=1 << 30,
        int64_t max_message_bytes=1_000_000,
        str partitioner="consistent_random",
        int64_t sticky_linger_ms=10,
        uint64_t seed=0,
        most_ahead_bytes=None,
        clock=None,
    ):
        self._topics = {}
        self._active = []
        self._batch_size_bytes = min(batch_size_bytes, max_message_bytes)
        self._batch_max_records = batch_max_records
        self.linger_ms = linger_ms
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._max_message_bytes = min(max_message_bytes, <int64_t>_MAX_BATCH_BYTES)
        self._partitioner = PARTITIONERS.index(partitioner)
        self._sticky_linger_ms = sticky_linger_ms
        self._random_state = seed
        self._clock = clock
        self._most_ahead_bytes = INT64_MAX if most_ahead_bytes is None else most_ahead_bytes

    def __len__(self):
        return self.message_count

    @property
    def is_full(self):
        return self.message_count >= self._max_messages or self.byte_count >= self._max_bytes

    # --- the application's threads ---

    def append(
        self, str topic not None, int32_t partition=-1, key=None, value=None, headers=None,
        int64_t timestamp_ms=0, callback=None,
    ):
        return self._append_objects(topic, partition, key, value, headers, timestamp_ms, callback)

    cdef int _append_objects(
        self, str topic, int32_t partition, object key, object value, object headers,
        int64_t timestamp_ms, object callback,
    ) except -1:
        cdef Piece key_piece, value_piece
        _piece(value, &value_piece)
        _piece(key, &key_piece)
        if headers is None:
            return self._append(
                topic, partition, &key_piece, &value_piece, NULL, 0, timestamp_ms, callback
            )
        cdef tuple flat = _flat_headers(headers)
        cdef Py_ssize_t index, count = PyTuple_GET_SIZE(flat)
        cdef Piece[_INLINE_PIECES] inline
        cdef Piece* pieces = inline
        if count > _INLINE_PIECES:
            pieces = <Piece*>PyMem_RawMalloc(count * sizeof(Piece))
            if pieces == NULL:
                raise MemoryError
        try:
            for index in range(count):
                _piece(<object>PyTuple_GET_ITEM(flat, index), &pieces[index])
            return self._append(
                topic, partition, &key_piece, &value_piece, pieces, count // 2, timestamp_ms,
                callback,
            )
        finally:
            if pieces != inline:
                PyMem_RawFree(pieces)

    cdef int _append(
        self, str topic, int32_t partition, Piece* key, Piece* value, Piece* headers,
        Py_ssize_t header_count, int64_t timestamp_ms, object callback,
    ) except -1:
        cdef int64_t now_us, wall_ms = timestamp_ms
        cdef bint is_full
        cdef _Queue queue
        cdef _Topic entry = self._topic(topic)
        cdef Py_ssize_t tail, size
        if entry.is_refused:
            return UNKNOWN_TOPIC
        if entry.partition_count and (partition >= entry.partition_count or partition < -1):
            return UNKNOWN_PARTITION
        tail = _sized(key.size) + _sized(value.size) + _headers_size(headers, header_count)
        # A first record's deltas are one byte each, as is the byte of attributes.
        size = tail + 3
        size += _varint_size(size)
        if _HEADER_SIZE_BYTES + size > self._max_message_bytes:
            return TOO_LARGE
        if (
            self.message_count >= self._max_messages
            or self.byte_count + size > self._max_bytes
        ):
            return QUEUE_FULL
        if timestamp_ms == 0:
            wall_ms = ottla_wall_ms() if self._clock is None else self._clock.wall_ms()
        now_us = self._monotonic_us() if callback is not None else 0
        while True:
            queue = self._queue(entry, partition, key)
            is_full = self._open(queue, tail, wall_ms, callback is not None)
            if not queue.is_retired:
                break
        return self._commit(
            queue, tail, key, value, headers, header_count, wall_ms, callback, now_us, is_full
        )

    cdef inline int _commit(
        self, _Queue queue, Py_ssize_t tail, Piece* key, Piece* value, Piece* headers,
        Py_ssize_t header_count, int64_t timestamp_ms, object callback, int64_t now_us,
        bint is_full,
    ) except -1:
        cdef ProducerBatch batch = queue.open
        cdef Py_ssize_t before, index
        cdef uint8_t* at
        before = batch._size_bytes
        at = batch._begin_record(batch._body_size(tail, timestamp_ms), timestamp_ms)
        at = _put_bytes(at, key.data, key.size)
        at = _put_bytes(at, value.data, value.size)
        at = _put_varint(at, header_count)
        for index in range(header_count * 2):
            at = _put_bytes(at, headers[index].data, headers[index].size)
        self.message_count += 1
        self.byte_count += batch._size_bytes - before
        if callback is not None:
            batch._remember(callback, now_us)
        is_full = is_full or batch.record_count >= self._batch_max_records
        return self._activated(queue, is_full)

    cdef inline int _activated(self, _Queue queue, bint is_full) except -1:
        if not queue.is_active:
            queue.is_active = True
            self._active.append(queue)
        elif not is_full:
            return APPENDED
        if self._engine_is_awake:
            return APPENDED
        self._engine_is_awake = True
        return WAKE

    cdef bint _open(
        self, _Queue queue, Py_ssize_t tail, int64_t timestamp_ms, bint with_callback
    ) except -1:
        """See to it that the open batch has room; whether another batch was closed for that.

        Making an object may run the garbage collector and with it other threads: whatever was made
        is used only if the queue still is as it was.
        """
        cdef ProducerBatch batch, made
        cdef Py_ssize_t body
        cdef list callbacks
        cdef bint closed = False
        while True:
            batch = queue.open
            if batch is not None:
                body = batch._body_size(tail, timestamp_ms)
                if (
                    batch._size_bytes + _varint_size(body) + body <= self._batch_size_bytes
                    and batch.record_count < self._batch_max_records
                ) or batch.record_count == 0:
                    if not with_callback or batch._callbacks is not None:
                        return closed
                    callbacks = []
                    if batch._callbacks is None:
                        batch._callbacks = callbacks
                    continue
            made = self._new_batch(
                queue.topic.name, queue.partition, self._monotonic_us() // 1000
            )
            if with_callback:
                made._callbacks = []
            if batch is not None:
                # The next one will be as large: growing step by step would copy it.
                made._grow(batch._capacity_bytes // 4)
            if queue.open is not batch:
                continue
            if batch is not None:
                queue.sealed.append(batch)
                self._closed(batch)
                closed = True
            queue.open = made

    cdef inline void _closed(self, ProducerBatch batch) noexcept:
        batch._is_ahead = True
        self.ahead_bytes += batch._size_bytes
        self._unpaused_bytes += batch._size_bytes
        if self.ahead_bytes > self._most_ahead_bytes and self._unpaused_bytes > _PAUSE_EVERY_BYTES:
            self._is_to_pause = True

    cdef void _returned(self, ProducerBatch batch) noexcept:
        if batch._is_ahead:
            batch._is_ahead = False
            self.ahead_bytes -= batch._size_bytes
            ottla_come_back(&self._returned_batches, &self._pausing_threads)

    cdef void _pause(self) noexcept:
        """Let a batch that was sent come back, so that its memory, still warm, takes the next one.

        For a moment only: who produces faster than brokers answer loses a millisecond for each
        MiB, less than confluent_kafka takes for it, and less than touching fresh memory may cost.
        """
        cdef int seen = self._returned_batches
        self._is_to_pause = False
        self._unpaused_bytes = 0
        self.pause_count += 1
        with nogil:
            ottla_await_return(
                &self._returned_batches, &self._pausing_threads, seen, _LONGEST_PAUSE_NS
            )

    cdef inline int64_t _monotonic_us(self) except -1:
        # Read when a batch begins or a latency will be asked for, not for every record.
        if self._clock is None:
            return ottla_monotonic_us()
        return <int64_t>(<double>self._clock.monotonic() * 1e6)

    cdef ProducerBatch _new_batch(self, str topic, int32_t partition, int64_t now_ms):
        cdef ProducerBatch made = ProducerBatch.__new__(ProducerBatch)
        made.topic = topic
        made.partition = partition
        made.created_ms = now_ms
        made._owner = self
        return made

    cdef inline _Topic _topic(self, str name):
        # Mostly it is the very object that it was the last time.
        if name is self._last_name:
            return self._last_topic
        cdef PyObject* found = PyDict_GetItem(self._topics, name)
        if found != NULL:
            self._last_name = name
            self._last_topic = <_Topic>found
            return <_Topic>found
        cdef _Topic made = _Topic.__new__(_Topic)
        made.name = name
        return self._topics.setdefault(name, made)

    cdef inline _Queue _queue(self, _Topic topic, int32_t partition, Piece* key):
        if topic.partition_count == 0:
            return self._waiting_queue(topic, partition)
        if partition < 0:
            partition = self._choose(topic, key)
        return <_Queue>PyList_GET_ITEM(topic.queues, partition)

    cdef _Queue _waiting_queue(self, _Topic topic, int32_t partition):
        cdef _Queue queue = topic.waiting.get(partition)
        if queue is not None:
            return queue
        return topic.waiting.setdefault(partition, _new_queue(topic, partition))

    cdef inline int32_t _choose(self, _Topic topic, Piece* key) except -1:
        cdef bint is_hashed = key.size > 0
        if key.size == 0:
            # An empty key is a key, except to the default partitioner.
            is_hashed = self._partitioner != CONSISTENT_RANDOM
        if self._partitioner in (CONSISTENT, MURMUR2, FNV1A):
            is_hashed = True
        if is_hashed and self._partitioner != RANDOM:
            return <int32_t>(
                _hashed(self._partitioner, key.data, key.size if key.size > 0 else 0)
                % <uint32_t>topic.partition_count
            )
        if key.size > 0 or self._sticky_linger_ms <= 0:
            return self._random_below(topic.partition_count)
        return self._sticky(topic)

    cdef inline int32_t _sticky(self, _Topic topic) except -1:
        """A partition for records without a key: the same one while its batch fills (KIP-480)."""
        cdef int32_t chosen = topic.sticky_partition
        cdef int64_t now_ms
        if chosen >= 0 and (<_Queue>PyList_GET_ITEM(topic.queues, chosen)).open is not None:
            return chosen
        now_ms = self._monotonic_us() // 1000
        if chosen >= 0:
            if now_ms - topic.sticky_since_ms < self._sticky_linger_ms:
                return chosen
        if topic.partition_count > 1 and chosen >= 0:
            chosen = (
                chosen + 1 + self._random_below(topic.partition_count - 1)
            ) % topic.partition_count
        else:
            chosen = self._random_below(topic.partition_count)
        topic.sticky_partition = chosen
        topic.sticky_since_ms = now_ms
        return chosen

    cdef inline int32_t _random_below(self, int32_t bound) noexcept:
        # splitmix64: a step and a mix, enough to spread records.
        self._random_state += <uint64_t>0x9E3779B97F4A7C15
        cdef uint64_t mixed = self._random_state
        mixed = (mixed ^ mixed >> 30) * <uint64_t>0xBF58476D1CE4E5B9
        mixed = (mixed ^ mixed >> 27) * <uint64_t>0x94D049BB133111EB
        mixed ^= mixed >> 31
        return <int32_t>((mixed >> 32) % <uint32_t>bound)

    # --- the engine ---

    @property
    def has_batches(self):
        return PyList_GET_SIZE(self._active) > 0

    def ready(self, int64_t now_ms):
        cdef list found = [], kept
        cdef int64_t next_ms = -1, due_ms
        cdef _Queue queue
        self._engine_is_awake = False
        for queue in list(self._active):
            if queue.open is None and not queue.sealed:
                queue.is_active = False
                continue
            if queue.topic.partition_count == 0:
                continue
            due_ms = self._due_ms(queue)
            if due_ms <= now_ms:
                found.append((queue.topic.name, queue.partition))
            elif next_ms < 0 or due_ms < next_ms:
                next_ms = due_ms
        kept = []
        for queue in self._active:
            if queue.is_active:
                kept.append(queue)
        self._active = kept
        return found, None if next_ms < 0 else next_ms

    cdef int64_t _due_ms(self, _Queue queue):
        cdef ProducerBatch batch = queue.open
        if (
            queue.sealed
            or self.is_flushing
            or batch.record_count >= self._batch_max_records
            or batch._size_bytes >= self._batch_size_bytes
        ):
            return -1
        return batch.created_ms + self.linger_ms

    def take(self, str topic not None, int32_t partition):
        cdef _Topic entry = self._topics.get(topic)
        cdef _Queue queue
        cdef ProducerBatch batch
        if entry is None or not 0 <= partition < entry.partition_count:
            return None
        queue = entry.queues[partition]
        if queue.sealed:
            batch = queue.sealed.pop(0)
        else:
            batch = queue.open
            if batch is None or batch.record_count == 0:
                return None
            queue.open = None
        if queue.is_active and queue.open is None and not queue.sealed:
            queue.is_active = False
            self._active.remove(queue)
        return batch

    def unassigned_topics(self):
        cdef _Topic entry
        cdef list names = []
        for entry in list(self._topics.values()):
            if entry.partition_count == 0 and not entry.is_refused:
                names.append(entry.name)
        return names

    def set_partition_count(self, str topic not None, int32_t partition_count):
        cdef _Topic entry = self._topic(topic)
        cdef _Queue queue
        cdef list orphans = []
        cdef dict waiting
        if partition_count <= 0:
            raise ValueError(f"a topic has at least one partition, not {partition_count}")
        queues = list(entry.queues)
        while len(queues) < partition_count:
            queue = entry.waiting.get(len(queues))
            queues.append(queue if queue is not None else _new_queue(entry, len(queues)))
        waiting, entry.waiting = entry.waiting, {}
        entry.queues = queues
        entry.is_refused = False
        entry.partition_count = max(partition_count, entry.partition_count)
        for number, queue in sorted(waiting.items()):
            queue.is_retired = not 0 <= number < entry.partition_count
            if number == -1:
                for batch in _emptied(queue):
                    self._assign(entry, batch)
            elif queue.is_retired:
                orphans += _emptied(queue)
        return orphans

    cdef int _assign(self, _Topic entry, ProducerBatch source) except -1:
        """Move records that waited for their topic into the batches of chosen partitions."""
        cdef const uint8_t* position = source._data + _HEADER_SIZE_BYTES
        cdef Fields fields
        cdef Piece key
        cdef int32_t index
        cdef int64_t timestamp_ms
        cdef _Queue queue
        for index in range(source.record_count):
            _read_own(position, source, &fields)
            position = fields.end
            key.data = fields.key
            key.size = fields.key_size
            timestamp_ms = source.base_timestamp_ms + _zigzag64(fields.raw_timestamp_delta_ms)
            queue = self._queue(entry, -1, &key)
            self._open(
                queue, fields.end - _tail(&fields), timestamp_ms,
                source._callback(index) is not None,
            )
            queue.open._copy_record(source, index, &fields, timestamp_ms)
            self._activated(queue, False)
        source.release()
        return 0

    def refuse_topic(self, str topic not None):
        cdef _Topic entry = self._topic(topic)
        entry.is_refused = True
        return self._emptied_topic(entry)

    def take_all(self):
        cdef list taken = []
        for entry in list(self._topics.values()):
            taken += self._emptied_topic(entry)
        return taken

    cdef list _emptied_topic(self, _Topic entry):
        cdef list taken = []
        for queue in [*entry.queues, *entry.waiting.values()]:
            taken += _emptied(queue)
        return taken

    def take_created_before(self, int64_t limit_ms):
        cdef list taken = []
        cdef _Queue queue
        for queue in list(self._active):
            while queue.sealed and (<ProducerBatch>queue.sealed[0]).created_ms < limit_ms:
                taken.append(queue.sealed.pop(0))
            if not queue.sealed and queue.open is not None and queue.open.created_ms < limit_ms:
                taken += _emptied(queue)
        return taken

    cdef inline void _released(self, int64_t records, int64_t size_bytes) noexcept:
        self.message_count -= records
        self.byte_count -= size_bytes


cdef _Queue _new_queue(_Topic topic, int32_t partition):
    cdef _Queue made = _Queue.__new__(_Queue)
    made.topic = topic
    made.partition = partition
    return made


cdef list _emptied(_Queue queue):
    cdef ProducerBatch batch = queue.open
    cdef list taken = queue.sealed
    queue.open = None
    queue.sealed = []
    if batch is not None:
        taken.append(batch)
    return taken


cdef inline int _piece(object content, Piece* piece) except -1:
    """The bytes of a key or value; they live as long as ``content``."""
    if type(content) is bytes or isinstance(content, bytes):
        piece.data = <const uint8_t*>PyBytes_AS_STRING(content)
        piece.size = PyBytes_GET_SIZE(content)
    elif content is None:
        piece.data = NULL
        piece.size = -1
    elif isinstance(content, str):
        piece.data = <const uint8_t*>PyUnicode_AsUTF8AndSize(content, &piece.size)
    else:
        raise TypeError(f"a key or value must be bytes, str or None, not {type(content).__name__}")
    return 0


cdef inline Py_ssize_t _headers_size(const Piece* headers, Py_ssize_t count) noexcept:
    cdef Py_ssize_t index, size = _varint_size(count)
    for index in range(count * 2):
        size += _sized(headers[index].size)
    return size


cdef tuple _flat_headers(object headers):
    """Names and values in turn, each bytes, str or None, held for as long as they are read."""
    cdef list flat
    cdef object pair, name, value
    if type(headers) is list:
        flat = []
        for pair in <list>headers:
            if type(pair) is not tuple or PyTuple_GET_SIZE(pair) != 2:
                return tuple(header_pairs(headers))
            name = <object>PyTuple_GET_ITEM(pair, 0)
            value = <object>PyTuple_GET_ITEM(pair, 1)
            if type(name) is not str or not (
                value is None or type(value) is bytes or type(value) is str
            ):
                return tuple(header_pairs(headers))
            flat.append(name)
            flat.append(value)
        return PyList_AsTuple(flat)
    return tuple(header_pairs(headers))
