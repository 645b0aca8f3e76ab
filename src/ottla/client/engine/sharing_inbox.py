"""What a share consumer's application holds, and what waits for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ottla.client.backend import active
from ottla.client.configuration.objects import ShareConsumerConfiguration
from ottla.client.core.sharing.acknowledgements import Outcome
from ottla.client.core.sharing.acquired import AcquiredRecords, Decided
from ottla.client.core.sharing.fetching import Delivered, FetchedShare, ShareError
from ottla.client.enumerations import AcknowledgeType
from ottla.client.errors import IllegalStateException, KafkaError, KafkaException
from ottla.client.message import Message
from ottla.client.values import OFFSET_INVALID, TIMESTAMP_NOT_AVAILABLE, TopicPartition

AcknowledgementCommitCallback = Callable[
    [dict[TopicPartition, set[int]], KafkaException | None], Any
]
_NO_TIMESTAMP = TIMESTAMP_NOT_AVAILABLE, -1


class SharingInbox:
    """Takes what the engine delivers (it is its ``SharingApplication``) and hands out messages.

    The engine's side may be called while the application's thread is in the middle of the other:
    it only ever appends to queues.

    Args:
        configuration: of the consumer.
        notify: wakes whoever waits for something to come; any thread.
        call_user: calls a user's callback, or queues it for the right thread.

    Attributes:
        callback: told of the outcomes of acknowledgements.
        is_telling: whether ``callback`` is being called.
        has_collected: whether the last ``collect`` took anything that was delivered.
    """

    def __init__(
        self,
        configuration: ShareConsumerConfiguration,
        *,
        notify: Callable[[], object],
        call_user: Callable[..., object],
    ) -> None:
        self._is_explicit = configuration.share_acknowledgement_mode == "explicit"
        self._max_records = configuration.max_poll_records
        self._check_crcs = configuration.check_crcs
        self._notify = notify
        self._call_user = call_user
        self._delivered: deque[Delivered] = deque()
        self._errors: deque[KafkaError] = deque()
        self._fatal_error: KafkaError | None = None
        self._records = AcquiredRecords()
        # What iteration has taken from the last poll and not handed out yet.
        self._unread: deque[Message[Any, Any]] = deque()
        self.callback: AcknowledgementCommitCallback | None = None
        self.is_telling = False
        self.has_collected = False

    # The engine's side

    def deliver(self, delivered: Sequence[Delivered]) -> None:
        """Records and errors to hand out, in this order."""
        self._delivered.extend(delivered)
        self._notify()

    def settled(self, outcome: Outcome) -> None:
        """What became of acknowledgements."""
        self._call_user(self._tell, outcome)

    def fail(self, error: KafkaError) -> None:
        """An error of the group for the next ``poll``; a fatal one for all of them."""
        if error.fatal():
            self._fatal_error = error
        else:
            # The membership goes on trying, and so may the application.
            self._errors.append(KafkaError(error.code(), error.str(), retriable=True))
        self._notify()

    # The application's side: polling

    def check_poll(self) -> None:
        """Whether the application may poll.

        Raises:
            IllegalStateException: it has to acknowledge records first.
            KafkaException: the group has failed.
        """
        if self._fatal_error is not None:
            raise KafkaException(self._fatal_error)
        if self._is_explicit and not self._unread and (count := self._records.undecided_count):
            text = f"{count} records from previous poll have not been acknowledged"
            raise IllegalStateException(text)

    @property
    def has_records(self) -> bool:
        """Whether ``collect`` may have something to return."""
        return bool(self._unread or self._delivered or self._records.has_renewed)

    def raise_error(self) -> None:
        """Raise what the group has failed with since the last time."""
        error = self._errors.popleft() if self._errors else self._fatal_error
        if error is not None:
            raise KafkaException(error)

    def collect(self, now_ms: float) -> list[Message[Any, Any]]:
        """The messages, and errors in their place, that are there: about as many as one poll is
        to return.

        Args:
            now_ms: by the engine's clock; records whose locks have run out are others' by now.
        """
        messages = [*self._unread, *self._records.take_renewed()]
        self._unread.clear()
        self.has_collected = bool(self._delivered)
        while self._delivered and len(messages) < self._max_records:
            delivered = self._delivered.popleft()
            if isinstance(delivered, ShareError):
                messages.append(_error_message(*delivered, OFFSET_INVALID))
            elif now_ms < delivered.expires_ms:
                messages += self._open(delivered)
        return messages

    def _open(self, fetched: FetchedShare) -> list[Message[Any, Any]]:
        place, acquired = fetched.place, fetched.acquired
        cursor = active.MessageCursor(
            place.topic,
            place.partition,
            fetched.records,
            acquired[0][0],
            check_crcs=self._check_crcs,
        )
        messages = cursor.take_acquired(acquired)
        self._records.add(place, acquired, messages, cursor.position)
        if cursor.error is not None:
            text = f"Fetched records are damaged: {cursor.error}"
            error = KafkaError(KafkaError._BAD_MSG, text)
            messages.append(_error_message(place.topic, place.partition, error, cursor.position))
        return messages

    def give_back(self) -> None:
        """What was collected did not reach the application: it goes back to the group."""
        self._records.decide_all(AcknowledgeType.RELEASE)

    def next_unread(self) -> Message[Any, Any] | None:
        """The next message that iteration has not handed out."""
        return self._unread.popleft() if self._unread else None

    def keep_unread(self, messages: Iterable[Message[Any, Any]]) -> None:
        """Iteration hands these out, one by one."""
        self._unread.extend(messages)

    # The application's side: acknowledging

    def acknowledge(self, message: Message[Any, Any], type_: int) -> None:
        """Decide about a message; see :meth:`acknowledge_offset`."""
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        subject = "Failed to acknowledge message"
        if topic is None or partition is None or offset is None:
            raise _invalid(subject)
        self._acknowledge(subject, topic, partition, offset, type_)

    def acknowledge_offset(self, topic: str, partition: int, offset: int, type_: int) -> None:
        """Decide about a record.

        Raises:
            ValueError: the partition, the offset or the type can't be.
            IllegalStateException: the consumer acknowledges implicitly, or holds no such record.
        """
        subject = "Failed to acknowledge offset"
        if partition < 0 or offset < 0:
            raise _invalid(subject)
        self._acknowledge(subject, topic, partition, offset, type_)

    def _acknowledge(
        self, subject: str, topic: str, partition: int, offset: int, type_: int
    ) -> None:
        if not self._is_explicit:
            raise _erroneous(subject)
        if type_ not in AcknowledgeType.__members__.values():
            raise _invalid(subject)
        if self.is_telling or not self._records.acknowledge(topic, partition, offset, type_):
            raise _erroneous(subject)

    def decide(self) -> Decided:
        """What the application has decided since the last time.

        Implicitly it has accepted all it got.
        """
        if not self._is_explicit:
            self._records.decide_all(AcknowledgeType.ACCEPT, but=self._unread)
        return self._records.take()

    def decided(self) -> Decided:
        """What the application has decided itself: there is no telling how far it got."""
        return self._records.take() if self._is_explicit else []

    def take_delivered(self) -> list[Delivered]:
        """What was delivered and is not wanted any more."""
        delivered, self._delivered = list(self._delivered), deque()
        return delivered

    def _tell(self, outcome: Outcome) -> Any:
        self._records.settled(outcome)
        acknowledgements, error = outcome
        if self.callback is None or not acknowledgements.is_told:
            return None
        place = acknowledgements.place
        offsets = {TopicPartition(place.topic, place.partition, 0): set(acknowledgements.types)}
        self.is_telling = True
        try:
            return self.callback(offsets, None if error is None else KafkaException(error))
        finally:
            self.is_telling = False


def _invalid(subject: str) -> ValueError:
    return ValueError(f"{subject}: {KafkaError(KafkaError._INVALID_ARG).str()}")


def _erroneous(subject: str) -> IllegalStateException:
    return IllegalStateException(f"{subject}: {KafkaError(KafkaError._STATE).str()}")


def _error_message(topic: str, partition: int, error: KafkaError, offset: int) -> Message[Any, Any]:
    return Message(
        topic,
        partition,
        offset,
        value=error.str().encode(),
        error=error,
        timestamp=_NO_TIMESTAMP,
    )
