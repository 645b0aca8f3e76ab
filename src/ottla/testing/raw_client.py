"""The requests fault tests need, one function each, over ``protocol.Connection``.

They say nothing twice and retry nothing: what the broker answered is what the caller gets.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from ottla.records.batch import iter_complete_headers
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.protocol import Connection
from ottla.wire.api.k00_produce import PartitionToProduce, ProduceRequest, TopicToProduce
from ottla.wire.api.k01_fetch import FetchRequest, PartitionToFetch, TopicToFetch
from ottla.wire.api.k02_list_offsets import ListOffsetsRequest, PartitionToList, TopicToList
from ottla.wire.api.k08_offset_commit import (
    OffsetCommitRequest,
    PartitionToCommit,
    TopicToCommit,
)
from ottla.wire.api.k09_offset_fetch import OffsetFetchRequest, TopicToLookUp
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest

ACKS_ALL = -1
EARLIEST = -2
LATEST = -1

_PRODUCE_VERSION = 12
_FETCH_VERSION = 12
_LIST_OFFSETS_VERSION = 7
_OFFSET_COMMIT_VERSION = 8
_OFFSET_FETCH_VERSION = 7
_INIT_PRODUCER_ID_VERSION = 5
_TRANSACTION_TIMEOUT_MS = 60_000
_FETCH_BYTES = 4 * 1024 * 1024
# Below Linux's range of ephemeral ports (net.ipv4.ip_local_port_range).
_FIXED_PORTS = range(15_000, 32_000)


class ProducerIdentity(NamedTuple):
    """What InitProducerId gave."""

    producer_id: int
    epoch: int


def fixed_port(random: Random, host: str = "127.0.0.1") -> int:
    """A free port for a broker that will be killed and started again under clients' eyes.

    A client that connects to an *ephemeral* port where nobody listens may be given that very port
    as its own, and then talks to itself: the broker can't come back.
    """
    while True:
        port = random.choice(_FIXED_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
        return port


def batch_of(
    values: Sequence[bytes],
    *,
    identity: ProducerIdentity | None = None,
    base_sequence: int = -1,
    timestamp_ms: int = -1,
) -> bytes:
    """An uncompressed batch of records without keys."""
    records = [Record(index, timestamp_ms, None, value) for index, value in enumerate(values)]
    if identity is None:
        return encode_batch(records)
    return encode_batch(
        records,
        producer_id=identity.producer_id,
        producer_epoch=identity.epoch,
        base_sequence=base_sequence,
    )


def produce_request(
    topic: str, batches: Mapping[int, bytes], *, acks: int = ACKS_ALL, timeout_ms: int = 30_000
) -> ProduceRequest:
    """A request with one batch for each of some partitions."""
    partitions = [
        PartitionToProduce(index=index, records=batch) for index, batch in batches.items()
    ]
    data = [TopicToProduce(name=topic, partition_data=partitions)]
    return ProduceRequest(acks=acks, timeout_ms=timeout_ms, topic_data=data)


def send_produce(connection: Connection, request: ProduceRequest) -> None:
    """Send it; ``connection.receive`` returns the answer."""
    connection.send(request, _PRODUCE_VERSION)


def produce(
    connection: Connection, topic: str, partition: int, batch: bytes, *, acks: int = ACKS_ALL
) -> Any:
    """Produce one batch; the partition's part of the answer."""
    request = produce_request(topic, {partition: batch}, acks=acks)
    response = connection.ask(request, _PRODUCE_VERSION)
    return response.responses[0].partition_responses[0]


def init_producer_id(connection: Connection) -> ProducerIdentity:
    """A fresh producer id.

    Raises:
        ConnectionError: the broker refused.
    """
    request = InitProducerIdRequest(
        transactional_id=None, transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS
    )
    response = connection.ask(request, _INIT_PRODUCER_ID_VERSION)
    if response.error_code:
        raise ConnectionError(f"InitProducerId: error {response.error_code}")
    return ProducerIdentity(response.producer_id, response.producer_epoch)


def fetch(
    connection: Connection,
    topic: str,
    partition: int,
    offset: int,
    *,
    max_bytes: int = _FETCH_BYTES,
    max_wait_ms: int = 0,
) -> Any:
    """Fetch from one partition; the partition's part of the answer."""
    wanted = PartitionToFetch(
        partition=partition, fetch_offset=offset, partition_max_bytes=max_bytes
    )
    request = FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        max_bytes=max_bytes,
        topics=[TopicToFetch(topic=topic, partitions=[wanted])],
    )
    return connection.ask(request, _FETCH_VERSION).responses[0].partitions[0]


def read_records(
    connection: Connection, topic: str, partition: int, offset: int
) -> Iterator[Record]:
    """Every record from ``offset`` to the high watermark, checksums verified.

    Raises:
        ConnectionError: the broker answered with an error.
        RecordsError: it served bytes that are not what a producer wrote.
    """
    while True:
        fetched = fetch(connection, topic, partition, offset)
        if fetched.error_code:
            raise ConnectionError(f"{topic}-{partition}@{offset}: error {fetched.error_code}")
        data = bytes(fetched.records or b"")
        before = offset
        for position, header in iter_complete_headers(data):
            for record in decode_records(data, position):
                if record.offset >= offset:
                    yield record
            offset = header.next_offset
        if offset >= fetched.high_watermark:
            return
        if offset == before:
            raise ConnectionError(f"{topic}-{partition}@{offset}: nothing before the watermark")


def list_offset(connection: Connection, topic: str, partition: int, timestamp: int) -> int:
    """The offset for a timestamp, ``EARLIEST`` or ``LATEST``.

    Raises:
        ConnectionError: the broker answered with an error.
    """
    wanted = PartitionToList(partition_index=partition, timestamp=timestamp)
    request = ListOffsetsRequest(
        replica_id=-1, topics=[TopicToList(name=topic, partitions=[wanted])], timeout_ms=10_000
    )
    listed = connection.ask(request, _LIST_OFFSETS_VERSION).topics[0].partitions[0]
    if listed.error_code:
        raise ConnectionError(f"ListOffsets {topic}-{partition}: error {listed.error_code}")
    return int(listed.offset)


def commit_offset(
    connection: Connection, group: str, topic: str, partition: int, offset: int
) -> int:
    """Commit from outside any group generation; Kafka's error code."""
    committed = PartitionToCommit(
        partition_index=partition, committed_offset=offset, committed_metadata=""
    )
    request = OffsetCommitRequest(
        group_id=group, topics=[TopicToCommit(name=topic, partitions=[committed])]
    )
    response = connection.ask(request, _OFFSET_COMMIT_VERSION)
    return int(response.topics[0].partitions[0].error_code)


def committed_offset(connection: Connection, group: str, topic: str, partition: int) -> int:
    """What the group has committed, -1 for nothing.

    Raises:
        ConnectionError: the broker answered with an error.
    """
    request = OffsetFetchRequest(
        group_id=group, topics=[TopicToLookUp(name=topic, partition_indexes=[partition])]
    )
    response = connection.ask(request, _OFFSET_FETCH_VERSION)
    if response.error_code:
        raise ConnectionError(f"OffsetFetch {group}: error {response.error_code}")
    found = response.topics[0].partitions[0]
    if found.error_code:
        raise ConnectionError(f"OffsetFetch {group}: error {found.error_code}")
    return int(found.committed_offset)
