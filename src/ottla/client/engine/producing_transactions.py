"""Transactions on the engine's loop: the core's requests carried out, its state passed on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ottla.client.core.membership.membership import GroupMetadata
from ottla.client.core.producing.partition import Outcome
from ottla.client.core.producing.transaction_errors import Gravity
from ottla.client.core.producing.transaction_requests import Ask, GroupOffset
from ottla.client.core.producing.transactions import State, Transactions
from ottla.client.core.targets import Coordinator, KeyType
from ottla.client.errors import KafkaError, KafkaException

if TYPE_CHECKING:
    from ottla.client.engine.engine import Engine
    from ottla.client.engine.producing import Producing
    from ottla.wire.declare import Message

_FEATURE = "transaction.version"
_VERSION_2 = 2
_WAITING_STATES = frozenset({State.INITIALIZING, State.COMMITTING, State.ABORTING})
_OPEN_STATES = frozenset(
    {State.IN_TRANSACTION, State.ABORTABLE_ERROR, State.BEGIN_COMMIT, State.BEGIN_ABORT}
)
TIMED_OUT = "Timed out waiting for operation to finish, retry call to resume"
"""What users hear of a call that may be made again."""
_NOT_IN_TRANSACTION = "Unable to produce message: Local: Erroneous state"
_IS_FATAL = "Unable to produce message: Local: Fatal error"


class Transacting:
    """The transactional calls of a producer; all of it on the loop's thread.

    Args:
        engine: asks the coordinators.
        producing: what the transactions are made of.
        core: decides.
    """

    def __init__(self, engine: Engine, producing: Producing, core: Transactions) -> None:
        self.core = core
        self.on_refusal: Callable[[KafkaException | None], None] = lambda exception: None
        """Told why nothing can be produced now, None when it can."""
        self._engine = engine
        self._producing = producing
        self._changed = asyncio.Event()
        self._is_driving = False

    # --- what the user calls; each may be given up and called again ---

    async def init(self) -> None:
        """Get an id; whoever had the transactional id before is fenced.

        Raises:
            KafkaException: it can't be had; see its flags.
        """
        self.core.begin_init()
        await self._settled()
        if self.core.state is State.INIT and self.core.error is not None:
            raise KafkaException(self.core.error)

    def begin(self) -> None:
        """Begin a transaction.

        Raises:
            KafkaException: ``_STATE``, or what ended the producer.
        """
        level = self._engine.feature_level(_FEATURE)
        self.core.begin(is_version_2=level >= _VERSION_2)
        self._tell()

    def begin_commit(self) -> None:
        """Accept no more messages; then everything has to be delivered before ``commit``."""
        self.core.begin_commit()
        self._tell()

    async def commit(self) -> None:
        """Commit what was delivered."""
        self.core.commit()
        await self._settled()

    def begin_abort(self) -> None:
        """Accept no more messages and give up what waits; then what is under way has to end."""
        self.core.begin_abort()
        self._producing.gives_up_waiting = True
        self._producing.purge(in_queue=True, in_flight=False)
        self._tell()

    async def abort(self) -> None:
        """Abort what was written."""
        self._producing.gives_up_waiting = False
        self.core.abort(has_gaps=self._producing.sender.has_gaps)
        await self._settled()

    async def send_offsets(self, group: GroupMetadata, offsets: Sequence[GroupOffset]) -> None:
        """Commit a group's offsets with the transaction."""
        self.core.send_offsets(group, offsets)
        while self.core.has_offsets_to_send:
            await self._next_change()
        if self.core.error is not None:
            raise KafkaException(self.core.error)

    async def _settled(self) -> None:
        self._tell()
        while self.core.state in _WAITING_STATES:
            await self._next_change()
        error = self.core.error
        if error is not None and self.core.state in (State.ABORTABLE_ERROR, State.FATAL_ERROR):
            raise KafkaException(error)

    async def _next_change(self) -> None:
        self.poke()
        await self._changed.wait()

    @property
    def is_open(self) -> bool:
        """Whether there is a transaction that has neither been committed nor aborted."""
        return self.core.state in _OPEN_STATES

    # --- what sending tells and asks ---

    def may_send(self, topic: str, number: int) -> bool:
        """Whether a partition may be written to now; if not, it may be once it was added."""
        return self.core.may_send(topic, number)

    def batch_failed(self, outcome: Outcome) -> None:
        """A batch was not delivered."""
        error = outcome.error
        if error is None:
            return
        self.core.batch_failed(_told(outcome, error), _description(outcome, error))
        self._tell()

    # --- requests ---

    def poke(self) -> None:
        """The core may have something to ask."""
        if self.core.wants_to_ask and not self._is_driving:
            self._is_driving = True
            self._engine.spawn(self._drive(), "transactions")

    async def _drive(self) -> None:
        """Carry out the core's requests one after another, until there is none."""
        try:
            while True:
                now_ms = self._engine.now_ms()
                ask = self.core.plan(now_ms)
                if ask is not None:
                    await self._carry_out(ask)
                    continue
                deadline_ms = self.core.next_deadline_ms()
                if deadline_ms is None:
                    break
                await asyncio.sleep(max(0.0, deadline_ms - now_ms) / 1000)
        finally:
            self._is_driving = False

    async def _carry_out(self, ask: Ask) -> None:
        if ask.group_id is None:
            target = Coordinator(KeyType.TRANSACTION, self.core.transactional_id)
        else:
            target = Coordinator(KeyType.GROUP, ask.group_id)
        answer: Message | KafkaError
        try:
            answer = await self._engine.ask(
                target, ask.request, ask.answer, at_least=ask.at_least, at_most=ask.at_most
            )
        except KafkaException as exception:
            answer = exception.args[0]
        engine = self._engine
        gravity = self.core.answered(answer, engine.now_ms(), engine.randomness())
        if gravity is Gravity.LOST_COORDINATOR:
            engine.forget_coordinator(target)
        self._tell()

    def _tell(self) -> None:
        """Pass the core's state on to all that depend on it."""
        core, producing = self.core, self._producing
        if core.identity != producing.sender.identity:
            producing.sender.identify(core.identity)
        if core.state is State.FATAL_ERROR and core.error is not None:
            producing.fail_fatally(core.error)
        self.on_refusal(self.refusal())
        self._changed.set()
        self._changed = asyncio.Event()
        producing.wake()
        self.poke()

    def refusal(self) -> KafkaException | None:
        """Why nothing can be produced now."""
        if self.core.state is State.IN_TRANSACTION:
            return None
        if self.core.state is State.FATAL_ERROR:
            return KafkaException(KafkaError(KafkaError._FATAL, _IS_FATAL))
        return KafkaException(KafkaError(KafkaError._STATE, _NOT_IN_TRANSACTION))


def _told(outcome: Outcome, error: KafkaError) -> KafkaError:
    if outcome.attempt is None:
        return KafkaError(KafkaError._INCONSISTENT)
    return error


def _description(outcome: Outcome, error: KafkaError) -> str:
    """What failed, for the transaction's error."""
    batch, attempt = outcome.batch, outcome.attempt
    if attempt is None:
        return (
            f"{batch.record_count} message(s) failed delivery (see individual delivery reports): "
            f"{error.str()}"
        )
    identity = attempt.identity
    return (
        f"ProduceRequest for {batch.topic} [{batch.partition}] with {batch.record_count} "
        f"message(s) failed: {error.str()} (broker {attempt.broker_id} "
        f"PID{{Id:{identity.producer_id},Epoch:{identity.epoch}}}, "
        f"base seq {attempt.base_sequence})"
    )
