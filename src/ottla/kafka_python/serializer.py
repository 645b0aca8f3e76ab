"""From values to bytes and back."""

from __future__ import annotations

import abc
import json
from typing import Any

Headers = list[tuple[str, bytes | None]]


class Serializer(abc.ABC):
    """Makes bytes of a key or a value."""

    @abc.abstractmethod
    def serialize(self, topic: str, headers: Headers, data: Any) -> Any:
        """The bytes, or None."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Called when the producer is closed."""


class Deserializer(abc.ABC):
    """Makes a key or a value of bytes."""

    @abc.abstractmethod
    def deserialize(self, topic: str, headers: Headers, data: bytes | None) -> Any:
        """The value."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Called when the consumer is closed."""


class DefaultSerializer(Serializer, Deserializer):
    """Text in an encoding; bytes are sent as they are."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = encoding

    def serialize(self, topic: str, headers: Headers, data: Any) -> Any:
        """The bytes of a text."""
        if data is None or isinstance(data, bytes | bytearray | memoryview):
            return data
        return data.encode(self.encoding)

    def deserialize(self, topic: str, headers: Headers, data: bytes | None) -> Any:
        """The text."""
        return None if data is None else data.decode(self.encoding)

    def close(self) -> None:
        """Nothing has to be closed."""


class JsonSerializer(DefaultSerializer):
    """Whatever JSON can say."""

    def serialize(self, topic: str, headers: Headers, data: Any) -> Any:
        """The value in JSON; None stays None."""
        return None if data is None else json.dumps(data).encode(self.encoding)

    def deserialize(self, topic: str, headers: Headers, data: bytes | None) -> Any:
        """The value that the JSON says."""
        return None if data is None else json.loads(data.decode(self.encoding))


def serialized(serializer: Any, topic: str, headers: Headers, data: Any) -> Any:
    """What a serializer, or a mere function, makes of a value."""
    if serializer is None:
        return data
    if hasattr(serializer, "serialize"):
        return serializer.serialize(topic, headers, data)
    return serializer(data)


def deserialized(deserializer: Any, topic: str, headers: Headers, data: bytes | None) -> Any:
    """What a deserializer, or a mere function, makes of bytes."""
    if deserializer is None:
        return data
    if hasattr(deserializer, "deserialize"):
        return deserializer.deserialize(topic, headers, data)
    return deserializer(data)


def close(serializer: Any) -> None:
    """Close what can be closed."""
    if hasattr(serializer, "close"):
        serializer.close()
