"""A client that behaves, beside those that don't: what it sees is how much others suffer.

with SteadyClient(broker.bootstrap_servers, "steady") as steady:
    misbehave()
    steady.wait_for_rounds(20)
assert steady.failure is None
"""

from __future__ import annotations

import threading
import time
from types import TracebackType

from ottla.records.decode import decode_records
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import batch_of, commit_offset, committed_offset, fetch, produce
from ottla.testing.waiting import eventually

_PAUSE_SECONDS = 0.005
_RECORD_COUNT = 10


class SteadyClient:
    """Produces to a topic with acks=all, reads back what it wrote, commits; again and again.

    Args:
        topic: a topic of its own, existing, with one partition.
        timeout_seconds: an answer that takes longer is a failure.
    """

    def __init__(self, bootstrap_servers: str, topic: str, *, timeout_seconds: float = 20) -> None:
        self.failure: str | None = None
        self.round_count = 0
        self.slowest_seconds = 0.0
        """How long the slowest round took: a produce, a fetch and a commit."""
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._timeout_seconds = timeout_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="steady", daemon=True)

    def wait_for_rounds(self, count: int) -> None:
        """Wait until so many more rounds are done, or one has failed."""
        wanted = self.round_count + count
        eventually(
            lambda: self.failure or self.round_count >= wanted,
            timeout_seconds=60,
            what="the well-behaved client",
        )

    def __enter__(self) -> SteadyClient:
        self._thread.start()
        self.wait_for_rounds(1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(60)

    def _run(self) -> None:
        try:
            with Connection(
                self._bootstrap_servers, timeout_seconds=self._timeout_seconds
            ) as connection:
                while not self._stopping.wait(_PAUSE_SECONDS) and self.failure is None:
                    started = time.monotonic()
                    self._round(connection)
                    self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - started)
                    self.round_count += 1
        except OSError as error:
            self.failure = repr(error)

    def _round(self, connection: Connection) -> None:
        values = [b"%d/%d" % (self.round_count, index) for index in range(_RECORD_COUNT)]
        produced = produce(connection, self._topic, 0, batch_of(values))
        if produced.error_code:
            self.failure = f"produce: {produced.error_code} {produced.error_message}"
            return
        fetched = fetch(connection, self._topic, 0, produced.base_offset)
        if fetched.error_code:
            self.failure = f"fetch: {fetched.error_code}"
            return
        found = [record.value for record in decode_records(bytes(fetched.records))]
        if found != values:
            self.failure = f"wrote {values}, read {found}"
            return
        offset = produced.base_offset
        if code := commit_offset(connection, self._topic, self._topic, 0, offset):
            self.failure = f"commit: {code}"
        elif (committed := committed_offset(connection, self._topic, self._topic, 0)) != offset:
            self.failure = f"committed {offset}, found {committed}"
