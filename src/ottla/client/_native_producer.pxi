# produce(), send() and poll(); part of _native.pyx, which includes it.

cdef class ProducerBase:
    cdef readonly Accumulator _accumulator
    cdef public bint _is_parking
    cdef object _wake, _default_callback, _refusal, _make_future, _loop

    def __init__(
        self, Accumulator accumulator not None, wake not None, default_callback=None,
        make_future=None,
    ):
        self._accumulator = accumulator
        self._wake = wake
        self._default_callback = default_callback
        self._refusal = None
        self._make_future = make_future

    def _refuse(self, exception):
        self._refusal = exception

    def _make_futures_on(self, loop):
        self._loop = loop

    def _check_may_produce(self):
        if self._refusal is not None:
            # Another one each time: an exception keeps the frames of all its raises.
            raise type(self._refusal)(*self._refusal.args)

    def produce(
        self, str topic not None, value=None, key=None, partition=-1, callback=None,
        on_delivery=None, timestamp=0, headers=None, *, timeout=0,
    ):
        if self._refusal is not None:
            self._check_may_produce()
        if callback is None:
            callback = on_delivery if on_delivery is not None else self._default_callback
        cdef int32_t number = (
            <int32_t>partition if type(partition) is int else <int32_t>index(partition)
        )
        cdef int64_t timestamp_ms = (
            <int64_t>timestamp if type(timestamp) is int else <int64_t>index(timestamp)
        )
        cdef int answer = self._accumulator._append_objects(
            topic, number, key, value, headers, timestamp_ms, callback
        )
        # A busy application would keep the engine waiting for the interpreter's switch interval.
        if waiting_engines > 0:
            give_way()
        if answer != APPENDED:
            if answer == QUEUE_FULL and timeout != 0:
                answer = self._append_with_room(
                    timeout, topic, number, key, value, headers, timestamp_ms, callback
                )
            if answer == WAKE:
                self._wake()
            elif answer != APPENDED:
                raise refusal(answer)
        if self._accumulator._is_to_pause:
            self._accumulator._pause()

    def send(
        self, str topic not None, value=None, key=None, partition=-1, timestamp=0, headers=None,
        *, timeout=0,
    ):
        if self._refusal is not None:
            self._check_may_produce()
        cdef int32_t number = (
            <int32_t>partition if type(partition) is int else <int32_t>index(partition)
        )
        cdef int64_t timestamp_ms = (
            <int64_t>timestamp if type(timestamp) is int else <int64_t>index(timestamp)
        )
        cdef object future
        if self._loop is None:
            future = self._make_future()
        else:
            future = DeliveryFuture.__new__(DeliveryFuture)
            (<DeliveryFuture>future)._loop = self._loop
        self._accumulator.has_futures = True
        cdef int answer = QUEUE_FULL
        if not self._is_parking:
            answer = self._accumulator._append_objects(
                topic, number, key, value, headers, timestamp_ms, future
            )
        if answer == APPENDED:
            return future
        if answer == QUEUE_FULL:
            answer = self._append_with_room(
                timeout, topic, number, key, value, headers, timestamp_ms, future
            )
        if answer == WAKE:
            self._wake()
        elif answer != APPENDED:
            raise refusal(answer)
        return future

    def _append_with_room(
        self, timeout, topic, partition, key, value, headers, timestamp_ms, callback
    ):
        return QUEUE_FULL

    def __len__(self):
        return self._accumulator.message_count


cdef class PollingProducerBase(ProducerBase):
    cdef tuple _news
    cdef int64_t _count_at_last_poll

    def __init__(
        self, Accumulator accumulator not None, wake not None, default_callback=None,
        make_future=None, tuple news=(),
    ):
        ProducerBase.__init__(self, accumulator, wake, default_callback, make_future)
        self._news = news

    def poll(self, timeout=-1):
        """Call the callbacks of what has happened; if nothing has, wait for it first.

        Args:
            timeout: how many seconds to wait at most; negative (and by default) without limit.

        Returns:
            How many events were served: callbacks called, and messages delivered without one.

        Raises:
            Exception: what a callback raised, after all others were called.
        """
        if waiting_engines > 0:
            give_way()
        if type(timeout) is int and timeout == 0 and self._refusal is None:
            for each in self._news:
                if len(each) > 0:
                    break
            else:
                self._yield_if_spinning()
                return 0
        return self._serve(timeout)

    cdef inline void _yield_if_spinning(self) noexcept:
        """Who polls in a loop for what is under way has nothing better to do with the processor:
        those that bring it about may need this very core."""
        cdef int64_t count = self._accumulator.message_count
        if count > 0 and count == self._count_at_last_poll:
            with nogil:
                sched_yield()
        self._count_at_last_poll = count
