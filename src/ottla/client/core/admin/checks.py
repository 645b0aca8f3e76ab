"""Checks of the arguments that calls have in common, with confluent_kafka's exceptions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from operator import index
from typing import Any, SupportsIndex

from ottla.client.core.admin.outcomes import invalid

_MAX_TIMEOUT_MS = 3_600_000
# Timers can't be set for eternity, but for some weeks.
_NO_LIMIT_MS = 2_000_000_000
_MAX_BROKER_ID = 2**31 - 1


def timeout_ms(seconds: float | None, name: str, *, least: int = 0) -> int | None:
    """A timeout in milliseconds, None if there is none.

    Raises:
        TypeError: it is no number.
        ValueError: it is out of range.
    """
    if seconds is None:
        return None
    if not isinstance(seconds, int | float):
        raise TypeError(f"must be real number, not {type(seconds).__name__}")
    value = int(seconds * 1000) if abs(seconds) <= _MAX_TIMEOUT_MS else -2
    if not least <= value <= _MAX_TIMEOUT_MS:
        raise ValueError(_out_of_range(name, least, _MAX_TIMEOUT_MS))
    return value


def limit_ms(seconds: float) -> float:
    """The longest wait in milliseconds; negative seconds mean no limit.

    Raises:
        TypeError: it is no number.
    """
    if not isinstance(seconds, int | float):
        raise TypeError(f"must be real number, not {type(seconds).__name__}")
    return min(seconds * 1000, _NO_LIMIT_MS) if seconds >= 0 else _NO_LIMIT_MS


def flag(value: bool, name: str) -> bool:
    """The value, if it is a bool.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, bool):
        raise TypeError(f"Expected {name} to be bool type, not {type(value).__name__}")
    return value


def broker_id(value: SupportsIndex | None) -> int | None:
    """A broker's id, None if there is none.

    Raises:
        TypeError: it is no integer.
        ValueError: no broker has such an id.
    """
    if value is None:
        return None
    number = index(value)
    if not 0 <= number <= _MAX_BROKER_ID:
        raise ValueError(_out_of_range("broker", 0, _MAX_BROKER_ID))
    return number


def _out_of_range(name: str, least: int, most: int) -> str:
    return f'Invalid value type for "{name}": expecting integer in range {least}..{most}'


def non_empty_list(items: Any, of_what: str) -> None:
    """Raise ``ValueError`` unless the items are a list with something in it."""
    if not isinstance(items, list) or not items:
        raise ValueError(f"Expected non-empty list of {of_what}")


def all_are(items: Iterable[Any], kind: type[Any], error: type[Exception] = ValueError) -> None:
    """Raise the error unless all items are of this kind."""
    for item in items:
        if not isinstance(item, kind):
            raise error(f"Expected list of {kind!r}")


def refuse_duplicates(items: Sequence[Hashable], what: str) -> None:
    """Raise ``_INVALID_ARG`` if something is asked for twice in one call."""
    if len(set(items)) != len(items):
        raise invalid(f"Duplicate {what} not allowed")
