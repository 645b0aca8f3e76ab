"""Serializers: callables that make bytes of a key or value, and what they are told."""

from __future__ import annotations

import struct
from enum import StrEnum
from typing import Any

from ottla.client.errors import KafkaException


class MessageField(StrEnum):
    """The part of a message that is (de)serialized."""

    NONE = "none"
    KEY = "key"
    VALUE = "value"


class SerializationContext:
    """What a serializer is told about the message: its topic, which part it is, the headers."""

    def __init__(self, topic: str, field: MessageField, headers: Any = None) -> None:
        self.topic = topic
        self.field = field
        self.headers = headers


class SerializationError(KafkaException):
    """A key or value can't be (de)serialized."""


class Serializer:
    """Base of serializers: called with an object and a context, they return bytes or None."""

    __slots__ = ()

    def __call__(self, obj: Any, ctx: SerializationContext | None = None) -> bytes | None:
        """The bytes of an object, None for None.

        Raises:
            SerializationError: it has none.
        """
        raise NotImplementedError


class Deserializer:
    """Base of deserializers: called with bytes or None and a context, they return an object."""

    __slots__ = ()

    def __call__(self, value: bytes | None, ctx: SerializationContext | None = None) -> Any:
        """The object of the bytes, None for None.

        Raises:
            SerializationError: the bytes are not those of an object.
        """
        raise NotImplementedError


class _Number:
    """A number in a fixed format, big-endian."""

    __slots__ = ()
    _FORMAT: struct.Struct

    def _pack(self, obj: Any) -> bytes | None:
        try:
            return None if obj is None else self._FORMAT.pack(obj)
        except struct.error as error:
            raise SerializationError(str(error)) from error

    def _unpack(self, value: bytes | None) -> Any:
        try:
            return None if value is None else self._FORMAT.unpack(value)[0]
        except struct.error as error:
            raise SerializationError(str(error)) from error


class _Double(_Number):
    __slots__ = ()
    _FORMAT = struct.Struct(">d")


class _Integer(_Number):
    __slots__ = ()
    _FORMAT = struct.Struct(">i")


class DoubleSerializer(_Double, Serializer):
    """A float as 8 bytes."""

    __slots__ = ()

    def __call__(self, obj: float | None, ctx: SerializationContext | None = None) -> bytes | None:
        return self._pack(obj)


class DoubleDeserializer(_Double, Deserializer):
    """A float of 8 bytes."""

    __slots__ = ()

    def __call__(
        self, value: bytes | None, ctx: SerializationContext | None = None
    ) -> float | None:
        number: float | None = self._unpack(value)
        return number


class IntegerSerializer(_Integer, Serializer):
    """A 32-bit integer as 4 bytes."""

    __slots__ = ()

    def __call__(self, obj: int | None, ctx: SerializationContext | None = None) -> bytes | None:
        return self._pack(obj)


class IntegerDeserializer(_Integer, Deserializer):
    """A 32-bit integer of 4 bytes."""

    __slots__ = ()

    def __call__(self, value: bytes | None, ctx: SerializationContext | None = None) -> int | None:
        number: int | None = self._unpack(value)
        return number


class StringSerializer(Serializer):
    """Text, by a codec of Python."""

    __slots__ = ("codec",)

    def __init__(self, codec: str = "utf_8") -> None:
        self.codec = codec

    def __call__(self, obj: str | None, ctx: SerializationContext | None = None) -> bytes | None:
        try:
            return None if obj is None else obj.encode(self.codec)
        except UnicodeError as error:
            raise SerializationError(str(error)) from error


class StringDeserializer(Deserializer):
    """Text, by a codec of Python."""

    __slots__ = ("codec",)

    def __init__(self, codec: str = "utf_8") -> None:
        self.codec = codec

    def __call__(self, value: bytes | None, ctx: SerializationContext | None = None) -> str | None:
        try:
            return None if value is None else value.decode(self.codec)
        except UnicodeError as error:
            raise SerializationError(str(error)) from error
