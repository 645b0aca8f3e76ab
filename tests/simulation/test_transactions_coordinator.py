"""Producers, a transaction coordinator and partitions under seeded faults, in virtual time.

Each seed is one history: producers of both protocol versions write transactions into partitions
over a slow and lossy network, pause until they are fenced or timed out, and come back; the broker
crashes and keeps of each log what was durable and perhaps a little more. To see one again:

    OTTLA_TRANSACTIONS_SEED=17 pytest tests/simulation/test_transactions_coordinator.py
"""

from __future__ import annotations

import heapq
import itertools
import os
import random
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any, NamedTuple

import pytest

from ottla.coordination.outcome import Reply
from ottla.coordination.transactions import ending
from ottla.coordination.transactions import shard as shard_module
from ottla.coordination.transactions.commands import (
    AddPartitions,
    EndTransaction,
    FreshProducerIdNeeded,
    InitProducerId,
    MarkersWritten,
    ProducerGranted,
    ProducerIdAndEpoch,
    VerifyPartitions,
    WriteMarkers,
)
from ottla.coordination.transactions.settings import TransactionSettings
from ottla.coordination.transactions.shard import TransactionShard
from ottla.coordination.transactions.transaction import (
    TopicPartition,
    Transaction,
    TransactionState,
)
from ottla.coordination.transactions.transaction_log import TransactionChange, read_record
from ottla.testing.shard_runtime import ShardRuntime
from ottla.wire.errors import ErrorCode

SEEDS_PER_TEST = 20
TESTS = 10
CHAOS_MS = 30_000
HEALING_MS = 30_000
TIMEOUT_MS = 5_000
REQUEST_TIMEOUT_MS = 1_500
PARTITIONS: list[TopicPartition] = [("t", 0), ("t", 1), ("u", 0)]
SETTINGS = TransactionSettings(timeout_check_interval_ms=1_000)

S = TransactionState
# Which state may follow which; an aborted or committed transaction never changes its mind.
FOLLOWS: dict[TransactionState, set[TransactionState | None]] = {
    S.EMPTY: {None, S.EMPTY, S.COMPLETE_COMMIT, S.COMPLETE_ABORT},
    S.ONGOING: {S.ONGOING, S.EMPTY, S.COMPLETE_COMMIT, S.COMPLETE_ABORT},
    S.PREPARE_COMMIT: {S.ONGOING},
    S.PREPARE_ABORT: {S.ONGOING},
    S.COMPLETE_COMMIT: {S.PREPARE_COMMIT},
    # From the last three: an abort of nothing, which bumps the epoch (KIP-890).
    S.COMPLETE_ABORT: {S.PREPARE_ABORT, S.EMPTY, S.COMPLETE_COMMIT, S.COMPLETE_ABORT},
}


class Value(NamedTuple):
    """A record of a transaction in a partition."""

    producer: ProducerIdAndEpoch
    transaction: object


class Marker(NamedTuple):
    """The end of a transaction in a partition."""

    producer: ProducerIdAndEpoch
    coordinator_epoch: int
    is_commit: bool


class PartitionModel:
    """What a partition makes of transactional records and markers, in the simplest way."""

    def __init__(self) -> None:
        self.log: list[Value | Marker] = []
        self.high_watermark = 0
        self.guards: set[ProducerIdAndEpoch] = set()

    def epoch(self, producer_id: int) -> int:
        entries = [each for each in self.log if each.producer.producer_id == producer_id]
        return entries[-1].producer.producer_epoch if entries else -1

    def is_open(self, producer: ProducerIdAndEpoch) -> bool:
        """Whether the transaction of this very epoch has begun here and not ended."""
        entries = [each for each in self.log if each.producer.producer_id == producer.producer_id]
        return bool(entries) and isinstance(entries[-1], Value) and entries[-1].producer == producer

    def append(self, value: Value) -> ErrorCode:
        producer_id, producer_epoch = value.producer
        if producer_epoch < self.epoch(producer_id):
            return ErrorCode.INVALID_PRODUCER_EPOCH
        if not self.is_open(value.producer) and value.producer not in self.guards:
            return ErrorCode.INVALID_TXN_STATE
        self.guards.discard(value.producer)
        self.log.append(value)
        return ErrorCode.NONE

    def mark(self, request: WriteMarkers) -> None:
        producer_id, producer_epoch = request.producer
        # A marker ends what was being verified: it may not begin after its own end.
        self.guards = {each for each in self.guards if each.producer_id != producer_id}
        if producer_epoch < self.epoch(producer_id):
            return
        self.log.append(Marker(request.producer, request.coordinator_epoch, request.is_commit))

    def crash(self, keep: int) -> None:
        del self.log[keep:]
        self.high_watermark = len(self.log)
        self.guards.clear()

    def outcomes(self) -> dict[Any, set[bool | None]]:
        """How each transaction ended here; ``None``: it is open."""
        found: dict[Any, set[bool | None]] = defaultdict(set)
        for position, entry in enumerate(self.log):
            if isinstance(entry, Value):
                end = next(
                    (
                        later.is_commit
                        for later in self.log[position:]
                        if isinstance(later, Marker)
                        and later.producer.producer_id == entry.producer.producer_id
                    ),
                    None,
                )
                found[entry.transaction].add(end)
        return found


