"""The short way of encoding a fetch reply gives the bytes of the declared message."""

from __future__ import annotations

import random
import uuid
from typing import Any

import pytest

from ottla.broker.api.k01_fetch import _choose_slices, _partition
from ottla.broker.fetch import PartitionResult
from ottla.broker.fetch_reply import FetchReplies, is_plain
from ottla.broker.fetch_sessions import TopicKey, WantedPartition
from ottla.broker.replies import MAX_JOINED_BYTES, SENDFILE_BYTES
from ottla.log.errors import LogDirectoryFailed
from ottla.log.transactions import AbortedTransaction
from ottla.wire.api.k01_fetch import FetchedTopic, FetchResponse
from ottla.wire.errors import ErrorCode

SIZES = (0, 0, 1, 61, 126, 127, 128, SENDFILE_BYTES - 1, SENDFILE_BYTES, 100_000, 1 << 21)
NUMBERS = (-1, 0, 1, 300, 2**31, 2**63 - 1)


class Slice:
    """Records somewhere; what lies there can't be read when it fails."""

    def __init__(self, size_bytes: int, *, fails: bool) -> None:
        self.size_bytes = size_bytes
        self._fails = fails

    def fileno(self) -> int | None:
        return 0

    def read(self) -> bytes:
        if self._fails:
            raise LogDirectoryFailed("of a test")
        return b"r" * self.size_bytes


def drawn(chance: random.Random, version: int, *, read_committed: bool) -> list[PartitionResult]:
    topics: list[TopicKey] = [f"topic{'x' * chance.choice((0, 1, 130, 249))}{n}" for n in range(3)]
    if version >= 13:
        topics = [uuid.UUID(int=chance.getrandbits(128)) for _ in range(3)]
    results = []
    for _ in range(chance.choice((0, 1, 1, 2, 10, 200))):
        key = (chance.choice(topics), chance.choice((0, 1, 2**31 - 1)))
        result = PartitionResult(WantedPartition(key, 0, 0, -1, -1), read_committed=read_committed)
        if chance.random() < 0.2:
            result.error_code = chance.choice((1, 3, 56, 75, 100))
        else:
            result.high_watermark = chance.choice(NUMBERS)
            result.last_stable_offset = chance.choice(NUMBERS)
            result.log_start_offset = chance.choice(NUMBERS)
            result.size_bytes = chance.choice(SIZES)
            records: Any = Slice(result.size_bytes, fails=chance.random() < 0.05)
            result.records = records
        results.append(result)
    return results


def long_way(version: int, session_id: int, results: list[PartitionResult]) -> list[Any]:
    topics: dict[TopicKey, FetchedTopic] = {}
    for result in results:
        key, index = result.wanted.key
        name = {"topic": key} if isinstance(key, str) else {"topic_id": key}
        topic = topics.setdefault(key, FetchedTopic(partitions=[], **name))
        topic.partitions.append(_partition(index, result))
    response = FetchResponse(session_id=session_id, responses=list(topics.values()))
    return response.encode_parts(version)


@pytest.mark.parametrize("read_committed", [False, True])
@pytest.mark.parametrize("version", FetchResponse.VERSIONS)
def test_both_ways_give_the_same_parts(version: int, read_committed: bool) -> None:
    chance = random.Random(version)
    replies = FetchReplies(version, read_committed=read_committed)
    for _ in range(60):
        results = drawn(chance, version, read_committed=read_committed)
        assert is_plain(results)
        _choose_slices(results)
        session_id = chance.choice((0, 1, 2**31 - 1)) if version >= 7 else 0
        encoded = replies.encode(session_id, results)
        assert encoded.parts == long_way(version, session_id, results)
        sizes = [len(p) if isinstance(p, bytes) else p.size_bytes for p in encoded.parts]
        assert encoded.size_bytes == sum(sizes)
        assert isinstance(encoded.parts[0], bytes)


def test_what_is_not_plain_goes_the_long_way() -> None:
    plain, diverging, aborted = drawn_results(3)
    diverging.diverging_epoch = (1, 5)
    aborted.aborted_transactions = [AbortedTransaction(7, 1, 9, 10)]
    assert is_plain([plain])
    assert not is_plain([plain, diverging])
    assert not is_plain([plain, aborted])


def test_records_that_cannot_be_read_are_an_error_of_their_partition() -> None:
    [result] = drawn_results(1)
    records: Any = Slice(10, fails=True)
    result.records, result.size_bytes = records, 10
    encoded = FetchReplies(12, read_committed=False).encode(0, [result])
    [body] = encoded.parts
    assert isinstance(body, bytes)
    [partition] = FetchResponse.decode(body, 12).responses[0].partitions
    assert partition.error_code == ErrorCode.KAFKA_STORAGE_ERROR
    assert not partition.records


def test_however_many_small_slices_there_are_few_bytes_are_read() -> None:
    results = drawn_results(100)
    for result in results:
        records: Any = Slice(SENDFILE_BYTES - 1, fails=False)
        result.records, result.size_bytes = records, SENDFILE_BYTES - 1
    assert _choose_slices(results)
    assert sum(r.size_bytes for r in results if not r.is_slice) <= MAX_JOINED_BYTES


def drawn_results(count: int) -> list[PartitionResult]:
    return [
        PartitionResult(WantedPartition(("t", index), 0, 0, -1, -1), read_committed=False)
        for index in range(count)
    ]
