"""ListOffsets (key 2): every version and every name of a place in the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.protocol import Connection
from ottla.wire.api.k02_list_offsets import ListOffsetsRequest, PartitionToList, TopicToList
from ottla.wire.apis import APIS
from ottla.wire.errors import ErrorCode

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED = -1, -2, -3, -4, -5


@pytest.fixture
def listed(
    connection: Connection, new_topic: Callable[..., str], produce: Callable[..., Any]
) -> Callable[..., tuple[int, int, int]]:
    """Asks about a partition with offsets 0-9 at 1000, 1010, ... and 10 at 1005."""
    name = new_topic()
    stamps = [*range(1000, 1100, 10), 1005]
    for timestamp_ms in stamps:
        record = Record(offset=0, timestamp_ms=timestamp_ms, key=None, value=b"x")
        assert produce(name, encode_batch([record])).error_code == ErrorCode.NONE

    def ask(timestamp: int, version: int, partition: int = 0) -> tuple[int, int, int]:
        wanted = PartitionToList(partition_index=partition, timestamp=timestamp)
        request = ListOffsetsRequest(
            replica_id=-1, topics=[TopicToList(name=name, partitions=[wanted])], timeout_ms=1000
        )
        [topic] = connection.ask(request, version).topics
        [found] = topic.partitions
        return found.error_code, found.offset, found.timestamp

    return ask


@pytest.mark.parametrize("version", APIS[2].versions)
def test_every_version_finds_ends_and_times(
    version: int, listed: Callable[..., tuple[int, int, int]]
) -> None:
    assert listed(EARLIEST, version) == (ErrorCode.NONE, 0, -1)
    assert listed(LATEST, version) == (ErrorCode.NONE, 11, -1)
    assert listed(1000, version) == (ErrorCode.NONE, 0, 1000)
    assert listed(1041, version) == (ErrorCode.NONE, 5, 1050)
    assert listed(2000, version) == (ErrorCode.NONE, -1, -1)
    unknown = listed(LATEST, version, partition=3)
    assert unknown[0] == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if version >= 7:
        assert listed(MAX_TIMESTAMP, version) == (ErrorCode.NONE, 9, 1090)
    if version >= 8:
        assert listed(EARLIEST_LOCAL, version) == (ErrorCode.NONE, 0, -1)


def test_names_newer_than_the_version_are_refused(
    listed: Callable[..., tuple[int, int, int]],
) -> None:
    assert listed(MAX_TIMESTAMP, 6)[0] == ErrorCode.UNSUPPORTED_VERSION
    assert listed(EARLIEST_LOCAL, 7)[0] == ErrorCode.UNSUPPORTED_VERSION
