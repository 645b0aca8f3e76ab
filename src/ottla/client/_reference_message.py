"""The message a user sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, SupportsIndex, cast

from ottla.client.arguments import int32, int64
from ottla.client.errors import KafkaError
from ottla.client.values import OFFSET_INVALID

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # A plain ``Message`` is what comes without deserializers (PEP 696).
    K = TypeVar("K", default=bytes)
    V = TypeVar("V", default=bytes)
else:
    from typing import TypeVar

    K = TypeVar("K")
    V = TypeVar("V")
Headers = list[tuple[str, bytes | None]]


class Message(Generic[K, V]):
    """One consumed or produced message, or what happened instead of it: see ``error()``."""

    __slots__ = (
        "_delivery_count", "_error", "_headers", "_key", "_latency_seconds", "_leader_epoch",
        "_offset", "_partition", "_timestamp_ms", "_timestamp_type", "_topic", "_value",
    )  # fmt: skip

    def __init__(
        self,
        topic: str | None = None,
        partition: SupportsIndex = -1,
        offset: SupportsIndex = OFFSET_INVALID,
        key: Any = None,
        value: Any = None,
        headers: Any = None,
        error: KafkaError | None = None,
        timestamp: tuple[int, int] | None = None,
        latency: float = -1.0,
        leader_epoch: SupportsIndex = -1,
        delivery_count: SupportsIndex = -1,
    ) -> None:
        if timestamp is None:
            timestamp = 0, 0
        elif type(timestamp) is not tuple or len(timestamp) != 2:
            raise TypeError("timestamp must be a tuple of (int, int)")
        if not isinstance(latency, int | float):
            raise TypeError(f"must be real number, not {type(latency).__name__}")
        self._topic = topic
        self._partition = int32(partition)
        self._offset = int64(offset)
        self._key = key
        self._value = value
        self._headers = headers
        self._error = error
        self._timestamp_type, self._timestamp_ms = int32(timestamp[0]), int64(timestamp[1])
        self._latency_seconds = float(latency)
        self._leader_epoch = int32(leader_epoch)
        self._delivery_count = _int16(delivery_count)

    def topic(self) -> str | None:
        """The topic's name."""
        return self._topic

    def partition(self) -> int | None:
        """The partition, None when there is none."""
        return self._partition if self._partition >= 0 else None

    def offset(self) -> int | None:
        """The offset, None when there is none."""
        return self._offset if self._offset >= 0 else None

    def key(self) -> bytes | None:
        """The key, or what ``set_key`` put there."""
        return cast("bytes | None", self._key)

    def value(self) -> bytes | None:
        """The value, or what ``set_value`` put there."""
        return cast("bytes | None", self._value)

    def deserialized_key(self) -> K | None:
        """The same as ``key()``, typed as a deserializer's result."""
        return cast("K | None", self._key)

    def deserialized_value(self) -> V | None:
        """The same as ``value()``, typed as a deserializer's result."""
        return cast("V | None", self._value)

    def headers(self) -> Headers | None:
        """A list of (name, value) tuples, None without headers."""
        return cast("Headers | None", self._headers)

    def error(self) -> KafkaError | None:
        """The ``KafkaError`` this message stands for, None for a proper message."""
        return self._error

    def timestamp(self) -> tuple[int, int]:
        """The timestamp's type (one of ``TIMESTAMP_*``) and milliseconds since the epoch."""
        return self._timestamp_type, self._timestamp_ms

    def latency(self) -> float | None:
        """Seconds from ``produce()`` to the broker's answer, None for a consumed message."""
        return self._latency_seconds if self._latency_seconds >= 0.0 else None

    def leader_epoch(self) -> int | None:
        """The epoch of the leader that appended the message, None when unknown."""
        return self._leader_epoch if self._leader_epoch >= 0 else None

    def delivery_count(self) -> int | None:
        """How often a share group has delivered the message, None elsewhere."""
        return self._delivery_count if self._delivery_count > 0 else None

    def set_topic(self, value: Any, /) -> None:
        """Replace the topic."""
        self._topic = value

    def set_key(self, value: Any, /) -> None:
        """Replace the key by any object."""
        self._key = value

    def set_value(self, value: Any, /) -> None:
        """Replace the value by any object."""
        self._value = value

    def set_headers(self, value: Any, /) -> None:
        """Replace the headers by any object."""
        self._headers = value

    def set_error(self, value: Any, /) -> None:
        """Replace the error by any object."""
        self._error = value

    def __len__(self) -> int:
        return 0 if self._value is None else len(self._value)

    __hash__ = None  # type: ignore[assignment] # a message can be changed

    def _compared(self) -> tuple[object, ...]:
        return (
            self._partition, self._offset, self._leader_epoch, self._timestamp_ms,
            self._topic, self._key, self._value, self._headers, self._error,
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self._compared() == other._compared()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self._topic, self._partition, self._offset, self._key, self._value, self._headers,
            self._error, (self._timestamp_type, self._timestamp_ms), self._latency_seconds,
            self._leader_epoch, self._delivery_count,
        )  # fmt: skip


def _int16(value: SupportsIndex) -> int:
    number = int32(value)
    if not -(2**15) <= number < 2**15:
        raise OverflowError("signed short integer is out of range")
    return number
