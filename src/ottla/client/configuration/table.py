"""All configuration keys by name, aliases resolved."""

from __future__ import annotations

from ottla.client.configuration import (
    common_keys,
    consumer_keys,
    producer_keys,
    security_keys,
    share_keys,
)
from ottla.client.configuration.key import Key

_ALL = (
    *common_keys.KEYS, *security_keys.KEYS, *consumer_keys.KEYS, *share_keys.KEYS,
    *producer_keys.KEYS,
)  # fmt: skip
GLOBAL_KEYS = {key.name: key for key in _ALL if not key.is_topic_key}
# Topic keys may be set as they are or with this prefix, which reaches them also when a global key
# has the same name.
TOPIC_KEYS = {key.name: key for key in _ALL if key.is_topic_key}
TOPIC_PREFIX = "topic."
# Keys whose values hold something are those that are no alias and no refusal.
VALUE_KINDS = frozenset(
    {"string", "exact string", "integer", "float", "boolean", "choice", "flags", "patterns"}
)


def find_key(name: str) -> Key | None:
    """The key that a name means, None if it means none."""
    if name in GLOBAL_KEYS:
        return _resolve(GLOBAL_KEYS[name], GLOBAL_KEYS)
    name = name.removeprefix(TOPIC_PREFIX)
    if name in TOPIC_KEYS:
        return _resolve(TOPIC_KEYS[name], TOPIC_KEYS)
    return None


def _resolve(key: Key, keys: dict[str, Key]) -> Key:
    return keys[key.note] if key.kind == "alias" else key
