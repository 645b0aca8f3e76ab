"""Transactional copiers on the bare protocol: fetch, produce, commit the offset, end.

They speak as clients do since KIP-890: partitions join a transaction with the first produce, and
each end hands out the next producer epoch. Several copiers take each step together, so that the
broker always has as many requests as there are copiers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.requests import UnexpectedReply
from ottla.records.encode import BatchBuilder
from ottla.testing.protocol import Connection
from ottla.wire.api.k00_produce import PartitionToProduce, ProduceRequest, TopicToProduce
from ottla.wire.api.k01_fetch import FetchRequest, PartitionToFetch, TopicToFetch
from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest
from ottla.wire.api.k26_end_txn import EndTxnRequest
from ottla.wire.api.k28_txn_offset_commit import (
    PartitionToCommit,
    TopicToCommit,
    TxnOffsetCommitRequest,
)
from ottla.wire.declare import Message
from ottla.wire.errors import ErrorCode

FIRST_OFFSET = 1
"""Of a source's batches: before them is the record by which a topic was found writable."""

_FETCH, _PRODUCE, _OFFSET_COMMIT, _END = 12, 12, 5, 5
_FIND_COORDINATOR, _INIT_PRODUCER_ID = 4, 4
_GROUP_KEY, _TRANSACTION_KEY = 0, 1
_READ_COMMITTED = 1
_ACKS_ALL = -1
_TIMEOUT_MS = 30_000
_PAUSE_SECONDS = 0.001
_START_SECONDS = 30.0
# Completing the last transaction may take the coordinator a moment longer than its answer.
_AGAIN = frozenset(
    {
        ErrorCode.CONCURRENT_TRANSACTIONS,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    }
)


class Copier:
    """One producer that copies one partition of the source into the same one of the target.

    Args:
        records: the records of every batch of the source.
        batches: how many batches the source's partition has.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        source: str,
        target: str,
        partition: int,
        records: BatchBuilder,
        batches: int,
    ) -> None:
        self.connection = Connection(bootstrap_servers)
        self._source, self._target, self._partition = source, target, partition
        self._transactional_id = f"{target}-{partition}"
        self._group = f"copiers-of-{source}-{partition}"
        self._records = records
        self._batches, self._next_batch = batches, 0
        self._producer_id, self._producer_epoch = -1, -1

    @property
    def _offset(self) -> int:
        return FIRST_OFFSET + self._next_batch * self._records.record_count

    def start(self) -> None:
        """Get a producer id; the internal topics are there afterwards."""
        self._find_coordinator(_GROUP_KEY, self._group)
        self._find_coordinator(_TRANSACTION_KEY, self._transactional_id)
        request = InitProducerIdRequest(
            transactional_id=self._transactional_id, transaction_timeout_ms=_TIMEOUT_MS
        )
        begun = _until_accepted(
            lambda: self.connection.ask(request, _INIT_PRODUCER_ID), lambda reply: reply.error_code
        )
        self._producer_id, self._producer_epoch = begun.producer_id, begun.producer_epoch

    def _find_coordinator(self, key_type: int, key: str) -> None:
        request = FindCoordinatorRequest(key_type=key_type, coordinator_keys=[key])
        _until_accepted(
            lambda: self.connection.ask(request, _FIND_COORDINATOR),
            lambda found: found.coordinators[0].error_code,
        )

    def fetch(self) -> tuple[Message, int]:
        wanted = PartitionToFetch(
            partition=self._partition,
            fetch_offset=self._offset,
            partition_max_bytes=self._records.size_bytes,
        )
        topics = [TopicToFetch(topic=self._source, partitions=[wanted])]
        return FetchRequest(
            max_wait_ms=0, min_bytes=1, isolation_level=_READ_COMMITTED, topics=topics
        ), _FETCH

    def fetched(self, reply: Any) -> int:
        [partition] = reply.responses[0].partitions
        if not partition.error_code and len(partition.records) != self._records.size_bytes:
            raise UnexpectedReply("the fetch brought something else than one batch")
        return int(partition.error_code)

    def produce(self) -> tuple[Message, int]:
        batch = self._records.close(
            producer_id=self._producer_id,
            producer_epoch=self._producer_epoch,
            base_sequence=0,
            is_transactional=True,
        )
        partition = PartitionToProduce(index=self._partition, records=batch)
        return ProduceRequest(
            transactional_id=self._transactional_id,
            acks=_ACKS_ALL,
            timeout_ms=_TIMEOUT_MS,
            topic_data=[TopicToProduce(name=self._target, partition_data=[partition])],
        ), _PRODUCE

    def produced(self, reply: Any) -> int:
        return int(reply.responses[0].partition_responses[0].error_code)

    def commit_offset(self) -> tuple[Message, int]:
        self._next_batch = (self._next_batch + 1) % self._batches
        position = PartitionToCommit(
            partition_index=self._partition, committed_offset=self._offset, committed_metadata=""
        )
        return TxnOffsetCommitRequest(
            transactional_id=self._transactional_id,
            group_id=self._group,
            producer_id=self._producer_id,
            producer_epoch=self._producer_epoch,
            topics=[TopicToCommit(name=self._source, partitions=[position])],
        ), _OFFSET_COMMIT

    def offset_committed(self, reply: Any) -> int:
        return int(reply.topics[0].partitions[0].error_code)

    def end(self) -> tuple[Message, int]:
        return EndTxnRequest(
            transactional_id=self._transactional_id,
            producer_id=self._producer_id,
            producer_epoch=self._producer_epoch,
            committed=True,
        ), _END

    def ended(self, reply: Any) -> int:
        if not reply.error_code:
            self._producer_id, self._producer_epoch = reply.producer_id, reply.producer_epoch
        return int(reply.error_code)


_STEPS: tuple[tuple[Callable[[Copier], tuple[Message, int]], Callable[[Copier, Any], int]], ...] = (
    (Copier.fetch, Copier.fetched),
    (Copier.produce, Copier.produced),
    (Copier.commit_offset, Copier.offset_committed),
    (Copier.end, Copier.ended),
)


def copy_once(copiers: Sequence[Copier]) -> None:
    """One transaction of each copier, step by step side by side.

    Raises:
        UnexpectedReply: the broker refused a step for good.
    """
    for make, take in _STEPS:
        waiting = [(copier, *make(copier)) for copier in copiers]
        while waiting:
            for copier, request, version in waiting:
                copier.connection.send(request, version)
            again = []
            for copier, request, version in waiting:
                error = take(copier, copier.connection.receive())
                if error in _AGAIN:
                    again.append((copier, request, version))
                elif error:
                    raise UnexpectedReply(f"{make.__name__}: {ErrorCode(error).name}")
            waiting = again


def _until_accepted(ask: Callable[[], Any], error_of: Callable[[Any], int]) -> Any:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        reply = ask()
        error = error_of(reply)
        if not error:
            return reply
        if error not in _AGAIN or time.monotonic() > deadline:
            raise UnexpectedReply(ErrorCode(error).name)
        time.sleep(_PAUSE_SECONDS)
