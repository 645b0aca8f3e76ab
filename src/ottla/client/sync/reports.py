"""What became of messages, on its way from the engine's thread to ``poll``."""

from __future__ import annotations

import time
from collections.abc import Sized
from typing import TYPE_CHECKING

from ottla.client.sync.callbacks import CallbackQueue

if TYPE_CHECKING:
    from ottla.client._reference_batch import Deliveries


class DeliveryReports:
    """Delivery reports and other callbacks, until the application's thread serves them.

    Messages without a callback are only counted: ``poll`` tells how many were delivered, and a
    program that never polls loses nothing by it.
    """

    __slots__ = ("_silent", "callbacks")

    def __init__(self) -> None:
        self.callbacks = CallbackQueue()
        # One number at most: taken out and put back, by whichever thread, none is lost.
        self._silent: list[int] = []

    # --- the engine's thread ---

    def put(self, deliveries: Deliveries) -> None:
        """A batch with callbacks has its outcome."""
        self.callbacks.put_many(lambda: _serve(deliveries))

    def count(self, records: int) -> None:
        """So many messages that have no callback have their outcome."""
        self._silent.append(records + self._take_silent())
        self.callbacks.notify()

    # --- the application's threads ---

    def serve(self) -> int:
        """Call what is there to be called; how many events that were.

        Raises what a callback raised, after all others of the batch were called.
        """
        return self._take_silent() + self.callbacks.run()

    def _take_silent(self) -> int:
        try:
            return self._silent.pop()
        except IndexError:
            return 0

    def wait(self, timeout_s: float) -> int:
        """As :meth:`serve`, waiting for an event; a negative time is no limit."""
        served = self.serve()
        if served or timeout_s == 0:
            return served
        deadline = time.monotonic() + timeout_s if timeout_s > 0 else None
        while True:
            left_s = None if deadline is None else deadline - time.monotonic()
            if left_s is not None and left_s <= 0:
                return self.serve()
            self.callbacks.wait(left_s)
            served = self.serve()
            if served:
                return served

    @property
    def news(self) -> tuple[Sized, ...]:
        """All empty if there is nothing to serve; always the same objects."""
        return self.callbacks.entries, self._silent

    def __len__(self) -> int:
        return len(self.callbacks)


def _serve(deliveries: Deliveries) -> int:
    """Call all callbacks of a batch, whatever some of them raise; the last to raise wins."""
    served = 0
    failure: Exception | None = None
    while True:
        try:
            served += deliveries.serve()
        except Exception as error:
            failure = error
        else:
            break
    if failure is not None:
        raise failure
    return served
