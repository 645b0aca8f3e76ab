"""Producers that outlive the broker's crashes, and the check of what they were promised.

Each producer writes numbered records: to every partition 0, 1, 2... When the broker is gone they
connect again and go on; an idempotent one sends what was not acknowledged once more with the same
sequences. A :class:`PartitionCheck` reads a partition as it grows and compares.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections import deque
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from ottla.records.record import Record
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import (
    ProducerIdentity,
    batch_of,
    init_producer_id,
    produce_request,
    send_produce,
)
from ottla.wire.errors import ErrorCode

_RECONNECT_PAUSE_SECONDS = 0.01
_MAX_IN_FLIGHT = 5
_MAX_RECORDS = 12
_MAX_PADDING_BYTES = 900
_ANSWER_TIMEOUT_SECONDS = 30


def numbered_value(producer: str, number: int, padding_bytes: int = 0) -> bytes:
    """A record's value that says who wrote it and as which of his records in the partition."""
    return b"%s:%d:" % (producer.encode(), number) + b"." * padding_bytes


def parse_numbered_value(value: bytes | None) -> tuple[str, int]:
    """Producer and number of a record."""
    producer, number, _ = (value or b"").split(b":", 2)
    return producer.decode(), int(number)


class Acknowledgements:
    """What one producer was promised, by partition. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[int, int] = {}
        self._offsets: dict[tuple[int, int], int] = {}

    def note(self, partition: int, number: int, offset: int | None = None) -> None:
        """The record ``number`` of a partition, and all before it, are acknowledged."""
        with self._lock:
            self._counts[partition] = max(self._counts.get(partition, 0), number + 1)
            if offset is not None:
                self._offsets[partition, number] = offset

    def count(self, partition: int) -> int:
        """How many records of the partition were acknowledged."""
        with self._lock:
            return self._counts.get(partition, 0)

    @property
    def total(self) -> int:
        """The same for all partitions together."""
        with self._lock:
            return sum(self._counts.values())

    def take_offsets(self, partition: int) -> dict[int, int]:
        """Number and offset of records acknowledged since the last call."""
        with self._lock:
            keys = [key for key in self._offsets if key[0] == partition]
            return {key[1]: self._offsets.pop(key) for key in keys}


class _Batch(NamedTuple):
    partition: int
    first_number: int
    record_count: int
    data: bytes


class IdempotentProducer(threading.Thread):
    """An idempotent producer over the bare protocol, pipelining five batches.

    Args:
        pause_seconds: between two rounds, so that two cores suffice for the test around it.
    """

    def __init__(
        self,
        name: str,
        bootstrap_servers: str,
        topic: str,
        partitions: int,
        random: Random,
        *,
        pause_seconds: float = 0.003,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.acknowledged = Acknowledgements()
        self.failure: str | None = None
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._partitions = partitions
        self._random = random
        self._pause_seconds = pause_seconds
        self._stopping = threading.Event()
        self._identity: ProducerIdentity | None = None
        self._next_numbers = [0] * partitions
        self._pending: deque[_Batch] = deque()

    def stop(self) -> None:
        """Finish what is in flight and end; the broker must be running."""
        self._stopping.set()
        self.join(60)
        if self.is_alive():
            self.failure = self.failure or "it didn't end"

    def run(self) -> None:
        while self.failure is None and not (self._stopping.is_set() and not self._pending):
            try:
                with Connection(
                    self._bootstrap_servers, timeout_seconds=_ANSWER_TIMEOUT_SECONDS
                ) as connection:
                    self._serve(connection)
            except TimeoutError:
                self.failure = "no answer in time"
            except OSError:
                self._stopping.wait(_RECONNECT_PAUSE_SECONDS)

    def _serve(self, connection: Connection) -> None:
        if self._identity is None:
            self._identity = init_producer_id(connection)
        for batch in self._pending:
            self._send(connection, batch)
        while self.failure is None and (self._pending or not self._stopping.is_set()):
            # Answers not read yet are lost when sending fails: what they acknowledged is repeated.
            while len(self._pending) < _MAX_IN_FLIGHT and not self._stopping.is_set():
                batch = self._new_batch(self._identity)
                self._pending.append(batch)
                self._send(connection, batch)
            self._receive(connection)
            self._stopping.wait(self._pause_seconds)

    def _new_batch(self, identity: ProducerIdentity) -> _Batch:
        partition = self._random.randrange(self._partitions)
        count = self._random.randint(1, _MAX_RECORDS)
        first = self._next_numbers[partition]
        self._next_numbers[partition] = first + count
        values = [
            numbered_value(self.name, number, self._random.randrange(_MAX_PADDING_BYTES))
            for number in range(first, first + count)
        ]
        data = batch_of(
            values, identity=identity, base_sequence=first, timestamp_ms=int(time.time() * 1000)
        )
        return _Batch(partition, first, count, data)

    def _send(self, connection: Connection, batch: _Batch) -> None:
        send_produce(connection, produce_request(self._topic, {batch.partition: batch.data}))

    def _receive(self, connection: Connection) -> None:
        answer = connection.receive().responses[0].partition_responses[0]
        code = ErrorCode(answer.error_code)
        if code.retriable:
            # What follows is out of sequence now: begin again with the oldest.
            raise ConnectionError(code.name)
        batch = self._pending.popleft()
        if code is not ErrorCode.NONE:
            self.failure = f"partition {batch.partition}, record {batch.first_number}: {code.name}"
            return
        for index in range(batch.record_count):
            self.acknowledged.note(
                batch.partition, batch.first_number + index, answer.base_offset + index
            )


class PartitionCheck:
    """Follows one partition over crashes and collects what must not be.

    Args:
        exactly_once: the producers whose records must be there once each, in order; of all others
            a record may be repeated, but none may be skipped.
    """

    def __init__(self, partition: int, exactly_once: Iterable[str]) -> None:
        self.partition = partition
        self.next_offset = 0
        self.problems: list[str] = []
        self.digest = 0
        """Of every record read so far: offset and value."""
        self._exactly_once = frozenset(exactly_once)
        self._counts: dict[str, int] = {}
        self._offsets: dict[tuple[str, int], int] = {}

    def read(self, records: Iterable[Record]) -> None:
        """Take in what follows; offsets have to be without gaps."""
        for record in records:
            if record.offset != self.next_offset:
                self._complain(f"offset {record.offset} after {self.next_offset - 1}")
            self.next_offset = record.offset + 1
            self.digest = zlib.crc32(b"%d:%s" % (record.offset, record.value or b""), self.digest)
            producer, number = parse_numbered_value(record.value)
            expected = self._counts.get(producer, 0)
            if number > expected or (number < expected and producer in self._exactly_once):
                self._complain(f"{producer}'s record {number} where {expected} should be")
            self._counts[producer] = max(expected, number + 1)
            if producer in self._exactly_once:
                self._offsets[producer, number] = record.offset

    def compare(self, producer: str, count: int, offsets: dict[int, int]) -> None:
        """Whether what was promised before the records were read is there.

        Args:
            count: how many records were acknowledged.
            offsets: some of them, with the offsets the broker told; each is compared once.
        """
        found = self._counts.get(producer, 0)
        if found < count:
            self._complain(f"{count} records of {producer} were acknowledged, {found} are there")
        for number, offset in offsets.items():
            actual = self._offsets.pop((producer, number), None)
            if actual != offset:
                self._complain(f"{producer}'s record {number} is at {actual}, not at {offset}")

    def _complain(self, problem: str) -> None:
        self.problems.append(f"partition {self.partition}: {problem}")
