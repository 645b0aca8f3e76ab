"""The producer's shell: moves batches from the accumulator through the sender to the brokers."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ottla.client.backend import active
from ottla.client.configuration.objects import ProducerConfiguration
from ottla.client.core.backoff import Backoff
from ottla.client.core.cluster import Changes
from ottla.client.core.producing.partition import Identity, Outcome
from ottla.client.core.producing.sender import (
    Request,
    Sender,
    acknowledged_by_nobody,
    unanswered,
)
from ottla.client.core.producing.settings import ACKS_NONE, SenderSettings
from ottla.client.core.producing.transactions import Transactions
from ottla.client.core.targets import ANY, Lane
from ottla.client.engine.engine import Engine
from ottla.client.engine.producing_requests import (
    MAX_VERSION,
    MAX_VERSION_BEFORE_V2_TRANSACTIONS,
    PRODUCE,
    ProduceSettings,
    encode_produce,
    read_answers,
)
from ottla.client.engine.producing_statistics import ProducingStatistics
from ottla.client.engine.producing_topics import ProducingTopics
from ottla.client.engine.producing_transactions import Transacting
from ottla.client.errors import KafkaError, KafkaException
from ottla.wire.api.k00_produce import ProduceResponse
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.client._reference_accumulator import Accumulator
    from ottla.client._reference_batch import Deliveries, ProducerBatch

_NO_LIMIT = 2**31 - 1
_IDLE_MS = 1_000
_IS_FATAL = "Unable to produce message: Local: Fatal error"
# How often what has waited too long is looked for: a tenth of the limit, within these bounds.
_MIN_EXPIRY_INTERVAL_MS = 10.0
_MAX_EXPIRY_INTERVAL_MS = 1_000.0
# The broker has this long to answer beyond the time it was given for the replicas.
_ANSWER_GRACE_MS = 1_000


def accumulator_for(
    configuration: ProducerConfiguration, *, most_ahead_bytes: int | None = None
) -> Accumulator:
    """An accumulator as the configuration wants it.

    Args:
        configuration: the producer's.
        most_ahead_bytes: see ``Accumulator``; None for who produces on the engine's own thread.
    """
    return active.Accumulator(
        batch_size_bytes=configuration.batch_size,
        batch_max_records=configuration.batch_num_messages,
        linger_ms=math.ceil(configuration.linger_ms),
        max_messages=configuration.queue_buffering_max_messages or _NO_LIMIT,
        max_bytes=configuration.queue_buffering_max_kbytes * 1024,
        max_message_bytes=configuration.message_max_bytes,
        partitioner=configuration.partitioner,
        sticky_linger_ms=configuration.sticky_partitioning_linger_ms,
        seed=int.from_bytes(os.urandom(8)),
        most_ahead_bytes=most_ahead_bytes,
    )


class Producing:
    """A producer on the engine's loop; everything here runs in the loop's thread.

    Args:
        engine: started by whoever made it.
        configuration: the producer's.
        accumulator: where the application's threads put records.
        deliver: told what became of records that somebody waits for.
        delivered_silently: told how many records were delivered that nobody asked about.
    """

    def __init__(
        self,
        engine: Engine,
        configuration: ProducerConfiguration,
        accumulator: Accumulator,
        deliver: Callable[[Deliveries], None],
        delivered_silently: Callable[[int], None],
    ) -> None:
        self.engine = engine
        self.configuration = configuration
        self.accumulator = accumulator
        is_transactional = configuration.transactional_id is not None
        self.sender = Sender(
            _sender_settings(configuration),
            engine.cluster,
            self._may_send if is_transactional else None,
        )
        self.fatal_error: KafkaError | None = None
        self.on_refusal: Callable[[KafkaException | None], None] = lambda exception: None
        """Told why nothing can be produced any more."""
        self.transacting: Transacting | None = None
        if configuration.transactional_id is not None:
            core = Transactions(
                configuration.transactional_id,
                configuration.transaction_timeout_ms,
                configuration.retry_backoff_max_ms,
            )
            self.transacting = Transacting(engine, self, core)
        self.gives_up_waiting = False
        """While a transaction is aborted: nothing is sent any more, nothing tried again."""
        self._deliver = deliver
        self._delivered_silently = delivered_silently
        self._settings = ProduceSettings(
            acks=configuration.acks,
            timeout_ms=configuration.request_timeout_ms,
            transactional_id=configuration.transactional_id,
            compression_type=configuration.compression_type,
            compression_level=configuration.compression_level,
        )
        self._topics = ProducingTopics(
            engine, accumulator, self._fail, lambda *topic: self.sender.fail_topic(*topic)
        )
        self._is_scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = float("inf")
        self._freeing: asyncio.TimerHandle | None = None
        self._expiry_ms = 0.0
        self._flushes = 0
        self._emptied: asyncio.Event | None = None
        self._is_asking_identity = False
        self._identity_backoff = Backoff(
            configuration.retry_backoff_ms, configuration.retry_backoff_max_ms
        )
        self._statistics = ProducingStatistics(
            engine, configuration, accumulator, lambda: self.sender.batches
        )
        engine.on_metadata(self._metadata_updated)
        engine.on_connection(self._connection_changed)

    # --- what others tell ---

    def wake(self) -> None:
        """Something may be there to send: look, in this or the next round of the loop."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self.engine.call_soon(self._pump_as_scheduled)

    def begin_flush(self) -> None:
        """Let nothing linger until ``end_flush``."""
        self._flushes += 1
        self.accumulator.is_flushing = True
        self.wake()

    def end_flush(self) -> None:
        """A flush is over."""
        self._flushes -= 1
        self.accumulator.is_flushing = self._flushes > 0

    async def emptied(self) -> None:
        """Wait until everything that was produced has its outcome."""
        while self.accumulator.message_count > 0:
            if self._emptied is None or self._emptied.is_set():
                self._emptied = asyncio.Event()
            await self._emptied.wait()

    def purge(self, *, in_queue: bool, in_flight: bool) -> None:
        """Give up records that wait, and those whose answer has not come."""
        if in_queue:
            for batch in self.accumulator.take_all():
                self._fail(batch, KafkaError(KafkaError._PURGE_QUEUE))
        self.sender.purge(in_queue=in_queue, in_flight=in_flight)
        self._tell_outcomes()

    def configured_transacting(self) -> Transacting:
        """The transactions.

        Raises:
            KafkaException: ``_NOT_CONFIGURED``: there is no ``transactional.id``.
        """
        if self.transacting is None:
            text = "The Transactional API requires transactional.id to be configured"
            raise KafkaException(KafkaError(KafkaError._NOT_CONFIGURED, text))
        return self.transacting

    def fail_fatally(self, error: KafkaError) -> None:
        """Nothing can be sent any more."""
        if self.fatal_error is not None:
            return
        self.fatal_error = error
        self.on_refusal(KafkaException(KafkaError(KafkaError._FATAL, _IS_FATAL)))
        self.engine.report(error)
        for batch in self.accumulator.take_all():
            self._fail(batch, KafkaError(KafkaError._PURGE_QUEUE))
        self.sender.purge(in_queue=True, in_flight=False)
        self._tell_outcomes()

    # --- sending ---

    def _may_send(self, topic: str, number: int) -> bool:
        return self.transacting is None or self.transacting.may_send(topic, number)

    def _pump_as_scheduled(self) -> None:
        if self._is_scheduled:
            self.pump()

    def pump(self) -> None:
        """Send everything that can be sent, at once, and see to it that the rest will be."""
        self._is_scheduled = False
        if self.engine.is_closed:
            return
        now_ms = self.engine.now_ms()
        accumulator, sender = self.accumulator, self.sender
        self._topics.adopt_new()
        if now_ms >= self._expiry_ms:
            self._expire(now_ms)
        while True:
            # Asked for each partition, and the same for all those of a broker.
            is_ready = _Readiness(self._is_ready).__getitem__
            found, due_ms = accumulator.ready(int(now_ms))
            for topic, number in found:
                if sender.wants(topic, number, now_ms, is_ready):
                    batch = accumulator.take(topic, number)
                    if batch is not None:
                        sender.add(batch)
            requests = sender.plan(now_ms, is_ready)
            for request in requests:
                self._send(request)
            if not requests or not (sender.has_waiting or accumulator.has_batches):
                break
        self._ask_for_what_is_missing()
        if self.transacting is not None:
            self.transacting.poke()
        self._set_timer(now_ms, due_ms)
        self._tell_outcomes()

    def _is_ready(self, broker_id: int) -> bool:
        return self.fatal_error is None and self.engine.is_ready(broker_id)

    def _send(self, request: Request) -> None:
        versions = self.engine.versions(request.broker_id)
        try:
            if versions is None:
                raise KafkaException(KafkaError(KafkaError._TRANSPORT))
            version = versions.choose(
                PRODUCE, at_least=self._settings.min_version, at_most=self._max_version()
            )
            body = encode_produce(request, self._settings, version)
        except KafkaException as exception:
            error = exception.args[0]
            self.engine.call_soon(lambda: self._answered(request, error, 0))
            return
        self._statistics.sent(request)
        self.engine.send_buffers(
            request.broker_id,
            PRODUCE,
            version,
            body,
            lambda reply: self._answered(request, reply, version),
            timeout_ms=self._settings.timeout_ms + _ANSWER_GRACE_MS,
            has_answer=self._settings.acks != ACKS_NONE,
        )

    def _max_version(self) -> int:
        if self.transacting is None:
            return MAX_VERSION
        self.transacting.core.wrote()
        is_version_2 = self.transacting.core.is_version_2
        return MAX_VERSION if is_version_2 else MAX_VERSION_BEFORE_V2_TRANSACTIONS

    def _answered(self, request: Request, reply: memoryview | KafkaError, version: int) -> None:
        if isinstance(reply, KafkaError):
            answers = unanswered(request, reply)
        elif self._settings.acks == ACKS_NONE:
            answers = acknowledged_by_nobody(request)
        else:
            try:
                response = ProduceResponse.decode(reply, version)
            except ProtocolError as error:
                text = f"the answer to a Produce request makes no sense: {error}"
                answers = unanswered(request, KafkaError(KafkaError._BAD_MSG, text))
            else:
                answers = read_answers(response, self.engine.cluster)
                self.engine.throttled(request.broker_id, response.throttle_time_ms)
        # Chance spreads what is tried again; asking the system for it takes its time.
        has_failed = any(answer.error is not None for answer in answers.values())
        randomness = self.engine.randomness() if has_failed else 0.0
        self.sender.answered(request, answers, self.engine.now_ms(), randomness)
        if self.gives_up_waiting:
            self.sender.purge(in_queue=True, in_flight=False)
        self._tell_outcomes()
        is_all_said = not (has_failed or self.sender.has_waiting or self.accumulator.has_batches)
        if not is_all_said or self.transacting is not None:
            self.wake()

    def _ask_for_what_is_missing(self) -> None:
        sender = self.sender
        if sender.needs_metadata:
            sender.needs_metadata = False
            self.engine.refresh_metadata()
        if sender.brokers_needed:
            needed, sender.brokers_needed = sender.brokers_needed, set()
            for broker_id in needed:
                self.engine.connect(broker_id)
        if sender.needs_identity and self.transacting is None:
            self._ask_identity()

    # --- outcomes ---

    def _fail(self, batch: ProducerBatch, error: KafkaError) -> None:
        self.sender.outcomes.append(Outcome(batch, error=error))

    def _tell_outcomes(self) -> None:
        outcomes = self.sender.outcomes
        if not outcomes:
            return
        self.sender.outcomes = []
        only_errors = self.configuration.delivery_report_only_error
        silent = 0
        for outcome in outcomes:
            batch, base_offset, log_append_time_ms, error, _ = outcome
            if error is not None and self.transacting is not None:
                self.transacting.batch_failed(outcome)
            # Futures are settled though callbacks hear of errors only.
            is_told = error is not None or not only_errors or self.accumulator.has_futures
            if batch.has_callbacks and is_told:
                self._deliver(batch.deliveries(base_offset, log_append_time_ms, error))
            else:
                silent += batch.record_count
                batch.release()
        if silent:
            self._delivered_silently(silent)
        if self.accumulator.message_count == 0:
            if self._emptied is not None:
                self._emptied.set()
            if self._freeing is None:
                when_ms = self.engine.now_ms() + _IDLE_MS
                self._freeing = self.engine.call_at(when_ms, self._free_memory)

    def _free_memory(self) -> None:
        """Give memory back when all has been quiet for a while."""
        self._freeing = None
        if self.accumulator.message_count == 0:
            active.free_kept_buffers()

    # --- time ---

    def _expire(self, now_ms: float) -> None:
        limit_ms = self.configuration.delivery_timeout_ms
        if limit_ms <= 0:
            self._expiry_ms = float("inf")
            return
        interval_ms = min(max(limit_ms / 10, _MIN_EXPIRY_INTERVAL_MS), _MAX_EXPIRY_INTERVAL_MS)
        self._expiry_ms = now_ms + interval_ms
        for batch in self.accumulator.take_created_before(int(now_ms - limit_ms)):
            self._fail(batch, KafkaError(KafkaError._MSG_TIMED_OUT))
        self.sender.expire(now_ms)

    def _set_timer(self, now_ms: float, due_ms: int | None) -> None:
        """Come back when a batch has lingered, a pause is over or something may have expired."""
        wanted_ms = float("inf") if due_ms is None else float(due_ms)
        retry_ms = self.sender.next_deadline_ms(now_ms)
        if retry_ms is not None:
            wanted_ms = min(wanted_ms, retry_ms)
        if self.accumulator.message_count > 0:
            wanted_ms = min(wanted_ms, self._expiry_ms)
        if self._timer is not None:
            if now_ms < self._timer_ms <= wanted_ms:
                # It rings earlier than need be: cheaper than a new timer for every batch.
                return
            self._timer.cancel()
            self._timer = None
        self._timer_ms = wanted_ms
        if wanted_ms < float("inf"):
            self._timer = self.engine.call_at(wanted_ms, self._timer_rang)

    def _timer_rang(self) -> None:
        self._timer = None
        self.pump()

    # --- what the engine tells ---

    def _metadata_updated(self, changes: Changes) -> None:
        self._topics.updated(changes)
        self._statistics.metadata_updated()
        self.wake()

    def _connection_changed(self, broker_id: int, lane: Lane, error: KafkaError | None) -> None:
        if lane is Lane.MAIN:
            self.wake()

    # --- identity (idempotence without transactions) ---

    def _ask_identity(self) -> None:
        if self._is_asking_identity or self.fatal_error is not None:
            return
        self._is_asking_identity = True
        self.engine.spawn(self._get_identity(), "get a producer id")

    async def _get_identity(self) -> None:
        request = InitProducerIdRequest(
            transactional_id=None,
            transaction_timeout_ms=self.configuration.transaction_timeout_ms,
        )
        try:
            # A wait may swallow the cancellation that closing brings, so closing is looked at too.
            while not (self.engine.is_closed or self.fatal_error) and self.sender.needs_identity:
                error = await self._try_to_get_identity(request)
                if error is None:
                    self._identity_backoff.succeeded()
                elif _is_final(error):
                    text = f"Failed to acquire idempotence PID: {error.str()}"
                    self.fail_fatally(KafkaError(error.code(), text, fatal=True))
                else:
                    now_ms = self.engine.now_ms()
                    self._identity_backoff.failed(now_ms, self.engine.randomness())
                    await asyncio.sleep((self._identity_backoff.ready_at_ms - now_ms) / 1000)
        finally:
            self._is_asking_identity = False
        self.wake()

    async def _try_to_get_identity(self, request: InitProducerIdRequest) -> KafkaError | None:
        try:
            response = await self.engine.ask(ANY, request, InitProducerIdResponse)
        except KafkaException as exception:
            error: KafkaError = exception.args[0]
            return error
        if response.error_code != ErrorCode.NONE:
            return KafkaError(response.error_code)
        self.sender.identify(Identity(response.producer_id, response.producer_epoch))
        return None

    def statistics(self) -> Mapping[str, Any]:
        """The producer's part of the statistics."""
        return self._statistics.collect()


class _Readiness(dict[int, bool]):
    """Which brokers can be sent to, each asked for once."""

    def __init__(self, is_ready: Callable[[int], bool]) -> None:
        super().__init__()
        self._is_ready = is_ready

    def __missing__(self, broker_id: int) -> bool:
        answer = self[broker_id] = self._is_ready(broker_id)
        return answer


def _sender_settings(configuration: ProducerConfiguration) -> SenderSettings:
    return SenderSettings(
        acks=configuration.acks,
        delivery_timeout_ms=configuration.delivery_timeout_ms,
        retries=configuration.retries,
        retry_backoff_ms=configuration.retry_backoff_ms,
        retry_backoff_max_ms=configuration.retry_backoff_max_ms,
        max_in_flight=configuration.max_in_flight,
        max_request_bytes=configuration.message_max_bytes,
        is_idempotent=configuration.enable_idempotence,
        is_transactional=configuration.transactional_id is not None,
    )


_FINAL_CODES = frozenset(
    {
        ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ErrorCode.UNSUPPORTED_VERSION,
        KafkaError._UNSUPPORTED_FEATURE,
    }
)


def _is_final(error: KafkaError) -> bool:
    return error.code() in _FINAL_CODES
