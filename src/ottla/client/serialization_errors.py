"""What serializing producers and deserializing consumers raise."""

from __future__ import annotations

from typing import Any

from ottla.client.errors import KafkaError, KafkaException
from ottla.client.message import Message
from ottla.client.serialization import SerializationError


class _ClientError(KafkaException):
    """A ``KafkaException`` with what caused it.

    Attributes:
        exception: the original exception.
        kafka_message: the message it was about, if one was consumed.
    """

    def __init__(
        self,
        kafka_error: KafkaError,
        exception: BaseException | None = None,
        kafka_message: Message[Any, Any] | None = None,
    ) -> None:
        super().__init__(kafka_error)
        self.exception = exception
        self.kafka_message = kafka_message

    @property
    def code(self) -> int:
        """The error's code."""
        return self._error.code()

    @property
    def name(self) -> str:
        """The code's name."""
        return self._error.name()

    @property
    def _error(self) -> KafkaError:
        error: KafkaError = self.args[0]
        return error


class ConsumeError(_ClientError):
    """A message could not be consumed."""


class ProduceError(_ClientError):
    """A message could not be produced."""

    def __init__(self, kafka_error: KafkaError, exception: BaseException | None = None) -> None:
        super().__init__(kafka_error, exception)


class KeySerializationError(ProduceError, SerializationError):
    """The key serializer failed."""

    def __init__(self, exception: BaseException | None = None) -> None:
        super().__init__(KafkaError(KafkaError._KEY_SERIALIZATION, str(exception)), exception)


class ValueSerializationError(ProduceError, SerializationError):
    """The value serializer failed."""

    def __init__(self, exception: BaseException | None = None) -> None:
        super().__init__(KafkaError(KafkaError._VALUE_SERIALIZATION, str(exception)), exception)


class KeyDeserializationError(ConsumeError, SerializationError):
    """The key deserializer failed."""

    def __init__(
        self,
        exception: BaseException | None = None,
        kafka_message: Message[Any, Any] | None = None,
    ) -> None:
        error = KafkaError(KafkaError._KEY_DESERIALIZATION, str(exception))
        super().__init__(error, exception, kafka_message)


class ValueDeserializationError(ConsumeError, SerializationError):
    """The value deserializer failed."""

    def __init__(
        self,
        exception: BaseException | None = None,
        kafka_message: Message[Any, Any] | None = None,
    ) -> None:
        error = KafkaError(KafkaError._VALUE_DESERIALIZATION, str(exception))
        super().__init__(error, exception, kafka_message)
