"""All broker keys together, and which of them are names of one thing in other units."""

from __future__ import annotations

from collections.abc import Mapping

from ottla.metadata.config.coordinator_keys import COORDINATOR_KEYS
from ottla.metadata.config.keys import ConfigKey
from ottla.metadata.config.log_keys import LOG_KEYS
from ottla.metadata.config.ottla_keys import OTTLA_KEYS
from ottla.metadata.config.security_keys import SECURITY_KEYS
from ottla.metadata.config.server_keys import SERVER_KEYS

BROKER_KEYS: Mapping[str, ConfigKey] = {
    **SERVER_KEYS,
    **LOG_KEYS,
    **COORDINATOR_KEYS,
    **SECURITY_KEYS,
    **OTTLA_KEYS,
}

_ROLL = ("log.roll.ms", "log.roll.hours")
_JITTER = ("log.roll.jitter.ms", "log.roll.jitter.hours")
_RETENTION = ("log.retention.ms", "log.retention.minutes", "log.retention.hours")
# Names under which one broker value may be given, the strongest first.
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_ROLL, _ROLL),
    **dict.fromkeys(_JITTER, _JITTER),
    **dict.fromkeys(_RETENTION, _RETENTION),
    "log.flush.interval.ms": ("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
}

_LISTENER_PREFIX = "listener.name."


def without_listener(name: str) -> str | None:
    """The key that ``listener.name.<listener>.<key>`` overrides; None if it is no such key."""
    if not name.startswith(_LISTENER_PREFIX):
        return None
    _, dot, key = name[len(_LISTENER_PREFIX) :].partition(".")
    return key if dot else None


def find_broker_key(name: str) -> ConfigKey | None:
    """What a name in a broker's configuration means, listener prefix or not."""
    return BROKER_KEYS.get(name) or BROKER_KEYS.get(without_listener(name) or "")


def broker_synonyms(name: str) -> tuple[str, ...]:
    """All names of a broker key's value, the strongest first."""
    base = without_listener(name)
    return _SYNONYMS.get(name) or ((name,) if base is None else (name, base))
