"""What users pass to the methods of a share consumer, checked, and what they get back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ottla.client.arguments import int32, int64
from ottla.client.backend import active
from ottla.client.consumer_arguments import seconds
from ottla.client.core.sharing.acknowledgements import Outcome
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.message import Message
from ottla.client.values import TopicPartition, partition_result

if TYPE_CHECKING:
    from ottla.client.engine.sharing_inbox import AcknowledgementCommitCallback

_NO_LIMIT_MS = 1e12


def milliseconds(timeout: Any) -> float:
    """A timeout in seconds, negative for no limit, in milliseconds.

    Raises:
        TypeError: it is no number.
    """
    limit_s = seconds(timeout)
    return _NO_LIMIT_MS if limit_s is None else limit_s * 1000


def topic_names(topics: Any) -> list[str]:
    """The names that ``subscribe`` is given, in order.

    Raises:
        TypeError: it is no list.
        ValueError: a name is empty, or there twice.
    """
    if not isinstance(topics, list):
        raise TypeError("expected list of topic unicode strings")
    names = [str(each) for each in topics]
    if "" in names or len(set(names)) < len(names):
        raise ValueError(f"Failed to subscribe: {KafkaError(KafkaError._INVALID_ARG).str()}")
    return sorted(names)


def message(given: Any) -> Message[Any, Any]:
    """A message.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(given, active.Message):
        raise TypeError(f"argument 1 must be Message, not {type(given).__name__}")
    return given


def acknowledge_type(given: Any) -> int:
    """The number of an ``AcknowledgeType``, whether there is one or not.

    Raises:
        TypeError: it is no integer.
        OverflowError: it has more than 32 bits.
    """
    return int32(given)


def place(topic: Any, partition: Any, offset: Any) -> tuple[str, int, int]:
    """A record's place; raises as :func:`acknowledge_type` does."""
    [name] = texts(topic)
    return name, int32(partition), int64(offset)


def texts(*given: Any) -> list[str]:
    """Arguments that have to be texts.

    Raises:
        TypeError: one is something else.
    """
    for number, each in enumerate(given, 1):
        if not isinstance(each, str):
            raise TypeError(f"argument {number} must be str, not {type(each).__name__}")
    return list(given)


def callback(given: Any) -> AcknowledgementCommitCallback | None:
    """A callback, or None.

    Raises:
        TypeError: it can't be called.
    """
    if given is not None and not callable(given):
        raise TypeError("callback must be callable or None")
    return given  # type: ignore[no-any-return]


def committed(outcomes: Iterable[Outcome]) -> dict[TopicPartition, KafkaException | None]:
    """What ``commit_sync`` returns; of a partition of which several things became, the failure."""
    errors: dict[tuple[str, int], KafkaError | None] = {}
    for acknowledgements, error in outcomes:
        key = acknowledgements.place.topic, acknowledgements.place.partition
        errors[key] = errors.get(key) or error
    return {
        partition_result(*key, 0, error=error): None if error is None else KafkaException(error)
        for key, error in errors.items()
    }