class Ask(NamedTuple):
    """A request to the coordinator: what a client waits for."""

    make: Callable[[object], Any]


class Write(NamedTuple):
    """A record for a partition."""

    partition: TopicPartition
    value: Value
    transactional_id: str
    adds: bool


class Sleep(NamedTuple):
    duration_ms: int


Step = Generator[Any, Any, Any]


class Client:
    """A transactional producer, one step at a time."""

    def __init__(self, world: World, transactional_id: str) -> None:
        self.world = world
        self.transactional_id = transactional_id
        self.version = world.random.choice([0, 2])
        self.producer: ProducerIdAndEpoch | None = None
        # A record may still be under way: version 1 alone would take it into the next transaction.
        self.must_bump = False

    def live(self) -> Step:
        random_ = self.world.random
        while self.world.is_chaotic:
            if self.producer is None or self.must_bump or random_.random() < 0.05:
                yield from self._init(None if random_.random() < 0.5 else self.producer)
                continue
            if not (yield from self._transact(next(self.world.numbers))):
                yield from self._init(self.producer if random_.random() < 0.7 else None)
            yield Sleep(random_.randrange(300))

    def _init(self, expected: ProducerIdAndEpoch | None) -> Step:
        fresh: int | None = None
        while self.world.is_chaotic:
            answer = yield Ask(
                partial(
                    InitProducerId,
                    transactional_id=self.transactional_id,
                    timeout_ms=TIMEOUT_MS,
                    expected=expected,
                    fresh_producer_id=fresh,
                )
            )
            fresh = None
            if isinstance(answer, FreshProducerIdNeeded):
                fresh = next(self.world.fresh_ids)
            elif isinstance(answer, ProducerGranted) and answer.error is ErrorCode.NONE:
                self.producer = ProducerIdAndEpoch(answer.producer_id, answer.producer_epoch)
                self.must_bump = False
                return
            elif isinstance(answer, ProducerGranted) and answer.error is ErrorCode.PRODUCER_FENCED:
                self.producer = None
                return
            else:
                yield Sleep(self.world.random.randrange(50, 300))

    def _transact(self, number: int) -> Step:
        """One transaction; whether its producer can go on."""
        random_ = self.world.random
        for partition in random_.sample(PARTITIONS, random_.randrange(4)):
            if not (yield from self._write(partition, number)):
                return (yield from self._end(number, is_commit=False))
        if random_.random() < 0.05:
            # It sleeps until it has timed out, or another has taken its place.
            if random_.random() < 0.5:
                self.world.start(self.transactional_id)
            yield Sleep(random_.randrange(3 * TIMEOUT_MS))
        return (yield from self._end(number, is_commit=random_.random() < 0.7))

    def _write(self, partition: TopicPartition, number: int) -> Step:
        producer = self.producer
        assert producer is not None
        if self.version < 2:
            error = yield from self._retry(
                partial(
                    AddPartitions,
                    transactional_id=self.transactional_id,
                    producer=producer,
                    partitions=frozenset({partition}),
                )
            )
            if error is not ErrorCode.NONE:
                return False
        value = Value(producer, (self.transactional_id, producer, number))
        for _ in range(self.world.random.randrange(1, 3)):
            answer = yield Write(partition, value, self.transactional_id, self.version >= 2)
            if answer is ErrorCode.CONCURRENT_TRANSACTIONS:
                yield Sleep(20)
            elif answer is not ErrorCode.NONE:
                self.must_bump = self.version < 2
                return False
        return True

    def _end(self, number: int, *, is_commit: bool) -> Step:
        producer = self.producer
        assert producer is not None
        answer = yield from self._retry(
            partial(
                EndTransaction,
                transactional_id=self.transactional_id,
                producer=producer,
                is_commit=is_commit,
                client_version=self.version,
            )
        )
        if answer is None or answer.error is not ErrorCode.NONE:
            return False
        self.world.told[self.transactional_id, producer, number] = is_commit
        self.producer = ProducerIdAndEpoch(answer.producer_id, answer.producer_epoch)
        return True

    def _retry(self, make: Callable[..., Any]) -> Step:
        """Ask until there is an answer that another attempt would not change."""
        fresh: dict[str, int] = {}
        while self.world.is_chaotic:
            answer = yield Ask(partial(make, **fresh))
            fresh = {}
            if isinstance(answer, FreshProducerIdNeeded):
                fresh = {"fresh_producer_id": next(self.world.fresh_ids)}
                continue
            error = answer.error if isinstance(answer, ProducerGranted) else answer
            if answer is not None and error is not ErrorCode.CONCURRENT_TRANSACTIONS:
                return answer
            yield Sleep(self.world.random.randrange(10, 100))
        return None


