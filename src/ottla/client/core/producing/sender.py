"""When which batch goes to which broker, and what its answer leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from ottla.client.core.backoff import backoff_ms
from ottla.client.core.cluster import ClusterView
from ottla.client.core.producing.partition import (
    NOBODY,
    Identity,
    Outcome,
    PartitionQueue,
    Pending,
)
from ottla.client.core.producing.settings import SenderSettings
from ottla.client.core.producing.verdicts import Verdict, asks_for_metadata, verdict_on
from ottla.client.errors import KafkaError
from ottla.records.batch import HEADER_SIZE_BYTES

if TYPE_CHECKING:
    from ottla.client._reference_batch import ProducerBatch

_MAX_EPOCH = 32767


class Attempt(NamedTuple):
    """A batch in a request."""

    queue: PartitionQueue
    pending: Pending


class Request:
    """Batches to send to one broker in one Produce request, at most one per partition."""

    __slots__ = ("attempts", "broker_id", "size_bytes")

    def __init__(self, broker_id: int) -> None:
        self.broker_id = broker_id
        self.attempts: dict[tuple[str, int], Attempt] = {}
        self.size_bytes = 0


class Answer(NamedTuple):
    """What a broker, or the lack of an answer, says of one batch."""

    error: KafkaError | None = None
    base_offset: int = -1
    log_append_time_ms: int = -1
    knows_leader: bool = False
    """The answer named the new leader (KIP-951): no need to wait."""


class _Load:
    """What is under way to one broker."""

    __slots__ = ("requests", "size_bytes")

    def __init__(self) -> None:
        self.requests = 0
        self.size_bytes = 0


class Sender:
    """Everything between the accumulator and the brokers' answers, but for the IO.

    The shell takes a partition's next batch from the accumulator when ``wants`` says so, hands it
    over with ``add``, performs what ``plan`` returns and tells ``answered``. What became of batches
    collects in ``outcomes``; ``needs_metadata``, ``brokers_needed`` and ``needs_identity`` say what
    sending waits for.

    Args:
        settings: the configuration.
        cluster: who leads what.
        may_send: whether a partition may be written to now, if not all may always; a transaction
            says no until it contains the partition.
    """

    def __init__(
        self,
        settings: SenderSettings,
        cluster: ClusterView,
        may_send: Callable[[str, int], bool] | None = None,
    ) -> None:
        self.outcomes: list[Outcome] = []
        self.needs_metadata = False
        self.brokers_needed: set[int] = set()
        self.identity = NOBODY
        self._settings = settings
        self._cluster = cluster
        self._may_send = may_send
        self._queues: dict[tuple[str, int], PartitionQueue] = {}
        # Those that have batches waiting, in the order in which they get their turn.
        self._waiting: dict[tuple[str, int], PartitionQueue] = {}
        self._loads: dict[int, _Load] = {}

    # --- what the shell tells ---

    def wants(
        self, topic: str, number: int, now_ms: float, is_ready: Callable[[int], bool]
    ) -> bool:
        """Whether the partition's next batch could be sent at once; if not, it may still grow."""
        queue = self._queue(topic, number)
        if queue.waiting or queue.has_gap:
            return False
        return self._broker_for(queue, now_ms, is_ready) is not None

    def add(self, batch: ProducerBatch) -> None:
        """Send a batch as soon as its turn comes."""
        queue = self._queue(batch.topic, batch.partition)
        timeout_ms = self._settings.delivery_timeout_ms
        deadline_ms = batch.created_ms + timeout_ms if timeout_ms > 0 else None
        queue.add(batch, deadline_ms)
        self._waiting[batch.topic, batch.partition] = queue

    def plan(self, now_ms: float, is_ready: Callable[[int], bool]) -> list[Request]:
        """The requests to send now; each counts as under way until ``answered``."""
        requests: dict[int, Request] = {}
        for key, queue in list(self._waiting.items()):
            self._renew(queue)
            pending = queue.next_to_send()
            if pending is None:
                continue
            broker_id = self._broker_for(queue, now_ms, is_ready)
            if broker_id is None:
                continue
            request = requests.get(broker_id) or Request(broker_id)
            size_bytes = pending.batch.size_bytes
            is_too_much = request.size_bytes + size_bytes > self._settings.max_request_bytes
            if request.attempts and is_too_much:
                continue
            requests[broker_id] = request
            self._begin(request, queue, pending, size_bytes)
            # Its next batch waits until the others had their turn.
            del self._waiting[key]
            if queue.waiting:
                self._waiting[key] = queue
        for request in requests.values():
            load = self._loads.setdefault(request.broker_id, _Load())
            load.requests += 1
            load.size_bytes += request.size_bytes
        return list(requests.values())

    def answered(
        self,
        request: Request,
        answers: dict[tuple[str, int], Answer],
        now_ms: float,
        randomness: float,
    ) -> None:
        """A request's answer has come, or it is known that none will.

        Args:
            request: from ``plan``.
            answers: by partition; what is missing counts as an answer that makes no sense.
            now_ms: the time.
            randomness: from 0 up to 1.
        """
        load = self._loads[request.broker_id]
        load.requests -= 1
        load.size_bytes -= request.size_bytes
        for key, (queue, pending) in request.attempts.items():
            queue.in_flight.remove(pending)
            if not pending.is_done:
                answer = answers.get(key, _MISSING)
                self._settle(queue, pending, answer, now_ms, randomness)
            elif answers.get(key, _MISSING).error is None:
                queue.acknowledged(pending)
            self._renew(queue)

    def expire(self, now_ms: float) -> None:
        """Give up what has waited for longer than ``message.timeout.ms``."""
        for queue in list(self._queues.values()):
            for pending in [*queue.in_flight, *queue.waiting]:
                if pending.deadline_ms is not None and now_ms >= pending.deadline_ms:
                    self._give_up(queue, pending, KafkaError(KafkaError._MSG_TIMED_OUT))
            self._forget_waiting(queue)

    def purge(self, *, in_queue: bool, in_flight: bool) -> None:
        """Give up batches that wait, or whose answer has not come."""
        for queue in list(self._queues.values()):
            if in_flight:
                for pending in queue.in_flight:
                    self._give_up(queue, pending, KafkaError(KafkaError._PURGE_INFLIGHT))
            if in_queue:
                self._fail_waiting(queue, KafkaError(KafkaError._PURGE_QUEUE))

    def fail_topic(self, topic: str, error: KafkaError) -> None:
        """The topic does not exist any more."""
        for queue in [queue for queue in self._queues.values() if queue.topic == topic]:
            self._fail_waiting(queue, error)

    def identify(self, identity: Identity) -> None:
        """The producer has got an id and epoch; partitions use it from their next beginning on."""
        self.identity = identity
        for queue in self._queues.values():
            self._renew(queue)

    # --- what the shell asks ---

    @property
    def needs_identity(self) -> bool:
        """Whether an id has to be asked for (InitProducerId) before anything can be sent."""
        return self._settings.is_idempotent and self.identity == NOBODY

    @property
    def has_waiting(self) -> bool:
        """Whether a batch waits to be sent."""
        return bool(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return all(queue.is_idle for queue in self._queues.values())

    @property
    def has_gaps(self) -> bool:
        """Whether a partition needs another epoch to be written to again."""
        return any(queue.has_gap for queue in self._queues.values())

    @property
    def batches(self) -> Iterator[tuple[ProducerBatch, bool]]:
        """Every batch that has no outcome yet, and whether it is in flight; for statistics."""
        for queue in self._queues.values():
            for pending in queue.waiting:
                yield pending.batch, False
            for pending in queue.in_flight:
                if not pending.is_done:
                    yield pending.batch, True

    def next_deadline_ms(self, now_ms: float) -> float | None:
        """When ``plan`` has something to do again though nothing happens, None for never."""
        times = [queue.ready_at_ms for queue in self._waiting.values() if queue.waiting]
        return min((time for time in times if time > now_ms), default=None)

    # --- sending ---

    def _queue(self, topic: str, number: int) -> PartitionQueue:
        queue = self._queues.get((topic, number))
        if queue is None:
            queue = self._queues[topic, number] = PartitionQueue(topic, number)
            queue.identity = self.identity
        return queue

    def _broker_for(
        self, queue: PartitionQueue, now_ms: float, is_ready: Callable[[int], bool]
    ) -> int | None:
        """The broker that can be sent the partition's next batch now."""
        settings = self._settings
        if now_ms < queue.ready_at_ms:
            return None
        if self._may_send is not None and not self._may_send(queue.topic, queue.number):
            return None
        if settings.is_idempotent and (queue.identity == NOBODY or not queue.may_send_next):
            return None
        leader = self._cluster.leader(queue.topic, queue.number)
        if leader is None:
            self.needs_metadata = True
            return None
        broker_id = leader.broker_id
        load = self._loads.get(broker_id)
        if load is not None and (
            load.requests >= settings.max_in_flight
            or load.size_bytes >= settings.max_in_flight_bytes
        ):
            return None
        if not is_ready(broker_id):
            self.brokers_needed.add(broker_id)
            return None
        return broker_id

    def _begin(
        self, request: Request, queue: PartitionQueue, pending: Pending, size_bytes: int
    ) -> None:
        queue.waiting.remove(pending)
        if self._settings.is_idempotent and not pending.has_sequence:
            queue.number_next(pending)
        pending.is_refused = False
        pending.attempts += 1
        pending.broker_id = request.broker_id
        queue.in_flight.append(pending)
        request.attempts[queue.topic, queue.number] = Attempt(queue, pending)
        request.size_bytes += size_bytes

    # --- outcomes ---

    def _settle(
        self,
        queue: PartitionQueue,
        pending: Pending,
        answer: Answer,
        now_ms: float,
        randomness: float,
    ) -> None:
        error = answer.error
        verdict = Verdict.DELIVERED if error is None else verdict_on(error.code())
        if error is None or verdict is Verdict.DELIVERED:
            queue.acknowledged(pending)
            self._delivered(queue, pending, answer)
            return
        if asks_for_metadata(error.code()) and not answer.knows_leader:
            self.needs_metadata = True
        if verdict is Verdict.SPLIT and pending.batch.record_count > 1:
            self._split(queue, pending)
        elif verdict is Verdict.OUT_OF_SEQUENCE and self._may_be_refused(queue, pending):
            pending.is_refused = True
            self._try_again(queue, pending)
            if not queue.in_flight and not queue.has_gap:
                self._back_off(queue, now_ms, randomness)
        elif verdict is Verdict.MOVED or (
            verdict is Verdict.RETRY and pending.attempts <= self._settings.retries
        ):
            self._try_again(queue, pending)
            if not answer.knows_leader:
                self._back_off(queue, now_ms, randomness)
        else:
            self._give_up(queue, pending, _as_told(error))

    def _delivered(self, queue: PartitionQueue, pending: Pending, answer: Answer) -> None:
        pending.is_done = True
        outcome = Outcome(pending.batch, answer.base_offset, answer.log_append_time_ms)
        if not queue.hold_if_early(pending, outcome):
            self.outcomes.append(outcome)
            self.outcomes += queue.take_released()

    def _may_be_refused(self, queue: PartitionQueue, pending: Pending) -> bool:
        """Whether a batch that came out of sequence may be sent again.

        It may when something before it has still to be appended. When nothing has, the broker has
        lost what it knew of this producer; then the partition begins anew, which within a
        transaction only the next one can.
        """
        is_next = pending.base_sequence == queue.next_acknowledged
        is_behind_gap = queue.is_behind_gap(pending)
        if self._settings.is_transactional:
            return not is_next and not is_behind_gap
        if is_next and not is_behind_gap:
            queue.gap_sequence = pending.base_sequence
        return pending.has_sequence

    def _split(self, queue: PartitionQueue, pending: Pending) -> None:
        """Send a batch in halves, which have the same sequence numbers as the whole."""
        batch = pending.batch
        half_bytes = HEADER_SIZE_BYTES + (batch.plain_size_bytes - HEADER_SIZE_BYTES) // 2
        parts = [
            Pending(part, pending.deadline_ms, pending.order) for part in batch.split(half_bytes)
        ]
        queue.put_parts_back(pending, parts)
        self._waiting[queue.topic, queue.number] = queue

    def _try_again(self, queue: PartitionQueue, pending: Pending) -> None:
        queue.put_back(pending)
        self._waiting[queue.topic, queue.number] = queue

    def _back_off(self, queue: PartitionQueue, now_ms: float, randomness: float) -> None:
        if queue.ready_at_ms > now_ms:
            return
        queue.failures += 1
        queue.ready_at_ms = now_ms + backoff_ms(
            queue.failures,
            first_ms=self._settings.retry_backoff_ms,
            max_ms=self._settings.retry_backoff_max_ms,
            randomness=randomness,
        )

    def _give_up(self, queue: PartitionQueue, pending: Pending, error: KafkaError) -> None:
        if pending.is_done:
            return
        pending.is_done = True
        queue.given_up(pending)
        attempt = pending if pending.attempts else None
        self.outcomes.append(Outcome(pending.batch, error=error, attempt=attempt))
        self.outcomes += queue.take_released()

    def _fail_waiting(self, queue: PartitionQueue, error: KafkaError) -> None:
        for pending in queue.waiting:
            self._give_up(queue, pending, error)
        self._forget_waiting(queue)

    def _forget_waiting(self, queue: PartitionQueue) -> None:
        """Take those out of the queue whose outcome was told."""
        if any(pending.is_done for pending in queue.waiting):
            left = [pending for pending in queue.waiting if not pending.is_done]
            queue.waiting.clear()
            queue.waiting.extend(left)
        if not queue.waiting:
            self._waiting.pop((queue.topic, queue.number), None)
        self._renew(queue)

    def _renew(self, queue: PartitionQueue) -> None:
        """Begin the partition anew if it has to be and can be: with a gap, or as somebody else."""
        if not self._settings.is_idempotent or not queue.may_begin_anew:
            return
        if queue.has_gap and queue.identity == self.identity:
            if self._settings.is_transactional:
                return
            self._raise_epoch()
        if queue.identity != self.identity:
            queue.begin_anew(self.identity)

    def _raise_epoch(self) -> None:
        """Continue under the next epoch, as KIP-360 lets producers without transactions do."""
        if self.identity.epoch < _MAX_EPOCH:
            self.identity = self.identity._replace(epoch=self.identity.epoch + 1)
        else:
            self.identity = NOBODY


_MISSING = Answer(KafkaError(KafkaError._BAD_MSG))


def _as_told(error: KafkaError) -> KafkaError:
    """The error as the application hears it: what ran out was the message's time."""
    if error.code() == KafkaError._TIMED_OUT:
        return KafkaError(KafkaError._MSG_TIMED_OUT)
    return error


def unanswered(request: Request, error: KafkaError) -> dict[tuple[str, int], Answer]:
    """The same error for every batch of a request."""
    answer = Answer(error)
    return dict.fromkeys(request.attempts, answer)


def acknowledged_by_nobody(request: Request) -> dict[tuple[str, int], Answer]:
    """The outcome of a request with ``acks=0`` that was written out: nobody will tell."""
    return dict.fromkeys(request.attempts, Answer())
