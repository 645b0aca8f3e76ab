"""The transactional calls of the sync producer: they block, and may be called again to go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from ottla.client.engine.producing import Producing
from ottla.client.engine.producing_transactions import TIMED_OUT, Transacting
from ottla.client.engine.thread import EngineThread
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.group_metadata import decode_group_metadata
from ottla.client.group_offsets import group_offsets


class TransactionalCalls:
    """What ``Producer`` does for transactions.

    Args:
        thread: runs the engine.
        producing: the producer on the engine's loop.
        flush: waits for the outcome of all messages and serves their callbacks, at most so many
            seconds; returns how many are left.
    """

    def __init__(
        self,
        thread: EngineThread,
        producing: Producing,
        flush: Callable[[float], int],
    ) -> None:
        self._thread = thread
        self._producing = producing
        self._flush = flush

    def init(self, timeout_s: float) -> None:
        """Get an id and fence whoever had the transactional id before."""
        self._run(self._configured().init(), timeout_s)

    def begin(self) -> None:
        """Begin a transaction."""
        self._call(self._configured().begin)

    def send_offsets(self, offsets: object, group_metadata: object, timeout_s: float) -> None:
        """Commit a group's offsets with the transaction."""
        found = group_offsets(offsets)
        if not isinstance(group_metadata, bytes):
            raise TypeError(f"expected bytes, not {type(group_metadata).__name__}")
        transacting = self._configured()
        group = decode_group_metadata(group_metadata)
        self._run(transacting.send_offsets(group, found), timeout_s)

    def commit(self, timeout_s: float) -> None:
        """Deliver all messages, then commit."""
        transacting = self._configured()
        self._end(transacting.begin_commit, transacting.commit, timeout_s)

    def abort(self, timeout_s: float) -> None:
        """Give up what waits, await what is under way, then abort."""
        transacting = self._configured()
        self._end(transacting.begin_abort, transacting.abort, timeout_s)

    @property
    def is_open(self) -> bool:
        """Whether there is a transaction that has neither been committed nor aborted."""
        transacting = self._producing.transacting
        return transacting is not None and transacting.is_open

    def _end(
        self,
        begin: Callable[[], None],
        finish: Callable[[], Coroutine[Any, Any, None]],
        timeout_s: float,
    ) -> None:
        deadline = None if timeout_s < 0 else time.monotonic() + timeout_s
        self._call(begin)
        left = self._flush(timeout_s)
        if left:
            text = (
                "Failed to flush all outstanding messages within the API timeout: "
                f"{left} message(s) remaining"
            )
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, text, retriable=True))
        left_s = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
        self._run(finish(), left_s)

    def _configured(self) -> Transacting:
        return self._producing.configured_transacting()

    def _call(self, call: Callable[[], None]) -> None:
        self._thread.run(_as_coroutine(call))

    def _run(self, coroutine: Coroutine[Any, Any, None], timeout_s: float) -> None:
        try:
            self._thread.run(coroutine, timeout_s)
        except TimeoutError:
            error = KafkaError(KafkaError._TIMED_OUT, TIMED_OUT, retriable=True)
            raise KafkaException(error) from None


async def _as_coroutine(call: Callable[[], None]) -> None:
    call()
