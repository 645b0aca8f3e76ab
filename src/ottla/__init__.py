"""Ottla: Kafka's protocol and platform in Python.

The client's names stand here, as in ``confluent_kafka``. Each is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ottla import admin as admin
    from ottla import aio as aio
    from ottla import kafka_python as kafka_python
    from ottla.client.enumerations import AcknowledgeType as AcknowledgeType
    from ottla.client.enumerations import ConsumerGroupState as ConsumerGroupState
    from ottla.client.enumerations import ConsumerGroupType as ConsumerGroupType
    from ottla.client.enumerations import ElectionType as ElectionType
    from ottla.client.enumerations import IsolationLevel as IsolationLevel
    from ottla.client.errors import (
        ConcurrentModificationException as ConcurrentModificationException,
    )
    from ottla.client.errors import IllegalStateException as IllegalStateException
    from ottla.client.errors import KafkaError as KafkaError
    from ottla.client.errors import KafkaException as KafkaException
    from ottla.client.message import Message as Message
    from ottla.client.messages import Messages as Messages
    from ottla.client.partitioners import consistent as consistent
    from ottla.client.partitioners import fnv1a as fnv1a
    from ottla.client.partitioners import murmur2 as murmur2
    from ottla.client.sync.admin import AdminClient as AdminClient
    from ottla.client.sync.consumer import Consumer as Consumer
    from ottla.client.sync.deserializing_consumer import (
        DeserializingConsumer as DeserializingConsumer,
    )
    from ottla.client.sync.deserializing_share_consumer import (
        DeserializingShareConsumer as DeserializingShareConsumer,
    )
    from ottla.client.sync.producer import Producer as Producer
    from ottla.client.sync.serializing_producer import SerializingProducer as SerializingProducer
    from ottla.client.sync.share_consumer import ShareConsumer as ShareConsumer
    from ottla.client.values import OFFSET_BEGINNING as OFFSET_BEGINNING
    from ottla.client.values import OFFSET_END as OFFSET_END
    from ottla.client.values import OFFSET_INVALID as OFFSET_INVALID
    from ottla.client.values import OFFSET_STORED as OFFSET_STORED
    from ottla.client.values import TIMESTAMP_CREATE_TIME as TIMESTAMP_CREATE_TIME
    from ottla.client.values import TIMESTAMP_LOG_APPEND_TIME as TIMESTAMP_LOG_APPEND_TIME
    from ottla.client.values import TIMESTAMP_NOT_AVAILABLE as TIMESTAMP_NOT_AVAILABLE
    from ottla.client.values import ConsumerGroupTopicPartitions as ConsumerGroupTopicPartitions
    from ottla.client.values import Node as Node
    from ottla.client.values import ThrottleEvent as ThrottleEvent
    from ottla.client.values import TopicCollection as TopicCollection
    from ottla.client.values import TopicPartition as TopicPartition
    from ottla.client.values import TopicPartitionInfo as TopicPartitionInfo
    from ottla.client.values import Uuid as Uuid

__version__ = "0.1.0"

_NAMES_BY_MODULE = {
    "ottla.client.enumerations": (
        "AcknowledgeType", "ConsumerGroupState", "ConsumerGroupType", "ElectionType",
        "IsolationLevel",
    ),
    "ottla.client.errors": (
        "ConcurrentModificationException", "IllegalStateException", "KafkaError", "KafkaException",
    ),
    "ottla.client.message": ("Message",),
    "ottla.client.messages": ("Messages",),
    "ottla.client.partitioners": ("consistent", "fnv1a", "murmur2"),
    "ottla.client.sync.admin": ("AdminClient",),
    "ottla.client.sync.producer": ("Producer",),
    "ottla.client.sync.serializing_producer": ("SerializingProducer",),
    "ottla.client.sync.consumer": ("Consumer",),
    "ottla.client.sync.deserializing_share_consumer": ("DeserializingShareConsumer",),
    "ottla.client.sync.share_consumer": ("ShareConsumer",),
    "ottla.client.sync.deserializing_consumer": ("DeserializingConsumer",),
    "ottla.client.values": (
        "OFFSET_BEGINNING", "OFFSET_END", "OFFSET_INVALID", "OFFSET_STORED",
        "TIMESTAMP_CREATE_TIME", "TIMESTAMP_LOG_APPEND_TIME", "TIMESTAMP_NOT_AVAILABLE",
        "ConsumerGroupTopicPartitions", "Node", "ThrottleEvent", "TopicCollection",
        "TopicPartition", "TopicPartitionInfo", "Uuid",
    ),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}
_SUBMODULES = ("admin", "aio", "kafka_python")

if not TYPE_CHECKING:
    # Type checkers go by the imports above; a list that is computed would confuse them.
    __all__ = ["admin", "aio", "libversion", "version", *_MODULE_OF]


def version() -> str:
    """The version of this library."""
    return __version__


def libversion() -> tuple[str, int]:
    """The version as text and as a number, one byte each for major, minor, patch; 255 at the end.

    The client has no library underneath, so the version is its own.
    """
    major, minor, patch = (int(part) for part in __version__.split(".")[:3])
    return __version__, major << 24 | minor << 16 | patch << 8 | 0xFF


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _SUBMODULES:
        return import_module(f"ottla.{name}")
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'ottla' has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, *_MODULE_OF})
