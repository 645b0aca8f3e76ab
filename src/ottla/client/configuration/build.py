"""From the arguments of ``Producer(...)``, ``Consumer(...)``, ``AdminClient(...)`` to objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from ottla.client.configuration.key import Key, Role
from ottla.client.configuration.objects import (
    AdminConfiguration,
    Configuration,
    ConsumerConfiguration,
    ProducerConfiguration,
    ShareConsumerConfiguration,
)
from ottla.client.configuration.rules import ClientKind, assignment_strategies, check
from ottla.client.configuration.settings import Settings
from ottla.client.configuration.table import GLOBAL_KEYS, TOPIC_KEYS, VALUE_KINDS
from ottla.client.configuration.values import invalid

_Configuration = TypeVar("_Configuration", bound=Configuration)
# What is raised for a callback that can't be called differs from key to key.
_CALLBACK_ERRORS: dict[str, type[Exception]] = {
    "error_cb": TypeError,
    "throttle_cb": ValueError,
    "stats_cb": TypeError,
    "oauth_cb": TypeError,
}
# An admin client is a producer that nobody gives messages to.
_ROLES: dict[ClientKind, tuple[Role, ...]] = {
    "producer": ("any", "producer"),
    "consumer": ("any", "consumer"),
    "share consumer": ("any", "consumer", "share consumer"),
    "admin client": ("any", "producer"),
}
_COMPRESSION = "topic_compression_type"


def configure_producer(
    arguments: tuple[object, ...], keywords: Mapping[str, object]
) -> ProducerConfiguration:
    """What a producer is configured with, from the arguments of its constructor.

    Raises:
        KafkaException: a key or its value is wrong, or two of them exclude each other.
        TypeError: there is no dictionary, or a value is no text and no callable where it has to be.
        ValueError: ``throttle_cb`` is no callable.
    """
    conf = _merged(arguments, keywords)
    return _configure(conf, "producer", ProducerConfiguration, "on_delivery")


def configure_consumer(
    arguments: tuple[object, ...], keywords: Mapping[str, object]
) -> ConsumerConfiguration:
    """What a consumer is configured with; raises as :func:`configure_producer` does.

    Raises:
        ValueError: there is no ``group.id``.
    """
    conf = _merged(arguments, keywords)
    if "group.id" not in conf:
        raise ValueError("Failed to create consumer: group.id must be set")
    return _configure(conf, "consumer", ConsumerConfiguration, "on_commit")


def configure_share_consumer(
    arguments: tuple[object, ...], keywords: Mapping[str, object]
) -> ShareConsumerConfiguration:
    """What a share consumer is configured with; raises as :func:`configure_producer` does.

    Raises:
        ValueError: there is no ``group.id``, or a setting that is not for share consumers.
    """
    conf = _merged(arguments, keywords) if arguments or keywords else {}
    if "group.id" not in conf:
        raise ValueError("Failed to create consumer: group.id must be set")
    if "on_commit" in conf:
        raise ValueError("on_commit is not supported on ShareConsumer")
    return _configure(conf, "share consumer", ShareConsumerConfiguration, "on_commit")


def configure_admin(
    arguments: tuple[object, ...], keywords: Mapping[str, object]
) -> AdminConfiguration:
    """What an admin client is configured with; raises as :func:`configure_producer` does."""
    conf = _merged(arguments, keywords)
    return _configure(conf, "admin client", AdminConfiguration)


def _merged(arguments: tuple[object, ...], keywords: Mapping[str, object]) -> dict[Any, Any]:
    """One dictionary of the positional one and the keywords, which win."""
    if len(arguments) > 1:
        raise TypeError("expected tuple containing single dict")
    if not arguments and not keywords:
        raise TypeError("expected configuration dict")
    first = arguments[0] if arguments else {}
    if not isinstance(first, dict):
        raise TypeError("expected configuration dict")
    return {**first, **keywords}


def _configure(
    conf: dict[Any, Any],
    kind: ClientKind,
    configuration: type[_Configuration],
    *own_callbacks: str,
) -> _Configuration:
    settings = Settings()
    if "debug" in conf:
        settings.set("debug", str(conf.pop("debug")))
    if "default.topic.config" in conf:
        topic_conf = conf["default.topic.config"]
        for name in topic_conf.keys():  # noqa: SIM118 - what has no keys is refused
            conf[name] = topic_conf[name]
        del conf["default.topic.config"]
    taken: dict[str, Any] = {
        "error_cb": None, "throttle_cb": None, "stats_cb": None, "oauth_cb": None,
        "logger": None, **dict.fromkeys(own_callbacks),
    }  # fmt: skip
    for key, value in conf.items():
        name = str(key)
        if name in taken:
            taken[name] = _accepted(name, value)
        elif name == "delivery.report.only.error" and kind == "producer":
            settings.set(name, str(_boolean(name, value)))
        else:
            settings.set(name, None if value is None else str(value))
    check(settings, kind, has_oauth_callback=taken["oauth_cb"] is not None)
    values = _values(settings, configuration)
    return configuration({**values, **taken, "warnings": tuple(_warnings(settings, kind))})


def _accepted(name: str, value: object) -> object:
    if name == "logger" or callable(value):
        return value
    if name in _CALLBACK_ERRORS:
        raise _CALLBACK_ERRORS[name](f"expected {name} property as a callable function")
    raise invalid(f"{name} requires a callable object")


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"Expected {name} to be bool type, not {type(value).__name__}")
    return value


def _values(settings: Settings, configuration: type[Configuration]) -> dict[str, Any]:
    """The values of the keys that this kind of configuration has attributes for."""
    fields = {
        field
        for ancestor in configuration.__mro__
        for field in vars(ancestor).get("__annotations__", ())
    }
    values: dict[str, Any] = {
        key.field: settings.value_of(key)
        for key in (*GLOBAL_KEYS.values(), *TOPIC_KEYS.values())
        if key.kind in VALUE_KINDS and not key.is_ignored and key.field in fields
    }
    if configuration is ProducerConfiguration:
        for_topics = settings.value_of(TOPIC_KEYS["compression.codec"])
        if for_topics != "inherit":
            values["compression_type"] = for_topics
    if issubclass(configuration, ConsumerConfiguration):
        values["partition_assignment_strategy"] = assignment_strategies(settings)
    return values


def _warnings(settings: Settings, kind: ClientKind) -> list[str]:
    warnings = [
        warning for key in settings.chosen_keys() if (warning := _warning(key, kind)) is not None
    ]
    retry_ms, retry_max_ms = (
        settings.number("retry.backoff.ms"),
        settings.number("retry.backoff.max.ms"),
    )
    if retry_ms > retry_max_ms:
        warnings.append(
            f"retry.backoff.ms ({retry_ms}) is greater than retry.backoff.max.ms "
            f"({retry_max_ms}): every retry waits for the latter"
        )
    return warnings


def _warning(key: Key, kind: ClientKind) -> str | None:
    if key.role not in _ROLES[kind]:
        return (
            f"Configuration property {key.name} is a {key.role} property and will be ignored by "
            f"this {kind} instance"
        )
    if key.is_deprecated:
        return f"Configuration property {key.name} is deprecated and has no effect"
    if key.is_ignored:
        return f"Configuration property {key.name} has no effect in this client"
    return None
