"""Reading a configuration value from its text, as librdkafka reads it.

Numbers follow C: a number is what the text begins with, in decimal, octal (``0…``) or hexadecimal
(``0x…``), and ``12ms`` is 12. Programs that worked with such values go on working.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ottla.client.configuration.key import Key, Value
from ottla.client.errors import KafkaError, KafkaException

_C_INTEGER = re.compile(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_C_FLOAT = re.compile(
    r"\s*[+-]?(?:(?P<hex>0x[0-9a-f]+)|\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|inf(?:inity)?)",
    re.IGNORECASE,
)
_C_SPACE = " \t\n\v\f\r"
_INT64_MAX = 2**63 - 1
_MAX_MESSAGE_BYTES = 255

PARTITIONERS = frozenset(
    {
        "random", "consistent", "consistent_random", "murmur2", "murmur2_random", "fnv1a",
        "fnv1a_random",
    }
)  # fmt: skip


def invalid(message: str) -> KafkaException:
    """The exception for a configuration that can't be used."""
    message = message.encode()[:_MAX_MESSAGE_BYTES].decode(errors="ignore")
    return KafkaException(KafkaError(KafkaError._INVALID_ARG, message))


def parse_value(key: Key, value: str | None) -> Value:
    """The value of a key from its text; None and empty text mean that it is not set.

    Raises:
        KafkaException: the key can't be set, or not to this.
    """
    if key.unsupported is not None:
        raise invalid(
            f'Configuration property "{key.name}" not supported in this build: {key.unsupported}'
        )
    return _PARSERS[key.kind](key, value or None)


def _parse_string(key: Key, value: str | None) -> Value:
    if value is not None:
        value = value.lstrip(_C_SPACE)
    return _parse_exact_string(key, value)


def _parse_exact_string(key: Key, value: str | None) -> Value:
    accepts = _ACCEPTS.get(key.name)
    if accepts is not None and (value is None or not accepts(value)):
        raise invalid(
            f'Invalid value for configuration property "{key.name}": '
            f"{'(null)' if value is None else value}"
        )
    return key.default if value is None else value


# What else a text has to fulfil, by key.
_ACCEPTS: dict[str, Callable[[str], bool]] = {
    "broker.version.fallback": lambda value: True,
    "partitioner": lambda value: value in PARTITIONERS,
    "sasl.mechanisms": lambda value: "," not in value and " " not in value,
}


def _parse_patterns(key: Key, value: str | None) -> Value:
    if value is None:
        return None
    patterns = tuple(value.split(","))
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise invalid(f'Failed to parse pattern "{pattern}": {error}') from None
    return patterns


def _parse_callback(key: Key, value: str | None) -> Value:
    raise invalid(f'Property "{key.name}" must be set through dedicated .._set_..() function')


def _parse_internal(key: Key, value: str | None) -> Value:
    raise invalid(f'Internal property "{key.name}" not settable')


def _parse_rejected(key: Key, value: str | None) -> Value:
    raise invalid(key.note)


def _parse_boolean(key: Key, value: str | None) -> Value:
    if value is None:
        raise _empty("Bool configuration", key)
    if value.lower() in ("true", "t", "1"):
        return True
    if value.lower() in ("false", "f", "0"):
        return False
    raise invalid(f'Expected bool value for "{key.name}": true or false')


def _parse_integer(key: Key, value: str | None) -> Value:
    if value is None:
        raise _empty("Integer configuration", key)
    number = _c_integer(value)
    if number is None:
        number = _choice(key, value)
        if number is None:
            raise invalid(f'Invalid value for configuration property "{key.name}"')
    if not key.minimum <= number <= key.maximum:
        raise invalid(
            f'Configuration property "{key.name}" value {number} is outside allowed range '
            f"{int(key.minimum)}..{int(key.maximum)}\n"
        )
    return number


def _c_integer(value: str) -> int | None:
    """What ``(int)strtol(value, …, 0)`` makes of it, None if it begins with no number."""
    match = _C_INTEGER.match(value)
    if match is None:
        return None
    digits = match[2].lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    number = int(match[1] + digits, base)
    number = max(-_INT64_MAX - 1, min(_INT64_MAX, number))
    return (number + 2**31) % 2**32 - 2**31


def _choice(key: Key, value: str) -> int | None:
    for text, meaning in key.choices.items():
        if text.lower() == value.lower() and isinstance(meaning, int):
            return meaning
    return None


def _parse_float(key: Key, value: str | None) -> Value:
    if value is None:
        raise _empty("Float configuration", key)
    match = _C_FLOAT.match(value)
    if match is None:
        raise invalid(f'Invalid value for configuration property "{key.name}"')
    number = float.fromhex(match[0]) if match["hex"] else float(match[0])
    if not key.minimum <= number <= key.maximum:
        raise invalid(
            f'Configuration property "{key.name}" value {number:g} is outside allowed range '
            f"{key.minimum:g}..{key.maximum:g}\n"
        )
    return number


def _parse_choice(key: Key, value: str | None) -> Value:
    if value is None:
        raise _empty("Configuration", key)
    value = value.strip(_C_SPACE)
    return _chosen(key, value) if value else key.default


def _parse_flags(key: Key, value: str | None) -> Value:
    if value is None:
        raise _empty("Configuration", key)
    flags: dict[str, None] = {}
    for part in value.split(","):
        text = part.strip(_C_SPACE)
        is_removed = text.startswith("-")
        text = text.removeprefix("-") if is_removed else text.removeprefix("+")
        if not text:
            continue
        flag = str(_chosen(key, text))
        if is_removed:
            flags.pop(flag, None)
        else:
            flags[flag] = None
    return tuple(flags)


def _chosen(key: Key, value: str) -> str | int:
    for text, meaning in key.choices.items():
        if text.lower() != value.lower():
            continue
        if text in key.unsupported_choices:
            raise invalid(
                f'Unsupported value "{value}" for configuration property "{key.name}": '
                f"{key.unsupported_choices[text]}"
            )
        return meaning
    raise invalid(f'Invalid value "{value}" for configuration property "{key.name}"')


def _empty(subject: str, key: Key) -> KafkaException:
    return invalid(f'{subject} property "{key.name}" cannot be set to empty value')


_PARSERS: dict[str, Callable[[Key, str | None], Value]] = {
    "string": _parse_string,
    "exact string": _parse_exact_string,
    "patterns": _parse_patterns,
    "callback": _parse_callback,
    "internal": _parse_internal,
    "rejected": _parse_rejected,
    "boolean": _parse_boolean,
    "integer": _parse_integer,
    "float": _parse_float,
    "choice": _parse_choice,
    "flags": _parse_flags,
}
