# What aio's send() returns; part of _native.pyx, which includes it.

cdef enum:
    _PENDING = 0
    _FINISHED = 1
    _CANCELLED = 2


# Without a freelist: what comes from one is never finalized a second time.
cdef class DeliveryFuture:
    """The future of a delivery: as ``asyncio.Future``, but made and settled many at a time.

    The callbacks of all futures of a batch run in one callback of the loop, not in one each.
    """

    cdef object _loop, _result
    # This, and `_make_cancelled_error`, asyncio.gather asks of its futures.
    cdef readonly object _cancel_message
    # Pairs of callback and context; None as long as there is none.
    cdef list _callbacks
    cdef int _state
    cdef bint _is_unseen
    # By this asyncio knows a future, and a task one that it waits for.
    cdef public bint _asyncio_future_blocking

    def __init__(self, loop):
        self._loop = loop

    def __class_getitem__(cls, parameters):
        return cls

    def get_loop(self):
        """The loop it belongs to."""
        return self._loop

    def done(self):
        """Whether there is an outcome."""
        return self._state != _PENDING

    def cancelled(self):
        """Whether awaiting was given up; the message is delivered all the same."""
        return self._state == _CANCELLED

    def cancel(self, msg=None):
        """Give up awaiting; False when there is an outcome already."""
        if self._state != _PENDING:
            return False
        self._state = _CANCELLED
        self._cancel_message = msg
        self._schedule()
        return True

    def result(self):
        """The message; raises what prevented its delivery."""
        if self._state == _FINISHED:
            if isinstance(self._result, BaseException):
                self._is_unseen = False
                raise self._result
            return self._result
        raise self._no_outcome()

    def exception(self):
        """What prevented the delivery, None if nothing did."""
        if self._state == _FINISHED:
            if isinstance(self._result, BaseException):
                self._is_unseen = False
                return self._result
            return None
        raise self._no_outcome()

    def _no_outcome(self):
        import asyncio

        if self._state == _PENDING:
            return asyncio.InvalidStateError("Result is not ready.")
        return self._make_cancelled_error()

    def _make_cancelled_error(self):
        import asyncio

        if self._cancel_message is None:
            return asyncio.CancelledError()
        return asyncio.CancelledError(self._cancel_message)

    def set_result(self, result):
        """Settle it."""
        if self._settle(result):
            self._schedule()

    def set_exception(self, exception):
        """Settle it with what is to be raised."""
        if self._settle(exception):
            self._schedule()

    cdef bint _settle(self, object result):
        """Take over the outcome; whether somebody has to be told."""
        if self._state != _PENDING:
            return False
        self._state = _FINISHED
        self._result = result
        self._is_unseen = isinstance(result, BaseException)
        return self._callbacks is not None

    def add_done_callback(self, callback, *, context=None):
        """Have ``callback(future)`` called, by the loop, when there is an outcome."""
        if context is None:
            context = copy_context()
        if self._state != _PENDING:
            self._loop.call_soon(callback, self, context=context)
        elif self._callbacks is None:
            self._callbacks = [(callback, context)]
        else:
            self._callbacks.append((callback, context))

    def remove_done_callback(self, callback):
        """Forget a callback; how often it was there."""
        if self._callbacks is None:
            return 0
        kept = [pair for pair in self._callbacks if pair[0] != callback]
        removed = len(self._callbacks) - len(kept)
        self._callbacks = kept or None
        return removed

    cdef int _schedule(self) except -1:
        if self._callbacks is not None:
            self._loop.call_soon(_run_callbacks, [self])
        return 0

    def __await__(self):
        if self._state == _PENDING:
            self._asyncio_future_blocking = True
            yield self
        if self._state == _PENDING:
            raise RuntimeError("await wasn't used with future")
        return self.result()

    def __iter__(self):
        return self.__await__()

    def __repr__(self):
        states = ("pending", "finished", "cancelled")
        return f"<DeliveryFuture {states[self._state]}>"

    def __del__(self):
        if self._is_unseen and self._loop is not None:
            self._loop.call_exception_handler(
                {
                    "message": "a message was not delivered, and nobody looked at its future",
                    "exception": self._result,
                    "future": self,
                }
            )


def _run_callbacks(list futures):
    """Call what waits for these futures, each in its own context."""
    cdef DeliveryFuture future
    cdef list callbacks
    for future in futures:
        callbacks, future._callbacks = future._callbacks, None
        if callbacks is None:
            continue
        for callback, context in callbacks:
            try:
                context.run(callback, future)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                future._loop.call_exception_handler(
                    {
                        "message": f"Exception in callback {callback!r}",
                        "exception": error,
                        "future": future,
                    }
                )
