# The shortest way from a fetched partition to the application; part of _native.pyx.


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
