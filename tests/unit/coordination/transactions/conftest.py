"""A transaction shard at work: what clients and partitions see of it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ottla.coordination.outcome import Outcome
from ottla.coordination.transactions.commands import (
    AddPartitions,
    EndTransaction,
    FreshProducerIdNeeded,
    InitProducerId,
    MarkersWritten,
    ProducerIdAndEpoch,
    VerifyPartitions,
    WriteMarkers,
)
from ottla.coordination.transactions.settings import TransactionSettings
from ottla.coordination.transactions.shard import TransactionShard
from ottla.coordination.transactions.transaction import TopicPartition, Transaction
from ottla.coordination.transactions.transaction_log import transaction_record
from ottla.testing.shard_runtime import LoggedRecord, ShardDesk
from ottla.wire.errors import ErrorCode

ID = "mover"
TIMEOUT_MS = 60_000
T0: TopicPartition = ("t", 0)
T1: TopicPartition = ("t", 1)


class WatchedShard(TransactionShard):
    """A shard that makes sure of its contract: deciding changes nothing."""

    def decide(self, command: Any, now_ms: int) -> Outcome:
        before = dict(self.transactions), set(self._ongoing), self.transaction_version
        outcome = super().decide(command, now_ms)
        after = self.transactions, self._ongoing, self.transaction_version
        assert after == before, f"deciding {command} changed the shard"
        return outcome

    def on_timer(self, key: str, now_ms: int) -> Outcome:
        before = dict(self.transactions), set(self._ongoing)
        outcome = super().on_timer(key, now_ms)
        assert (self.transactions, self._ongoing) == before, f"timer {key} changed the shard"
        return outcome


class Desk(ShardDesk):
    """One shard, its runtime, and partitions that take markers when they are told to."""

    def __init__(
        self,
        settings: TransactionSettings | None = None,
        *,
        transaction_version: int = 2,
        flushes_at_once: bool = True,
        now_ms: int = 1_000_000,
    ) -> None:
        self.coordinator_epoch = 0
        self.transaction_version = transaction_version
        self.settings = settings or TransactionSettings()
        self.requests: list[WriteMarkers] = []
        self._fresh_ids = itertools.count(1000)
        super().__init__(
            self._new_shard,
            on_request=self.requests.append,
            now_ms=now_ms,
            flushes_at_once=flushes_at_once,
        )

    def _new_shard(self) -> TransactionShard:
        return WatchedShard(
            self.settings,
            coordinator_epoch=self.coordinator_epoch,
            transaction_version=self.transaction_version,
        )

    @property
    def shard(self) -> TransactionShard:
        shard = self.runtime.shard
        assert isinstance(shard, TransactionShard)
        return shard

    @property
    def transaction(self) -> Transaction:
        return self.shard.transactions[ID]

    def put(self, transaction: Transaction) -> None:
        """Lets the shard hold a transactional id in some state."""
        record = transaction_record(transaction, self.transaction_version)
        self.runtime.entries.append(LoggedRecord(record, None))
        self.shard.replay(record)
        self.runtime.flush()

    def _ask(self, command: Any) -> Any:
        self.runtime.submit(command)
        return self.answers.get(command.token)

    def init(
        self,
        expected: tuple[int, int] | None = None,
        *,
        transactional_id: str = ID,
        timeout_ms: int = TIMEOUT_MS,
    ) -> Any:
        """InitProducerId, as the broker asks: with a fresh id once one is needed."""
        known = None if expected is None else ProducerIdAndEpoch(*expected)
        answer = self._ask(InitProducerId(object(), transactional_id, timeout_ms, known))
        if isinstance(answer, FreshProducerIdNeeded):
            fresh = next(self._fresh_ids)
            answer = self._ask(InitProducerId(object(), transactional_id, timeout_ms, known, fresh))
        return answer

    def add(self, producer: tuple[int, int], *partitions: TopicPartition) -> Any:
        command = AddPartitions(
            object(), ID, ProducerIdAndEpoch(*producer), frozenset(partitions or (T0,))
        )
        return self._ask(command)

    def verify(self, producer: tuple[int, int], *partitions: TopicPartition) -> Any:
        command = VerifyPartitions(
            object(), ID, ProducerIdAndEpoch(*producer), frozenset(partitions or (T0,))
        )
        return self._ask(command)

    def end(self, producer: tuple[int, int], is_commit: bool, client_version: int = 2) -> Any:
        known = ProducerIdAndEpoch(*producer)
        answer = self._ask(EndTransaction(object(), ID, known, is_commit, client_version))
        if isinstance(answer, FreshProducerIdNeeded):
            fresh = next(self._fresh_ids)
            command = EndTransaction(object(), ID, known, is_commit, client_version, fresh)
            answer = self._ask(command)
        return answer

    def write_markers(self) -> list[WriteMarkers]:
        """Lets all markers asked for be written; what they were."""
        asked, self.requests[:] = list(self.requests), []
        for request in asked:
            self.runtime.submit(MarkersWritten(request.transactional_id, request.producer))
        return asked

    def restart(self) -> None:
        """Crashes and loads again, under the next leader epoch."""
        self.coordinator_epoch += 1
        self.requests.clear()
        super().restart()

    def begin(self) -> tuple[int, int]:
        """A producer with an open transaction in one partition."""
        granted = self.init()
        assert granted.error is ErrorCode.NONE
        producer = granted.producer_id, granted.producer_epoch
        assert self.add(producer) is ErrorCode.NONE
        return producer


@pytest.fixture
def desk() -> Desk:
    """A shard with Kafka's settings."""
    return Desk()


@pytest.fixture
def new_desk() -> type[Desk]:
    """Makes shards with other settings."""
    return Desk
