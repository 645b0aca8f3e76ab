"""``produce()``, ``send()`` and ``poll()`` without a time to wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sized
from functools import partial
from typing import Any

from ottla.client._reference_accumulator import Accumulator, Headers
from ottla.client._reference_batch import DeliveryCallback
from ottla.client._reference_future import DeliveryFuture
from ottla.client.appended import APPENDED, QUEUE_FULL, WAKE, refusal


class ProducerBase:
    """``produce()`` and the count of messages; the base of the public producers.

    Args:
        accumulator: where records go.
        wake: called, in the thread of ``produce``, when the engine has to look at ``ready``.
        default_callback: the configuration's ``on_delivery``, for records without a callback.
        make_future: makes what ``send`` returns.
    """

    def __init__(
        self,
        accumulator: Accumulator,
        wake: Callable[[], object],
        default_callback: DeliveryCallback | None = None,
        make_future: Callable[[], Any] | None = None,
    ) -> None:
        self._accumulator = accumulator
        self._make_future = make_future
        self._is_parking = False
        """While true, ``send`` takes it that the queue is full: others wait for room."""
        self._wake = wake
        self._default_callback = default_callback
        self._refusal: Exception | None = None

    def _refuse(self, exception: Exception | None) -> None:
        """From now on ``produce`` raises this: closed, fatal, no transaction; None ends that."""
        self._refusal = exception

    def _make_futures_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """What ``send`` returns is a ``DeliveryFuture`` on this loop from now on."""
        self._make_future = partial(DeliveryFuture, loop)

    def _check_may_produce(self) -> None:
        """Raise what ``refuse`` was given."""
        if self._refusal is not None:
            # Another one each time: an exception keeps the frames of all its raises.
            raise type(self._refusal)(*self._refusal.args)

    def produce(
        self,
        topic: str,
        value: bytes | str | None = None,
        key: bytes | str | None = None,
        partition: int = -1,
        callback: DeliveryCallback | None = None,
        on_delivery: DeliveryCallback | None = None,
        timestamp: int = 0,
        headers: Headers = None,
        *,
        timeout: float = 0,
    ) -> None:
        """Hand a message over for delivery; it is sent in the background.

        Args:
            topic: where it goes.
            value: its content; text is sent as UTF-8.
            key: what decides about its partition, unless ``partition`` does.
            partition: the partition; -1: the partitioner chooses one.
            callback: called as ``callback(error, message)`` with the outcome.
            on_delivery: the same; ``callback`` wins.
            timestamp: in milliseconds since the epoch; 0: now.
            headers: a dictionary, or a list of (name, value) tuples.
            timeout: how many seconds to wait for room when the queue is full, serving callbacks
                meanwhile; negative: without limit.

        Raises:
            BufferError: the queue is full; poll() and try again.
            KafkaException: too large, no such partition, no such topic.
            TypeError: a value that can't be sent.
        """
        if self._refusal is not None:
            self._check_may_produce()
        if callback is None:
            callback = on_delivery if on_delivery is not None else self._default_callback
        answer = self._accumulator.append(
            topic, partition, key, value, headers, timestamp, callback
        )
        if answer == QUEUE_FULL and timeout != 0:
            answer = self._append_with_room(
                timeout, topic, partition, key, value, headers, timestamp, callback
            )
        if answer == WAKE:
            self._wake()
        elif answer != APPENDED:
            raise refusal(answer)
        self._accumulator.pause_if_ahead()

    def send(
        self,
        topic: str,
        value: bytes | str | None = None,
        key: bytes | str | None = None,
        partition: int = -1,
        timestamp: int = 0,
        headers: Headers = None,
        *,
        timeout: float = 0,
    ) -> Any:
        """As ``produce``, with a future of the delivery, which needs no ``poll``.

        Its result is the message; its exception, if the message could not be delivered, a
        ``KafkaException``.

        Raises:
            BufferError: the queue is full (and still is after ``timeout`` seconds).
            KafkaException: too large, no such partition, no such topic.
            TypeError: a value that can't be sent.
        """
        if self._refusal is not None:
            self._check_may_produce()
        assert self._make_future is not None
        future = self._make_future()
        self._accumulator.has_futures = True
        answer = QUEUE_FULL
        if not self._is_parking:
            answer = self._accumulator.append(
                topic, partition, key, value, headers, timestamp, future
            )
        if answer == QUEUE_FULL:
            answer = self._append_with_room(
                timeout, topic, partition, key, value, headers, timestamp, future
            )
        if answer == WAKE:
            self._wake()
        elif answer != APPENDED:
            raise refusal(answer)
        return future

    def _append_with_room(
        self,
        timeout: float,
        topic: str,
        partition: int,
        key: bytes | str | None,
        value: bytes | str | None,
        headers: Headers,
        timestamp_ms: int,
        callback: Any,
    ) -> int:
        """What to do when the queue is full: producers that can wait do so here."""
        return QUEUE_FULL

    def __len__(self) -> int:
        return self._accumulator.message_count


class PollingProducerBase(ProducerBase):
    """A producer whose callbacks the application polls for.

    Args:
        accumulator: as for ``ProducerBase``.
        wake: the same.
        default_callback: the same.
        make_future: the same.
        news: what has to be served: when all of these are empty, there is nothing.
    """

    def __init__(
        self,
        accumulator: Accumulator,
        wake: Callable[[], object],
        default_callback: DeliveryCallback | None = None,
        make_future: Callable[[], Any] | None = None,
        news: tuple[Sized, ...] = (),
    ) -> None:
        super().__init__(accumulator, wake, default_callback, make_future)
        self._news = news

    def poll(self, timeout: float = -1) -> int:
        """Call the callbacks of what has happened; if nothing has, wait for it first.

        Args:
            timeout: how many seconds to wait at most; negative (and by default) without limit.

        Returns:
            How many events were served: callbacks called, and messages delivered without one.

        Raises:
            Exception: what a callback raised, after all others were called.
        """
        if timeout == 0 and self._refusal is None and not any(map(len, self._news)):
            return 0
        return self._serve(timeout)

    def _serve(self, timeout: float) -> int:
        """Serve what there is, or wait for something."""
        raise NotImplementedError
