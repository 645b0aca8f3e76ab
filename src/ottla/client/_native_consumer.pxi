# The shortest way from a fetched partition to the application; part of _native.pyx.


cdef enum:
    MOST_CONSUMED = 1_000_000


cdef class ConsumerBase:
    cdef public MessageCursor _cursor
    cdef public bint _has_news, _has_polled

    def __init__(self):
        self._cursor = None
        self._has_news = False
        self._has_polled = False

    def poll(self, timeout=-1):
        cdef Message message
        if waiting_engines > 0:
            give_way()
        if self._cursor is not None and not self._has_news and timeout is not None:
            message = self._cursor._next()
            if message is not None:
                self._has_polled = True
                return message
        return self._poll(timeout)

    def consume(self, num_messages=1, timeout=-1):
        cdef list messages = []
        if waiting_engines > 0:
            give_way()
        if (
            self._cursor is not None
            and not self._has_news
            and type(num_messages) is int
            and 0 < num_messages <= MOST_CONSUMED
            and (type(timeout) is float or type(timeout) is int)
        ):
            messages = self._cursor.take(num_messages)
            if len(messages) == num_messages:
                self._has_polled = True
                return messages
        return self._consume(num_messages, timeout, messages)
