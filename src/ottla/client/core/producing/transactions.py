"""A transactional producer's state: what may be called, what is asked, what an error leads to.

Both protocols are spoken: version 1, where partitions and groups are added to the transaction
before they are written to (KIP-98), and version 2, where the first write adds them and every end
gives the producer another epoch (KIP-890).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from ottla.client.core.backoff import Backoff
from ottla.client.core.membership.membership import GroupMetadata
from ottla.client.core.producing import transaction_requests as requests
from ottla.client.core.producing.partition import NOBODY, Identity
from ottla.client.core.producing.transaction_errors import Gravity, gravity_of, told_code
from ottla.client.core.producing.transaction_requests import (
    Ask,
    GroupOffset,
    Ids,
    TopicPartitionKey,
    error_codes,
)
from ottla.client.errors import KafkaError, KafkaException, describe
from ottla.wire.api.k22_init_producer_id import InitProducerIdResponse
from ottla.wire.api.k25_add_offsets_to_txn import AddOffsetsToTxnResponse
from ottla.wire.api.k26_end_txn import EndTxnResponse
from ottla.wire.declare import Message

_MAX_EPOCH = 32767
# What was just ended is written to the partitions within milliseconds.
_RETRY_BACKOFF_MS = 20.0


class State(Enum):
    """Where the producer stands; the values are the names users find in errors."""

    INIT = "Init"
    INITIALIZING = "WaitPID"
    READY = "Ready"
    IN_TRANSACTION = "InTransaction"
    BEGIN_COMMIT = "BeginCommit"
    COMMITTING = "CommittingTransaction"
    BEGIN_ABORT = "BeginAbort"
    ABORTING = "AbortingTransaction"
    ABORTABLE_ERROR = "AbortableError"
    FATAL_ERROR = "FatalError"


class _Offsets(NamedTuple):
    """Offsets to be sent with the transaction."""

    group: GroupMetadata
    offsets: Sequence[GroupOffset]


class Transactions:
    """The transactions of one producer, one after another.

    The shell calls what the user called, carries out what ``plan`` returns until it returns None,
    and tells ``answered``. One request is under way at a time.

    Args:
        transactional_id: the configuration's.
        timeout_ms: ``transaction.timeout.ms``: how long the coordinator lets a transaction stay
            open.
        retry_backoff_max_ms: the longest pause before a request is repeated.
    """

    def __init__(
        self, transactional_id: str, timeout_ms: int, retry_backoff_max_ms: float = 1_000
    ) -> None:
        self.state = State.INIT
        self.identity = NOBODY
        self.is_version_2 = False
        self.error: KafkaError | None = None
        """Why the transaction must be aborted, or why the producer can't go on."""
        self.transactional_id = transactional_id
        self._timeout_ms = timeout_ms
        self._backoff = Backoff(_RETRY_BACKOFF_MS, retry_backoff_max_ms)
        self._added: set[TopicPartitionKey] = set()
        self._to_add: set[TopicPartitionKey] = set()
        self._adding: frozenset[TopicPartitionKey] = frozenset()
        self._is_started = False
        self._groups_added: set[str] = set()
        # What the coordinator may have added though its answer got lost: it has to be certain
        # before the transaction can be aborted, which without anything in it is refused.
        self._uncertain: frozenset[TopicPartitionKey] = frozenset()
        self._uncertain_group: str | None = None
        self._offsets: _Offsets | None = None
        self._needs_new_epoch = False
        self._is_id_unknown = False
        self._asking: Ask | None = None

    # --- what the user calls ---

    def begin_init(self) -> None:
        """``init_transactions``; again, to go on waiting."""
        if self.state is not State.INITIALIZING:
            self._require(State.INIT)
            self.state = State.INITIALIZING

    def begin(self, *, is_version_2: bool) -> None:
        """``begin_transaction``, with the version that the cluster has now."""
        self._require(State.READY)
        self.is_version_2 = is_version_2
        self.state = State.IN_TRANSACTION

    def begin_commit(self) -> None:
        """``commit_transaction``; again, to go on waiting."""
        if self.state not in (State.BEGIN_COMMIT, State.COMMITTING):
            self._require(State.IN_TRANSACTION)
            self.state = State.BEGIN_COMMIT

    def commit(self) -> None:
        """Everything that was produced is delivered: the transaction can be committed."""
        if self.state is not State.COMMITTING:
            self._require(State.BEGIN_COMMIT)
            self.state = State.COMMITTING
            if not self._has_something:
                self._completed()

    def begin_abort(self) -> None:
        """``abort_transaction``; again, to go on waiting."""
        if self.state not in (State.BEGIN_ABORT, State.ABORTING):
            if self.state is not State.ABORTABLE_ERROR:
                self._require(State.IN_TRANSACTION)
            self.state = State.BEGIN_ABORT
            self._to_add = set(self._uncertain)
            self._offsets = None

    def abort(self, *, has_gaps: bool) -> None:
        """Nothing is under way any more: the transaction can be aborted.

        Args:
            has_gaps: sequence numbers were given to batches that failed, so that another epoch is
                needed to write to their partitions.
        """
        if self.state is State.ABORTING:
            return
        self._require(State.BEGIN_ABORT)
        self.state = State.ABORTING
        self._needs_new_epoch = self._needs_new_epoch or has_gaps
        if not self._has_something and not self._needs_new_epoch:
            self._completed()

    def send_offsets(self, group: GroupMetadata, offsets: Sequence[GroupOffset]) -> None:
        """``send_offsets_to_transaction``."""
        self._require(State.IN_TRANSACTION)
        if offsets and self._offsets is None:
            self._offsets = _Offsets(group, offsets)

    # --- what sending tells and asks ---

    def may_send(self, topic: str, number: int) -> bool:
        """Whether a partition may be written to now; if not yet, it is added soon."""
        if self.state not in (State.IN_TRANSACTION, State.BEGIN_COMMIT):
            return False
        if self.is_version_2 or (topic, number) in self._added:
            return True
        self._to_add.add((topic, number))
        return False

    def wrote(self) -> None:
        """Something was sent to a partition."""
        self._is_started = True

    def batch_failed(self, error: KafkaError, description: str) -> None:
        """A batch was not delivered."""
        if told_code(error.code()) == KafkaError._FENCED:
            self.fail(
                KafkaError._FENCED,
                f"{description}: transactional producer fenced by newer producer instance",
            )
        elif self.state in (State.IN_TRANSACTION, State.BEGIN_COMMIT):
            text = f"{description}: current transaction must be aborted"
            self._must_abort(error.code(), text)

    @property
    def wants_to_ask(self) -> bool:
        """Whether ``plan`` may have something."""
        return self._asking is None and (
            bool(self._to_add)
            or self._offsets is not None
            or self.state in (State.INITIALIZING, State.COMMITTING, State.ABORTING)
        )

    @property
    def has_offsets_to_send(self) -> bool:
        return self._offsets is not None

    # --- requests ---

    def plan(self, now_ms: float) -> Ask | None:
        """The request to send now, None while there is none or its turn has not come."""
        if self._asking is not None or not self._backoff.is_ready(now_ms):
            return None
        self._asking = self._next()
        return self._asking

    def next_deadline_ms(self) -> float | None:
        """When ``plan`` may have something to ask again."""
        return self._backoff.ready_at_ms if self.wants_to_ask else None

    def _next(self) -> Ask | None:
        ids = Ids(self.transactional_id, self.identity)
        if self.state is State.INITIALIZING:
            return requests.init_producer_id(ids, self._timeout_ms, keeps_id=False)
        if self.state in (State.IN_TRANSACTION, State.BEGIN_COMMIT):
            if self._to_add:
                self._adding = frozenset(self._to_add)
                return requests.add_partitions(ids, self._adding)
            if self._offsets is not None:
                return self._next_for_offsets(ids, self._offsets)
            return None
        if self.state is State.COMMITTING:
            return requests.end(ids, is_committed=True, is_version_2=self.is_version_2)
        if self.state is State.ABORTING:
            return self._next_for_abort(ids)
        return None

    def _next_for_abort(self, ids: Ids) -> Ask:
        if not self._is_id_unknown:
            if self._to_add:
                self._adding = frozenset(self._to_add)
                return requests.add_partitions(ids, self._adding)
            if self._uncertain_group is not None:
                return requests.add_offsets(ids, self._uncertain_group)
            if self._has_something:
                return requests.end(ids, is_committed=False, is_version_2=self.is_version_2)
        keeps_id = self.identity.epoch < _MAX_EPOCH and not self._is_id_unknown
        return requests.init_producer_id(ids, self._timeout_ms, keeps_id=keeps_id)

    def _next_for_offsets(self, ids: Ids, offsets: _Offsets) -> Ask:
        group = offsets.group
        if not self.is_version_2 and group.group_id not in self._groups_added:
            return requests.add_offsets(ids, group.group_id)
        return requests.commit_offsets(ids, group, offsets.offsets, is_version_2=self.is_version_2)

    def answered(
        self, answer: Message | KafkaError, now_ms: float, randomness: float
    ) -> Gravity | None:
        """The request under way was answered, or will not be.

        Returns:
            What its error means, None without one.
        """
        ask, self._asking = self._asking, None
        assert ask is not None
        error = answer if isinstance(answer, KafkaError) else _worst_error(answer)
        if error is None:
            assert not isinstance(answer, KafkaError)
            self._backoff.succeeded()
            self._succeeded(ask, answer)
            return None
        gravity = gravity_of(error.code())
        self._not_added(ask, gravity)
        if gravity in (Gravity.RETRY, Gravity.LOST_COORDINATOR):
            self._backoff.failed(now_ms, randomness)
        elif gravity is Gravity.FATAL:
            self.fail(told_code(error.code()), f"{_what_failed(ask)}: {error.str()}")
        else:
            self._failed(ask, error, gravity)
        return gravity

    def _not_added(self, ask: Ask, gravity: Gravity) -> None:
        """Partitions or offsets were not added, or nobody knows."""
        adding, self._adding = self._adding, frozenset()
        is_uncertain = gravity is Gravity.LOST_COORDINATOR
        if adding:
            self._to_add |= adding
            self._uncertain = self._uncertain | adding if is_uncertain else self._uncertain
        elif ask.answer is AddOffsetsToTxnResponse and self._offsets is not None and is_uncertain:
            self._uncertain_group = self._offsets.group.group_id
        elif ask.group_id is not None and self.is_version_2 and is_uncertain:
            # In version 2 an abort is never refused.
            self._is_started = True

    def _succeeded(self, ask: Ask, answer: Message) -> None:
        if isinstance(answer, InitProducerIdResponse):
            self.identity = Identity(answer.producer_id, answer.producer_epoch)
            self._needs_new_epoch = self._is_id_unknown = False
            self._completed()
            return
        if isinstance(answer, EndTxnResponse):
            self._ended(answer)
            return
        self._is_started = True
        if self._adding:
            self._added |= self._adding
            self._to_add -= self._adding
            self._uncertain -= self._adding
            self._adding = frozenset()
        elif ask.group_id is not None:
            self._offsets = None
        elif ask.answer is AddOffsetsToTxnResponse:
            self._uncertain_group = None
            if self._offsets is not None:
                self._groups_added.add(self._offsets.group.group_id)

    def _ended(self, answer: EndTxnResponse) -> None:
        self._is_started = False
        if self.is_version_2:
            # Another epoch, which no late write of this transaction has.
            self.identity = Identity(answer.producer_id, answer.producer_epoch)
            self._needs_new_epoch = False
        if not self._needs_new_epoch:
            self._completed()

    def _completed(self) -> None:
        self.state = State.READY
        self.error = None
        self._is_started = False
        self._added.clear()
        self._to_add.clear()
        self._groups_added.clear()
        self._uncertain = frozenset()
        self._uncertain_group = None

    # --- errors ---

    def fail(self, code: int, text: str) -> None:
        """The producer can't go on, ever."""
        if self.state is not State.FATAL_ERROR:
            self.state = State.FATAL_ERROR
            self.error = KafkaError(code, text, fatal=True)

    def _failed(self, ask: Ask, error: KafkaError, gravity: Gravity) -> None:
        self._offsets = None
        if gravity is Gravity.ABORTABLE_WITHOUT_ID:
            self._is_id_unknown = self._needs_new_epoch = True
        text = f"{_what_failed(ask)}: {error.str()}"
        if self.state is State.INITIALIZING:
            self.state = State.INIT
            self.error = KafkaError(error.code(), text, retriable=True)
        elif self.state is State.ABORTING and gravity is Gravity.ABORTABLE_WITHOUT_ID:
            # There is nothing left to abort: only an id is to be had.
            return
        else:
            self._must_abort(error.code(), text)

    def _must_abort(self, code: int, text: str) -> None:
        self.state = State.ABORTABLE_ERROR
        self.error = KafkaError(code, text, txn_requires_abort=True)

    @property
    def _has_something(self) -> bool:
        return self._is_started or bool(self._uncertain) or self._uncertain_group is not None

    def _require(self, state: State) -> None:
        if self.state is state:
            return
        if self.state in (State.ABORTABLE_ERROR, State.FATAL_ERROR):
            assert self.error is not None
            raise KafkaException(self.error)
        text = f"Operation not valid in state {self.state.value}"
        raise KafkaException(KafkaError(KafkaError._STATE, text))


_GRAVITIES = list(Gravity)


def _worst_error(answer: Message) -> KafkaError | None:
    codes = error_codes(answer)
    if not codes:
        return None
    worst = max(codes, key=lambda code: _GRAVITIES.index(gravity_of(code)))
    return KafkaError(worst, describe(worst))


_FAILURES = {
    22: "Failed to initialize Producer ID",
    24: "Failed to add partition(s) to transaction",
    25: "Failed to add offsets to transaction",
    26: "Failed to end transaction",
    28: "Failed to commit offsets to transaction",
}


def _what_failed(ask: Ask) -> str:
    assert ask.answer.API_KEY is not None
    return _FAILURES[ask.answer.API_KEY]
