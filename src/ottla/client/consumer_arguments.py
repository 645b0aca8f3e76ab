"""What users pass to the methods of a consumer, checked, and what they get back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from ottla.client.backend import active
from ottla.client.core.consuming.partition import AssignedPartition, Key, Start, Stored
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.message import Message
from ottla.client.values import OFFSET_INVALID, TopicPartition, partition_result

if TYPE_CHECKING:
    from ottla.client.core.consuming.offsets import Outcome

_MAX_CONSUMED = 1_000_000


def seconds(timeout: Any) -> float | None:
    """A timeout in seconds; None for no limit.

    Raises:
        TypeError: it is no number.
    """
    if not isinstance(timeout, int | float):
        raise TypeError(f"must be real number, not {type(timeout).__name__}")
    return None if timeout < 0 else float(timeout)


def message_count(number: Any) -> int:
    """How many messages ``consume`` is to return.

    Raises:
        TypeError: it is no integer.
        ValueError: it is negative, or more than a million.
    """
    if not isinstance(number, int):
        raise TypeError(f"{type(number).__name__!r} object cannot be interpreted as an integer")
    if not 0 <= number <= _MAX_CONSUMED:
        raise ValueError("num_messages must be between 0 and 1000000 (1M)")
    return number


def topic_partitions(partitions: Any) -> list[TopicPartition]:
    """A list of partitions.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(partitions, list):
        raise TypeError("requires list of TopicPartition")
    for partition in partitions:
        topic_partition(partition)
    return partitions


def topic_partition(partition: Any) -> TopicPartition:
    """A partition; raises as :func:`topic_partitions` does."""
    if not isinstance(partition, TopicPartition):
        raise TypeError("expected TopicPartition")
    return partition


def starts(partitions: Any) -> list[Start]:
    """Where to begin to read partitions."""
    return [start(partition) for partition in topic_partitions(partitions)]


def start(partition: TopicPartition) -> Start:
    """Where to begin to read a partition."""
    leader_epoch = partition.leader_epoch
    return Start(
        partition.topic,
        partition.partition,
        partition.offset,
        -1 if leader_epoch is None else leader_epoch,
    )


def keys(partitions: Any) -> list[Key]:
    """Topics and numbers of partitions."""
    return [(p.topic, p.partition) for p in topic_partitions(partitions)]


def topic_names(topics: Any) -> list[str]:
    """What to subscribe to.

    Raises:
        TypeError: it is no list.
        KafkaException: ``_INVALID_ARG``: it is empty, or a name is, or stands there twice.
    """
    if not isinstance(topics, list):
        raise TypeError("expected list of topic unicode strings")
    names = [str(topic) for topic in topics]
    if not names or "" in names or len(set(names)) < len(names):
        raise failure("Failed to set subscription", KafkaError(KafkaError._INVALID_ARG))
    return names


def callbacks(given: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """The callbacks of ``subscribe`` that were given.

    Raises:
        TypeError: one can't be called.
    """
    for name, callback in given.items():
        if not callable(callback):
            raise TypeError(f"{name} expects a callable")
    return dict(given)


def to_commit(message: Any, offsets: Any) -> dict[Key, Stored] | None:
    """What ``commit`` is to commit; None for what is stored.

    Raises:
        ValueError: both are given.
        TypeError: one is something else.
        KafkaException: ``_INVALID_ARG``: the message is an error.
    """
    if message is not None and offsets is not None:
        raise ValueError("message and offsets are mutually exclusive")
    if message is not None:
        return dict([after(message, "commit")])
    if offsets is None:
        return None
    return {(p.topic, p.partition): stored(p) for p in topic_partitions(offsets)}


def after(message: Any, doing: str) -> tuple[Key, Stored]:
    """The offset after a message, to ``doing`` it (commit or store).

    Raises:
        TypeError: it is no message.
        KafkaException: ``_INVALID_ARG``: it is an error.
    """
    if not isinstance(message, Message | active.Message):
        raise TypeError("expected Message")
    offset, topic, number = message.offset(), message.topic(), message.partition()
    error = message.error()
    if error is not None:
        text = f"Cannot {doing} offsets for message with error: '{error.str()}'"
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG, text))
    if offset is None or topic is None or number is None:
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG))
    leader_epoch = message.leader_epoch()
    return (topic, number), Stored(offset + 1, -1 if leader_epoch is None else leader_epoch)