class World:
    """Clients, the broker and the network between them; ``seed`` decides everything."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now_ms = 1_000_000
        self.is_chaotic = True
        self.numbers = itertools.count()
        self.fresh_ids = itertools.count(100)
        self.told: dict[tuple[str, ProducerIdAndEpoch, int], bool] = {}
        self.partitions = {name: PartitionModel() for name in PARTITIONS}
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._waiting: dict[object, Callable[[Any], None]] = {}
        self._broker_epoch = 0
        first_epoch = self.random.choice([0, 2**15 - 4])
        self.runtime = ShardRuntime(
            lambda: FirstEpoch(first_epoch, self._broker_epoch),
            self._on_reply,
            on_request=self._write_markers,
            now_ms=self.now_ms,
            flushes_at_once=False,
        )

    def run(self) -> None:
        for name in ("a", "b", "c"):
            self.start(name)
        self.after(self.random.randrange(1, 5_000), self._crash_now_and_then)
        self._until(self.now_ms + CHAOS_MS)
        self.is_chaotic = False
        self._until(self.now_ms + HEALING_MS)
        self._check_end()

    def start(self, transactional_id: str) -> None:
        client = Client(self, transactional_id)
        self._step(client, client.live(), None)

    def after(self, delay_ms: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now_ms + delay_ms, next(self._order), action))

    def _until(self, end_ms: int) -> None:
        while True:
            timer_ms = self.runtime.next_deadline_ms()
            next_ms = min(
                self._heap[0][0] if self._heap else end_ms + 1,
                end_ms + 1 if timer_ms is None else timer_ms,
            )
            if next_ms > end_ms:
                self.now_ms = end_ms
                return
            self.now_ms = max(self.now_ms, next_ms)
            self.runtime.advance_to(self.now_ms)
            while self._heap and self._heap[0][0] <= self.now_ms:
                heapq.heappop(self._heap)[2]()
            self._flush_soon()

    # The network

    def _step(self, client: Client, life: Step, answer: Any) -> None:
        try:
            wanted = life.send(answer)
        except StopIteration:
            return
        if isinstance(wanted, Sleep):
            self.after(wanted.duration_ms, lambda: self._step(client, life, None))
            return
        has_ended = [False]

        def answered(response: Any) -> None:
            if not has_ended[0]:
                has_ended[0] = True
                self._step(client, life, response)

        def arrive() -> None:
            # Version 1 trusts that what a closed connection held is lost, which KIP-890 does not.
            if has_ended[0] and client.version < 2:
                return
            if isinstance(wanted, Ask):
                self._ask(wanted.make, lambda reply: self._send(lambda: answered(reply)))
            else:
                self._produce(wanted, lambda code: self._send(lambda: answered(code)))

        self.after(REQUEST_TIMEOUT_MS, lambda: answered(None))
        self._send(arrive)

    def _send(self, action: Callable[[], None]) -> None:
        dice = self.random.random()
        if self.is_chaotic and dice < 0.03:
            return
        self.after(self.random.choice([400, 2_000] if dice < 0.08 else [0, 1, 2, 5]), action)

    # The broker

    def _ask(self, make: Callable[[object], Any], then: Callable[[Any], None]) -> None:
        token = object()
        self._waiting[token] = then
        self.runtime.submit(make(token))

    def _on_reply(self, reply: Reply) -> None:
        then = self._waiting.pop(reply.token, None)
        if then is not None:
            then(reply.response)

    def _produce(self, write: Write, then: Callable[[ErrorCode], None]) -> None:
        partition = self.partitions[write.partition]
        producer = write.value.producer
        wanted = frozenset({write.partition})
        epoch = self._broker_epoch

        def append(answer: Any) -> None:
            error = answer[write.partition] if isinstance(answer, dict) else answer
            if error is ErrorCode.NONE and epoch == self._broker_epoch:
                error = partition.append(write.value)
                offset = len(partition.log)
                self._when_durable(partition, offset, lambda: then(error))
            else:
                then(error)

        if partition.is_open(producer):
            append(ErrorCode.NONE)
            return
        partition.guards.add(producer)
        kind = AddPartitions if write.adds else VerifyPartitions
        self._ask(lambda token: kind(token, write.transactional_id, producer, wanted), append)

    def _write_markers(self, request: WriteMarkers) -> None:
        left = set(request.partitions)
        epoch = self._broker_epoch

        def written(name: TopicPartition) -> None:
            left.discard(name)
            if not left and epoch == self._broker_epoch:
                self.runtime.submit(MarkersWritten(request.transactional_id, request.producer))

        def write(name: TopicPartition) -> None:
            if epoch == self._broker_epoch:
                partition = self.partitions[name]
                partition.mark(request)
                self._when_durable(partition, len(partition.log), lambda: written(name))

        for name in sorted(request.partitions):
            self.after(self.random.choice([0, 0, 1, 300]), partial(write, name))

    def _when_durable(
        self, partition: PartitionModel, offset: int, then: Callable[[], None]
    ) -> None:
        epoch = self._broker_epoch

        def flush() -> None:
            if epoch == self._broker_epoch:
                partition.high_watermark = max(partition.high_watermark, offset)
                then()

        self.after(self.random.choice([0, 1, 1, 50]), flush)

    def _flush_soon(self) -> None:
        if self.runtime.high_watermark < len(self.runtime.entries) and self.random.random() < 0.5:
            self.runtime.flush()
        elif self.runtime.high_watermark < len(self.runtime.entries):
            self.after(1, lambda: None)

    def _crash_now_and_then(self) -> None:
        if not self.is_chaotic:
            return
        self._broker_epoch += 1
        self._waiting.clear()
        for partition in self.partitions.values():
            partition.crash(self.random.randint(partition.high_watermark, len(partition.log)))
        end = self.random.randint(self.runtime.high_watermark, len(self.runtime.entries))
        self.runtime.crash(end)
        self.after(self.random.randrange(1, 8_000), self._crash_now_and_then)

    # What must hold

    def _check_end(self) -> None:
        shard = self.runtime.shard
        assert isinstance(shard, TransactionShard)
        for transaction in shard.transactions.values():
            assert transaction.is_idle, f"never completed: {transaction}"
        self._check_states()
        outcomes: dict[Any, set[bool | None]] = defaultdict(set)
        for name, partition in self.partitions.items():
            self._check_markers(partition)
            for transaction_name, ends in partition.outcomes().items():
                assert None not in ends, f"{transaction_name} hangs in {name}"
                outcomes[transaction_name] |= ends
        for transaction_name, ends in outcomes.items():
            assert len(ends) == 1, f"torn: {transaction_name} ended {ends}"
            told = self.told.get(transaction_name)
            assert told is None or ends == {told}, f"{transaction_name}: told {told}, {ends}"

    def _check_states(self) -> None:
        """Each id goes from state to state as it may, and its epochs only grow."""
        last: dict[str, Any] = {}
        used: dict[int, str] = {}
        for record in self.runtime.log:
            change = read_record(record)
            assert isinstance(change, TransactionChange)
            assert change.transaction is not None
            before, after = last.get(change.transactional_id), change.transaction
            state = None if before is None else before.state
            assert state in FOLLOWS[after.state], f"{state} -> {after}"
            if before is not None and before.producer_id == after.producer_id:
                assert after.producer_epoch >= before.producer_epoch
            else:
                assert after.producer_id not in used, "a producer id is given once"
            used[after.producer_id] = change.transactional_id
            last[change.transactional_id] = after

    def _check_markers(self, partition: PartitionModel) -> None:
        """A replaced coordinator ends nothing."""
        epochs: dict[int, int] = {}
        for entry in partition.log:
            if isinstance(entry, Marker):
                producer_id = entry.producer.producer_id
                assert epochs.get(producer_id, 0) <= entry.coordinator_epoch
                epochs[producer_id] = entry.coordinator_epoch


class FirstEpoch(TransactionShard):
    """A shard whose producers begin at some epoch, so that epochs run out in some histories."""

    def __init__(self, first_epoch: int, coordinator_epoch: int) -> None:
        super().__init__(SETTINGS, coordinator_epoch=coordinator_epoch)
        self._first_epoch = first_epoch

    def _begin(self, command: Any, outcome: Any, now_ms: int) -> Any:
        begun = super()._begin(command, outcome, now_ms)
        if isinstance(begun, Transaction):
            begun = begun._replace(producer_epoch=self._first_epoch)
        return begun


def seeds(test: int) -> list[int]:
    wanted = os.environ.get("OTTLA_TRANSACTIONS_SEED")
    if wanted is not None:
        return [int(wanted)] if test == 0 else []
    return list(range(test * SEEDS_PER_TEST, (test + 1) * SEEDS_PER_TEST))


def tell_histories(seeds: Iterable[int]) -> None:
    for seed in seeds:
        try:
            World(seed).run()
        except Exception as error:
            error.add_note(f"OTTLA_TRANSACTIONS_SEED={seed}")
            raise


@pytest.mark.parametrize("test", range(TESTS))
def test_transactions_are_all_or_nothing(test: int) -> None:
    tell_histories(seeds(test))


def test_histories_are_worth_telling() -> None:
    """Much happens in them: commits, aborts, fences, timeouts, new ids."""
    told: list[bool] = []
    states: set[TransactionState] = set()
    has_rotated = False
    for seed in range(20):
        world = World(seed)
        world.run()
        told += world.told.values()
        for record in world.runtime.log:
            change = read_record(record)
            assert isinstance(change, TransactionChange)
            assert change.transaction is not None
            states.add(change.transaction.state)
            has_rotated |= change.transaction.next_producer_id > 0
    assert told.count(True) > 300
    assert told.count(False) > 300
    assert states == set(FOLLOWS)
    assert has_rotated


def forget_to_resume(patch: pytest.MonkeyPatch) -> None:
    loaded = TransactionShard.loaded

    def without_requests(shard: TransactionShard, now_ms: int) -> Any:
        outcome = loaded(shard, now_ms)
        outcome.requests.clear()
        return outcome

    patch.setattr(TransactionShard, "loaded", without_requests)


def fence_without_a_new_epoch(patch: pytest.MonkeyPatch) -> None:
    fence = ending.fence

    def without_bump(before: Transaction, *rest: Any) -> Transaction:
        return fence(before, *rest)._replace(producer_epoch=before.producer_epoch)

    patch.setattr(ending, "fence", without_bump)


def write_while_it_ends(patch: pytest.MonkeyPatch) -> None:
    refusal = shard_module._refusal

    def lenient(*arguments: Any) -> ErrorCode:
        error = refusal(*arguments)
        return ErrorCode.NONE if error is ErrorCode.CONCURRENT_TRANSACTIONS else error

    patch.setattr(shard_module, "_refusal", lenient)


def believe_every_retry(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ending, "_answer_to_retry", lambda *_: ErrorCode.NONE)


PLANTED = [forget_to_resume, fence_without_a_new_epoch, write_while_it_ends, believe_every_retry]


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        tell_histories(range(100))
