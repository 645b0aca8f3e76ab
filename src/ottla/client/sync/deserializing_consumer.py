"""``DeserializingConsumer`` as confluent_kafka has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from ottla.client.serialization import MessageField, SerializationContext
from ottla.client.serialization_errors import (
    ConsumeError,
    KeyDeserializationError,
    ValueDeserializationError,
)
from ottla.client.sync.consumer import Consumer

if TYPE_CHECKING:
    from ottla.client.message import Message

K = TypeVar("K")
V = TypeVar("V")


class DeserializingConsumer(Consumer, Generic[K, V]):
    """A consumer whose messages have objects for keys and values, made by its deserializers.

    ``key.deserializer`` and ``value.deserializer`` are callables, ``(bytes or None,
    SerializationContext)`` to an object. Without one, there are bytes. Messages come from
    :meth:`poll` only.

    Args:
        conf: a consumer's configuration, and the two above.
    """

    def __init__(self, conf: dict[str, Any]) -> None:
        own = conf.copy()
        self._key_deserializer: Callable[..., Any] | None = own.pop("key.deserializer", None)
        self._value_deserializer: Callable[..., Any] | None = own.pop("value.deserializer", None)
        super().__init__(own)

    def poll(self, timeout: float = -1) -> Message[K, V] | None:
        """The next message, None if there is none for so long; see :meth:`Consumer.poll`.

        The objects are what both ``key()`` and ``deserialized_key()`` return; only the latter has
        their type for a type checker. A message that can't be deserialized is behind us: the next
        call goes on after it.

        Args:
            timeout: how many seconds to wait; negative for as long as it takes.

        Raises:
            ConsumeError: something is in the way, an end of a partition included.
            KeyDeserializationError: the key's deserializer failed; ``kafka_message`` has the bytes.
            ValueDeserializationError: the value's did.
        """
        message = super().poll(timeout)
        if message is None:
            return None
        failure = message.error()
        if failure is not None:
            raise ConsumeError(failure, kafka_message=message)
        # The key first: its deserializer may keep something for the value's.
        context = SerializationContext(message.topic() or "", MessageField.KEY, message.headers())
        key: Any = message.key()
        value: Any = message.value()
        if self._key_deserializer is not None:
            try:
                key = self._key_deserializer(key, context)
            except Exception as error:
                raise KeyDeserializationError(error, message) from error
        context.field = MessageField.VALUE
        if self._value_deserializer is not None:
            try:
                value = self._value_deserializer(value, context)
            except Exception as error:
                raise ValueDeserializationError(error, message) from error
        message.set_key(key)
        message.set_value(value)
        return message

    def consume(self, num_messages: int = 1, timeout: float = -1) -> NoReturn:
        """There is only :meth:`poll`.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError
