"""``DeserializingShareConsumer`` as confluent_kafka has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ottla.client.errors import KafkaError
from ottla.client.serialization import MessageField, SerializationContext
from ottla.client.sync.share_consumer import ShareConsumer

if TYPE_CHECKING:
    from ottla.client.message import Message
    from ottla.client.messages import Messages


class DeserializingShareConsumer(ShareConsumer):
    """A share consumer whose messages have objects for keys and values.

    ``key.deserializer`` and ``value.deserializer`` are callables, ``(bytes or None,
    SerializationContext)`` to an object. Without one, there are bytes.

    Args:
        conf: a share consumer's configuration, and the two above.
    """

    def __init__(self, conf: dict[str, Any]) -> None:
        own = conf.copy()
        self._key_deserializer: Callable[..., Any] | None = own.pop("key.deserializer", None)
        self._value_deserializer: Callable[..., Any] | None = own.pop("value.deserializer", None)
        super().__init__(own)

    def poll(self, timeout: float = -1) -> Messages:
        """As :meth:`ShareConsumer.poll`, deserialized.

        A message that can't be keeps its bytes and gets an error, ``_KEY_DESERIALIZATION`` or
        ``_VALUE_DESERIALIZATION``; it is to be acknowledged like any other.
        """
        messages = super().poll(timeout)
        for message in messages:
            if message.error() is None:
                self._deserialize(message)
        return messages

    def _deserialize(self, message: Message[Any, Any]) -> None:
        """Both, or neither. The key first: its deserializer may keep something for the value's."""
        context = SerializationContext(message.topic() or "", MessageField.KEY, message.headers())
        key: Any = message.key()
        value: Any = message.value()
        code = KafkaError._KEY_DESERIALIZATION
        try:
            if self._key_deserializer is not None:
                key = self._key_deserializer(key, context)
            code, context.field = KafkaError._VALUE_DESERIALIZATION, MessageField.VALUE
            if self._value_deserializer is not None:
                value = self._value_deserializer(value, context)
        except Exception as error:
            message.set_error(KafkaError(code, str(error)))
            return
        message.set_key(key)
        message.set_value(value)
