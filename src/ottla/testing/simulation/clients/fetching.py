"""Fetching as consumers do, at both isolation levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ottla.testing.history import Isolation, Read
from ottla.testing.simulation.clients.batches import decode, split
from ottla.testing.simulation.clients.link import Link, is_retriable
from ottla.wire.api.k01_fetch import FetchRequest, PartitionToFetch, TopicToFetch
from ottla.wire.errors import ErrorCode

_VERSION = 12
_MAX_BYTES = 1 << 20


class Fetched:
    """One fetch's results.

    Attributes:
        read: what was read, of the partitions that answered.
        high_watermarks: how far each may be read without regard to transactions.
        starts: first offsets of partitions whose position lies before them.
    """

    def __init__(self) -> None:
        self.read: dict[str, Read] = {}
        self.high_watermarks: dict[str, int] = {}
        self.starts: dict[str, int] = {}

    @property
    def is_at_the_end(self) -> bool:
        """Whether everything there is has been read."""
        return all(
            partition in self.read and self.read[partition].to_offset >= high_watermark
            for partition, high_watermark in self.high_watermarks.items()
        )


async def fetch(
    link: Link,
    positions: Mapping[str, int],
    isolation: Isolation,
    *,
    max_wait_ms: int,
    partition_max_bytes: int = _MAX_BYTES,
) -> Fetched:
    """Fetch once from each position.

    Raises:
        Unanswered: no answer came.
        AssertionError: an error came that no consumer should get.
    """
    topics: dict[str, TopicToFetch] = {}
    for partition, offset in positions.items():
        name, index = split(partition)
        topic = topics.setdefault(name, TopicToFetch(topic=name, partitions=[]))
        topic.partitions.append(
            PartitionToFetch(
                partition=index, fetch_offset=offset, partition_max_bytes=partition_max_bytes
            )
        )
    request = FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        max_bytes=_MAX_BYTES,
        isolation_level=int(isolation is Isolation.READ_COMMITTED),
        topics=list(topics.values()),
    )
    response = await link.ask(request, _VERSION)
    fetched = Fetched()
    for topic in response.responses:
        for part in topic.partitions:
            partition = f"{topic.topic}-{part.partition_index}"
            _take(fetched, partition, positions[partition], part, isolation)
    return fetched


def _take(fetched: Fetched, partition: str, position: int, part: Any, isolation: Isolation) -> None:
    if part.error_code == ErrorCode.OFFSET_OUT_OF_RANGE:
        assert position < part.log_start_offset, f"{partition}@{position} is past the log's end"
        fetched.starts[partition] = part.log_start_offset
        return
    if part.error_code:
        assert is_retriable(part.error_code), ErrorCode(part.error_code).name
        return
    aborted = part.aborted_transactions or []
    if isolation is Isolation.READ_UNCOMMITTED:
        aborted = []
    skipped = [(each.producer_id, each.first_offset) for each in aborted]
    decoded = decode(bytes(part.records or b""), position, skipped)
    fetched.read[partition] = Read(position, decoded.next_offset, decoded.records)
    fetched.high_watermarks[partition] = part.high_watermark
