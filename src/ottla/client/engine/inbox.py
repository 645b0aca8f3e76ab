"""What waits for the application of a consumer, between the engine's loop and its own thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from ottla.client.backend import active
from ottla.client.core.consuming.fetching import Delivered, FetchedRecords
from ottla.client.core.consuming.partition import AssignedPartition, PartitionError
from ottla.client.engine.consuming_group import Rebalance
from ottla.client.errors import KafkaError
from ottla.client.message import Message
from ottla.client.values import OFFSET_INVALID, TIMESTAMP_NOT_AVAILABLE

if TYPE_CHECKING:
    from ottla.client.engine.consuming import Consuming

_NO_TIMESTAMP = TIMESTAMP_NOT_AVAILABLE, -1


class Inbox:
    """Takes what the engine delivers (it is its ``Application``) and hands out messages.

    The engine's side may be called while the application's thread is in the middle of the other:
    it only ever appends to queues and raises flags.

    Args:
        consumer: refers to the consumer whose ``poll`` reads the cursor that is set here.
        notify: wakes whoever waits for something to come; any thread.
        call_engine: calls a method of the engine's side on its loop; any thread.
        call_user: calls a user's callback, or queues it for the right thread.
        rebalance: told of changes of the assignment.
    """

    def __init__(
        self,
        consumer: Callable[[], active.ConsumerBase | None],
        *,
        notify: Callable[[], object],
        call_engine: Callable[..., object],
        call_user: Callable[..., object],
        rebalance: Callable[[Rebalance], object],
    ) -> None:
        self._consumer = consumer
        self._notify = notify
        self._call_engine = call_engine
        self._call_user = call_user
        self._rebalance = rebalance
        self._delivered: deque[Delivered] = deque()
        self._errors: deque[Message[Any, Any]] = deque()
        self._current: FetchedRecords | None = None
        self.is_polling = False
        """Whether a thread is inside ``poll`` or its like."""
        self.consuming: Consuming

    # The engine's side

    def deliver(self, delivered: Sequence[Delivered]) -> None:
        """Records and errors to hand out, in this order."""
        self._delivered.extend(delivered)
        self._notify()

    def rebalance(self, event: Rebalance) -> None:
        """A change of the assignment for the application's callbacks."""
        self._rebalance(event)
        self.look_again()

    def fail(self, error: KafkaError, topic: str | None) -> None:
        """An error for the next ``poll``."""
        self._errors.append(
            Message(topic, 0, value=error.str().encode(), error=error, timestamp=_NO_TIMESTAMP)
        )
        self.look_again()

    def call_user(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Have a user's callback called."""
        self._call_user(callback, *arguments)
        self.look_again()

    def look_again(self) -> None:
        """Have the next ``poll`` look at more than its cursor."""
        consumer = self._consumer()
        if consumer is not None:
            consumer._has_news = True
        self._notify()

    def take_polled(self) -> bool:
        """Whether the application has polled since the last time, or is polling."""
        consumer = self._consumer()
        if consumer is None:
            return False
        has_polled = consumer._has_polled or self.is_polling
        consumer._has_polled = False
        return has_polled

    # The application's side

    def next_error(self) -> Message[Any, Any] | None:
        """The next error of the group, which the application hears before what follows from it."""
        return self._errors.popleft() if self._errors else None

    def next_message(self) -> Message[Any, Any] | None:
        """The next message without waiting, None when there is none."""
        reader = self._reader()
        while True:
            if self._errors:
                return self._errors.popleft()
            cursor = reader._cursor
            if cursor is None:
                error = self._open_next()
                if error is not None:
                    return error
                if self._current is None:
                    return None
                continue
            if not self._is_void():
                message = cursor.next()
                if message is not None:
                    return message
            self._leave()

    def take(self, limit: int) -> list[Message[Any, Any]]:
        """At most so many messages without waiting."""
        messages: list[Message[Any, Any]] = []
        reader = self._reader()
        while len(messages) < limit:
            cursor = reader._cursor
            if cursor is not None and not self._errors and not self._is_void():
                taken = cursor.take(limit - len(messages))
                if len(taken) == limit:
                    return taken
                messages += taken
                if len(messages) == limit:
                    break
            # The end of the cursor, or something that is no record: the long way.
            message = self.next_message()
            if message is None:
                break
            messages.append(message)
        return messages

    def take_columns(
        self, columns: active.RecordColumns | active.RecordLines, limit: int
    ) -> Message[Any, Any] | None:
        """Have columns hold ``limit`` records, as far as they come without waiting.

        Returns:
            An error other than the end of a partition, when that came first. The table may be full
            before it holds so many.
        """
        reader = self._reader()
        while columns.count < limit:
            cursor = reader._cursor
            if cursor is None:
                error = self._open_next()
                if error is not None and error.error() != KafkaError._PARTITION_EOF:
                    return error
                if error is None and self._current is None:
                    return None
                continue
            wanted = limit - columns.count
            if not self._is_void():
                taken = columns.extend(cursor, wanted)
                if taken == wanted or columns.is_full:
                    return None
            self._leave()
        return None

    def put_back_error(self, error: Message[Any, Any]) -> None:
        """Have the next ``poll`` return this error."""
        self._errors.appendleft(error)

    def leave_void(self) -> None:
        """The position of partitions may have been set, or some be taken away: read on only in
        what is still to be read."""
        if self._is_void():
            self._leave()

    def _leave(self) -> None:
        """Done with what is being read: it is at its end, or void."""
        records, self._current = self._current, None
        self._reader()._cursor = None
        if records is None:
            return
        if not records.is_void:
            records.partition.settle()
            if records.cursor.error is not None and (
                records.cursor.position < records.cursor.end_offset
            ):
                # What could not be read is fetched again; the engine tells why. What comes after it
                # is void from now on, not only when the engine has heard of it.
                records.partition.broken_version = records.version
                self._call_engine(self.consuming.damaged, records)
        self._release(records)

    def clear(self) -> None:
        """Forget everything: the consumer is closed."""
        self._current = None
        self._reader()._cursor = None
        self._delivered.clear()
        self._errors.clear()

    def _reader(self) -> active.ConsumerBase:
        consumer = self._consumer()
        assert consumer is not None, "only the consumer itself reads"
        return consumer

    def _is_void(self) -> bool:
        records = self._current
        return records is None or records.is_void

    def _open_next(self) -> Message[Any, Any] | None:
        """Begin with what was delivered next; an error stands for itself."""
        while self._delivered:
            delivered = self._delivered.popleft()
            if isinstance(delivered, PartitionError):
                if delivered.partition.is_current(delivered.version):
                    return _error_message(delivered)
            elif delivered.is_void:
                self._release(delivered)
            else:
                cursor = cast("active.MessageCursor", delivered.cursor)
                self._current = delivered
                delivered.partition.cursor = cursor
                self._reader()._cursor = cursor
                return None
        return None

    def _release(self, records: FetchedRecords) -> None:
        if self.consuming.release(records):
            self._call_engine(self.consuming.wake)


def _error_message(told: PartitionError) -> Message[Any, Any]:
    partition: AssignedPartition = told.partition
    return Message(
        partition.topic,
        partition.number,
        told.offset if told.offset >= 0 else OFFSET_INVALID,
        value=told.error.str().encode(),
        error=told.error,
        timestamp=_NO_TIMESTAMP,
        leader_epoch=partition.leader_epoch,
    )
