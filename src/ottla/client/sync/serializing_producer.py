"""``SerializingProducer`` as confluent_kafka has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ottla.client.serialization import MessageField, SerializationContext
from ottla.client.serialization_errors import KeySerializationError, ValueSerializationError
from ottla.client.sync.producer import Producer

if TYPE_CHECKING:
    from ottla.client._reference_accumulator import Headers
    from ottla.client._reference_batch import DeliveryCallback

K = TypeVar("K")
V = TypeVar("V")
_NO_OBJECT: Any = None


class SerializingProducer(Producer, Generic[K, V]):
    """A producer that makes bytes of keys and values by the serializers of its configuration.

    ``key.serializer`` and ``value.serializer`` are callables, ``(object, SerializationContext)`` to
    bytes or None. Mind that here the key comes before the value.

    Args:
        conf: a producer's configuration, and the two above.
    """

    def __init__(self, conf: dict[str, Any]) -> None:
        own = dict(conf)
        self._key_serializer = own.pop("key.serializer", None)
        self._value_serializer = own.pop("value.serializer", None)
        super().__init__(own)

    def produce(  # type: ignore[override]
        self,
        topic: str,
        key: K = _NO_OBJECT,
        value: V = _NO_OBJECT,
        partition: int = -1,
        on_delivery: DeliveryCallback | None = None,
        timestamp: int = 0,
        headers: Headers = None,
    ) -> None:
        """Serialize a message and hand it over for delivery, as :meth:`Producer.produce` does.

        Raises:
            BufferError: the queue is full; poll() and try again.
            KeySerializationError: the key serializer failed.
            ValueSerializationError: the value serializer failed.
            KafkaException: too large, no such partition, no such topic.
            RuntimeError: the producer is closed; its serializers are not called any more.
            TypeError: the topic is no text; nor are they then.
        """
        self._check_open()
        if not isinstance(topic, str):
            raise TypeError(f"topic must be a str, not {type(topic).__name__}")
        key_bytes: Any = key
        value_bytes: Any = value
        context = SerializationContext(topic, MessageField.KEY, headers)
        if self._key_serializer is not None:
            try:
                key_bytes = self._key_serializer(key, context)
            except Exception as error:
                raise KeySerializationError(error) from error
        context.field = MessageField.VALUE
        if self._value_serializer is not None:
            try:
                value_bytes = self._value_serializer(value, context)
            except Exception as error:
                raise ValueSerializationError(error) from error
        super().produce(
            topic,
            value_bytes,
            key_bytes,
            partition=partition,
            on_delivery=on_delivery,
            timestamp=timestamp,
            headers=headers,
        )
