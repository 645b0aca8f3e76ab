"""What (de)serializing clients raise, as in ``confluent_kafka.error``."""

from __future__ import annotations

from ottla.client.errors import KafkaError, KafkaException
from ottla.client.serialization_errors import (
    ConsumeError,
    KeyDeserializationError,
    KeySerializationError,
    ProduceError,
    ValueDeserializationError,
    ValueSerializationError,
)

__all__ = [
    "ConsumeError",
    "KafkaError",
    "KafkaException",
    "KeyDeserializationError",
    "KeySerializationError",
    "ProduceError",
    "ValueDeserializationError",
    "ValueSerializationError",
]