def stored(partition: TopicPartition) -> Stored:
    """The offset of a partition, to be stored or committed."""
    leader_epoch = partition.leader_epoch
    return Stored(
        partition.offset, -1 if leader_epoch is None else leader_epoch, partition.metadata
    )


def store(
    assignment: Mapping[Key, AssignedPartition], offsets: Iterable[tuple[Key, Stored]]
) -> list[TopicPartition]:
    """Store offsets of assigned partitions; the result tells of those that are not.

    Raises:
        KafkaException: ``_STATE``: none of them is assigned.
    """
    results = []
    for key, offset in offsets:
        partition = assignment.get(key)
        error = None
        if partition is None:
            error = KafkaError(KafkaError._STATE)
        elif offset.offset >= 0:
            partition.store(offset)
        results.append(partition_result(*key, offset.offset, error=error))
    if results and all(result.error is not None for result in results):
        raise failure("StoreOffsets failed", KafkaError(KafkaError._STATE))
    return results


def position_of(
    partition: TopicPartition, assignment: Mapping[Key, AssignedPartition]
) -> TopicPartition:
    """How far the application has come in a partition."""
    topic, number = partition.topic, partition.partition
    assigned = assignment.get((topic, number))
    if assigned is None:
        return partition_result(topic, number)
    offset, leader_epoch, _ = assigned.position
    return partition_result(topic, number, offset, leader_epoch=leader_epoch)


def assigned(assignment: Mapping[Key, AssignedPartition]) -> list[TopicPartition]:
    """What is read, in order."""
    return [
        partition_result(*key, partition.start_offset)
        for key, partition in sorted(assignment.items())
    ]


def first_offsets(messages: Iterable[Message[Any, Any]]) -> dict[Key, Stored]:
    """For each partition the offset of its first message among these."""
    first: dict[Key, Stored] = {}
    for message in messages:
        if message.error() is None:
            key, stored = after(message, "")
            first.setdefault(key, stored._replace(offset=stored.offset - 1))
    return first


def first_of_runs(runs: Iterable[tuple[str, int, int, int]]) -> dict[Key, Stored]:
    """For each partition the first offset of its runs, of (topic, partition, offset, epoch)."""
    first: dict[Key, Stored] = {}
    for topic, number, offset, leader_epoch in runs:
        first.setdefault((topic, number), Stored(offset, leader_epoch))
    return first


def found_offset(key: Key, found: Outcome) -> TopicPartition:
    """A committed offset, as users get it."""
    return partition_result(
        *key,
        found.offset,
        metadata=found.metadata,
        leader_epoch=found.leader_epoch,
        error=found.error,
    )


def raise_error(message: Message[Any, Any]) -> Message[Any, Any]:
    """The message, unless it stands for an error other than the end of a partition.

    Raises:
        KafkaException: it does.
    """
    error = message.error()
    if error is not None and error != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return message


def cached_watermarks(assigned: AssignedPartition | None) -> tuple[int, int]:
    """The first and the last offset as the last answers had them."""
    if assigned is None:
        return OFFSET_INVALID, OFFSET_INVALID
    return assigned.log_start_offset, assigned.high_watermark


def failure(subject: str, error: KafkaError) -> KafkaException:
    """An error with a word about what failed before its text."""
    text = f"{subject}: {error.str()}"
    return KafkaException(
        KafkaError(error.code(), text, error.fatal(), error.retriable(), error.txn_requires_abort())
    )


def fail(subject: str, exception: KafkaException) -> NoReturn:
    """Raise an error of the engine with a word about what failed."""
    error = exception.args[0]
    raise failure(subject, error) from None
