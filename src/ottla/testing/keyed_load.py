"""A large table on a compacted topic: written by number, read back, compared."""

from __future__ import annotations

import random
import struct
from array import array
from collections.abc import Iterator
from typing import cast

from ottla.records.batch import iter_complete_headers
from ottla.records.decode import decode_records
from ottla.records.encode import BatchBuilder
from ottla.testing.protocol import Connection
from ottla.wire.api.k00_produce import (
    PartitionToProduce,
    ProduceRequest,
    ProduceResponse,
    TopicToProduce,
)
from ottla.wire.api.k01_fetch import FetchRequest, FetchResponse, PartitionToFetch, TopicToFetch

_PRODUCE_VERSION = _FETCH_VERSION = 12
_IN_FLIGHT = 4
_NUMBER = struct.Struct(">q")
_TIMEOUT_MS = 30_000
_FETCH_BYTES = 4 << 20
_FIRST_TIMESTAMP_MS = 1_700_000_000_000


class KeyedLoad:
    """Numbered records over a number of keys, some of them tombstones.

    Args:
        value_bytes: the size of every value; its first 8 bytes are the record's number.
        tombstones: one record in so many deletes its key; 0 for none.
    """

    def __init__(
        self,
        record_count: int,
        key_count: int,
        *,
        value_bytes: int = 100,
        tombstones: int = 50,
        seed: int = 1,
    ) -> None:
        self._record_count = record_count
        self._random = random.Random(seed)  # noqa: S311 - reproducibility is the point
        self._filler = bytes(value_bytes - _NUMBER.size)
        self._tombstones = tombstones
        self.latest = array("q", [-1]) * key_count
        """The number of every key's last record, -1 where that is none or a tombstone."""

    def batches(self, batch_bytes: int) -> Iterator[bytes]:
        """All records in batches of about this size; ``latest`` follows."""
        builder = BatchBuilder(batch_bytes)
        keys = array("I", self._random.randbytes(4 * self._record_count))
        latest, filler, tombstones = self.latest, self._filler, self._tombstones
        for number, drawn in enumerate(keys):
            key = drawn % len(latest)
            is_tombstone = tombstones and number % tombstones == 0
            latest[key] = -1 if is_tombstone else number
            value = None if is_tombstone else _NUMBER.pack(number) + filler
            timestamp_ms = _FIRST_TIMESTAMP_MS + number
            if not builder.append(b"%09d" % key, value, (), timestamp_ms):
                yield builder.close()
                builder = BatchBuilder(batch_bytes)
                builder.append(b"%09d" % key, value, (), timestamp_ms)
        yield builder.close()

    def produce(self, bootstrap_servers: str, topic: str, batch_bytes: int) -> int:
        """Write everything to partition 0; returns the bytes of all batches."""
        size_bytes = unanswered = 0
        with Connection(bootstrap_servers) as connection:
            for batch in self.batches(batch_bytes):
                size_bytes += len(batch)
                connection.send(_produce_request(topic, batch), _PRODUCE_VERSION)
                unanswered += 1
                if unanswered == _IN_FLIGHT:
                    _check_produced(connection.receive())
                    unanswered -= 1
            for _ in range(unanswered):
                _check_produced(connection.receive())
        return size_bytes


def produce_batch(connection: Connection, topic: str, batch: bytes) -> None:
    """Write one batch to partition 0 and wait for the answer.

    Raises:
        RuntimeError: the answer is an error.
    """
    connection.send(_produce_request(topic, batch), _PRODUCE_VERSION)
    _check_produced(connection.receive())


def read_latest(bootstrap_servers: str, topic: str, key_count: int) -> tuple[array[int], int]:
    """What a reader of partition 0 ends up with, as ``KeyedLoad.latest``; and the records read."""
    latest = array("q", [-1]) * key_count
    offset = record_count = 0
    with Connection(bootstrap_servers) as connection:
        while True:
            reply: FetchResponse = connection.ask(_fetch_request(topic, offset), _FETCH_VERSION)
            found = reply.responses[0].partitions[0]
            if found.error_code:
                raise RuntimeError(f"fetch: error {found.error_code}")
            records = cast(memoryview, found.records or b"")
            before = offset
            for at, header in iter_complete_headers(records):
                for record in decode_records(records, at):
                    if record.offset >= before and record.key is not None:
                        value = record.value
                        number = -1 if value is None else _NUMBER.unpack_from(value)[0]
                        latest[int(record.key)] = number
                        record_count += 1
                offset = header.next_offset
            if offset == before:
                return latest, record_count


def _produce_request(topic: str, batch: bytes) -> ProduceRequest:
    return ProduceRequest(
        acks=-1,
        timeout_ms=_TIMEOUT_MS,
        topic_data=[
            TopicToProduce(name=topic, partition_data=[PartitionToProduce(index=0, records=batch)])
        ],
    )


def _check_produced(reply: ProduceResponse) -> None:
    code = reply.responses[0].partition_responses[0].error_code
    if code:
        raise RuntimeError(f"produce: error {code}")


def _fetch_request(topic: str, offset: int) -> FetchRequest:
    return FetchRequest(
        max_wait_ms=0,
        min_bytes=1,
        max_bytes=_FETCH_BYTES,
        topics=[
            TopicToFetch(
                topic=topic,
                partitions=[
                    PartitionToFetch(
                        partition=0, fetch_offset=offset, partition_max_bytes=_FETCH_BYTES
                    )
                ],
            )
        ],
    )
