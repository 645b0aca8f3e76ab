"""Checks of arguments that a C extension would make, with the exceptions it would raise."""

from __future__ import annotations

from operator import index
from typing import SupportsIndex

_INT32_MIN, _INT32_MAX = -(2**31), 2**31 - 1
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def int32(value: SupportsIndex) -> int:
    """The value as an integer of 32 bits.

    Raises:
        TypeError: the value is no integer.
        OverflowError: it needs more bits.
    """
    number = index(value)
    if number > _INT32_MAX:
        raise OverflowError("signed integer is greater than maximum")
    if number < _INT32_MIN:
        raise OverflowError("signed integer is less than minimum")
    return number


def int64(value: SupportsIndex) -> int:
    """The value as an integer of 64 bits; raises as :func:`int32` does."""
    number = index(value)
    if not _INT64_MIN <= number <= _INT64_MAX:
        raise OverflowError("int too big to convert")
    return number


def text(value: str, name: str) -> str:
    """The value, if it is text that Kafka's strings can hold.

    Raises:
        TypeError: the value is no string.
        ValueError: it contains a null character.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    if "\0" in value:
        raise ValueError("embedded null character")
    return value
