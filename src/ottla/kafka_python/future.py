"""What ``KafkaProducer.send`` returns."""

from __future__ import annotations

import concurrent.futures
import functools
import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ottla.kafka_python.errors import KafkaTimeoutError, raised

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Future(Generic[T]):
    """Something that will be known later.

    Callbacks are called as soon as it is known, by the client's own thread: they should be short.
    What they raise is logged.

    Args:
        source: what tells the outcome.
        read: what makes the value of the source's result.
    """

    def __init__(self, source: concurrent.futures.Future[Any], read: Callable[[Any], T]) -> None:
        self._source = source
        self._read = read

    @property
    def is_done(self) -> bool:
        """Whether it is known."""
        return self._source.done()

    @property
    def value(self) -> T | None:
        """The value, None if it is not known or there is none."""
        return self._read(self._source.result()) if self.succeeded() else None

    @property
    def exception(self) -> BaseException | None:
        """Why there is no value, None if there is one or it is not known."""
        if not self._source.done():
            return None
        failure = self._source.exception()
        return None if failure is None else raised(failure)

    def succeeded(self) -> bool:
        """Whether the value is known."""
        return self._source.done() and self._source.exception() is None

    def failed(self) -> bool:
        """Whether there will be no value."""
        return self._source.done() and self._source.exception() is not None

    def retriable(self) -> bool:
        """Whether it failed, and may work the next time."""
        return bool(getattr(self.exception, "retriable", False))

    def get(self, timeout: float | None = None) -> T:
        """Wait for the value.

        Args:
            timeout: in seconds; None for no limit.

        Raises:
            KafkaTimeoutError: it took longer.
            KafkaError: there is no value.
        """
        try:
            failure = self._source.exception(timeout)
        except concurrent.futures.TimeoutError:
            raise KafkaTimeoutError(f"Timeout after waiting for {timeout} secs.") from None
        if failure is not None:
            raise raised(failure) from failure
        return self._read(self._source.result())

    def add_callback(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[T]:
        """Have ``f(*args, value, **kwargs)`` called with the value."""
        call = functools.partial(f, *args, **kwargs)

        def on_done(source: concurrent.futures.Future[Any]) -> None:
            if source.exception() is None:
                _call(call, self._read(source.result()))

        self._source.add_done_callback(on_done)
        return self

    def add_errback(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[T]:
        """Have ``f(*args, exception, **kwargs)`` called when there will be no value."""
        call = functools.partial(f, *args, **kwargs)

        def on_done(source: concurrent.futures.Future[Any]) -> None:
            failure = source.exception()
            if failure is not None:
                _call(call, raised(failure))

        self._source.add_done_callback(on_done)
        return self

    def add_both(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[T]:
        """Have ``f`` called with the value or with the exception."""
        return self.add_callback(f, *args, **kwargs).add_errback(f, *args, **kwargs)


def _call(call: Callable[[Any], Any], outcome: Any) -> None:
    try:
        call(outcome)
    except Exception:
        _log.exception("a callback failed")
