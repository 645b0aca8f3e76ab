"""Ottla's client under the names of kafka-python: only the import changes.

    from ottla.kafka_python import KafkaConsumer, KafkaProducer, TopicPartition
    from ottla.kafka_python.errors import KafkaError

Names, arguments, futures, iteration and errors are those of kafka-python 3. Each name is loaded
when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ottla.kafka_python.admin import KafkaAdminClient as KafkaAdminClient
    from ottla.kafka_python.consumer import ConsumerRebalanceListener as ConsumerRebalanceListener
    from ottla.kafka_python.consumer import KafkaConsumer as KafkaConsumer
    from ottla.kafka_python.producer import KafkaProducer as KafkaProducer
    from ottla.kafka_python.serializer import DefaultSerializer as DefaultSerializer
    from ottla.kafka_python.serializer import Deserializer as Deserializer
    from ottla.kafka_python.serializer import JsonSerializer as JsonSerializer
    from ottla.kafka_python.serializer import Serializer as Serializer
    from ottla.kafka_python.structs import ConsumerGroupMetadata as ConsumerGroupMetadata
    from ottla.kafka_python.structs import OffsetAndMetadata as OffsetAndMetadata
    from ottla.kafka_python.structs import TopicPartition as TopicPartition

_NAMES_BY_MODULE = {
    "admin": ("KafkaAdminClient",),
    "consumer": ("ConsumerRebalanceListener", "KafkaConsumer"),
    "producer": ("KafkaProducer",),
    "serializer": ("DefaultSerializer", "Deserializer", "JsonSerializer", "Serializer"),
    "structs": ("ConsumerGroupMetadata", "OffsetAndMetadata", "TopicPartition"),
}
_MODULE_OF = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}
_SUBMODULES = ("admin", "consumer", "errors", "future", "producer", "serializer", "structs")

if not TYPE_CHECKING:
    __all__ = list(_MODULE_OF)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, *_MODULE_OF})
