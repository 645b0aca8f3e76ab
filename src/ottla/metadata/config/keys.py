"""What a configuration key is, and how its text becomes a value, with Kafka's messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Final, NamedTuple

ConfigValue = int | float | bool | str | tuple[str, ...] | None

MAX_INT32: Final = 2**31 - 1
MAX_INT64: Final = 2**63 - 1
# No value is longer than what a request may carry in one string field.
MAX_VALUE_LENGTH: Final = 32767

# Python reads more than Kafka does: underscores, "infinity", digits of other scripts. Sets and not
# regular expressions, whose compilation would cost the broker's start more than all the tables.
_INTEGER_CHARACTERS = frozenset("+-0123456789")
_DECIMAL_CHARACTERS = frozenset("+-0123456789.eE")
_MAX_NUMBER_LENGTH = 400
_MAX_SHOWN_LENGTH = 200


class ConfigType(IntEnum):
    """A value's type, numbered as DescribeConfigs numbers it."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class Importance(IntEnum):
    """How likely a user wants to know the key."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2


class UpdateMode(IntEnum):
    """Whether a broker's value can change while it runs, and for whom at once."""

    READ_ONLY = 0
    PER_BROKER = 1
    CLUSTER_WIDE = 2


class ConfigValueError(Exception):
    """A value does not suit its key; the message is what a client is told."""


class Validator:
    """A condition on a parsed value; this one accepts any."""

    __slots__ = ()

    def problem(self, name: str, value: Any) -> str | None:
        """What is wrong with ``value`` of the key ``name``, or None."""
        return None


class ConfigKey(NamedTuple):
    """One configuration key.

    Attributes:
        name: The key.
        type: What its values are.
        default: The value without any other, as text; None is no value at all.
        validator: A condition beyond the type.
        importance: How likely a user wants to know it.
        update_mode: For broker keys, whether it can change at run time.
        documentation: What it does, in a sentence or two.
    """

    name: str
    type: ConfigType
    default: str | None
    validator: Validator | None
    importance: Importance
    update_mode: UpdateMode
    documentation: str

    @property
    def is_sensitive(self) -> bool:
        """Whether a client may never see the value."""
        return self.type is ConfigType.PASSWORD

    def parse(self, text: str | None) -> ConfigValue:
        """The typed value of ``text``.

        Raises:
            ConfigValueError: it is not of the key's type or not among its legal values.
        """
        if text is None:
            return None
        if len(text) > MAX_VALUE_LENGTH:
            raise ConfigValueError(
                f"Invalid value of {len(text)} characters for configuration {self.name}: "
                f"Value must have no more than {MAX_VALUE_LENGTH} characters"
            )
        value = _PARSERS[self.type](self.name, text)
        problem = self.validator.problem(self.name, value) if self.validator else None
        if problem is not None:
            shown = "[hidden]" if self.is_sensitive else _shown(value)
            raise ConfigValueError(
                f"Invalid value {shown} for configuration {self.name}: {problem}"
            )
        return value

    def default_value(self) -> ConfigValue:
        """The typed default."""
        return self.parse(self.default)


def table(*rows: tuple[Any, ...]) -> Mapping[str, ConfigKey]:
    """Keys by name, from rows in the order of :class:`ConfigKey`'s fields."""
    return {row[0]: ConfigKey(*row) for row in rows}


class Range(Validator):
    """A number from ``lowest`` to ``highest``; None leaves that side open."""

    __slots__ = ("highest", "lowest")

    def __init__(self, lowest: float | None, highest: float | None) -> None:
        self.lowest = lowest
        self.highest = highest

    def problem(self, name: str, value: Any) -> str | None:
        if self.lowest is not None and value < self.lowest:
            return f"Value must be at least {self.lowest}"
        if self.highest is not None and value > self.highest:
            return f"Value must be no more than {self.highest}"
        return None


class GzipLevel(Validator):
    """1 to 9, or -1 for the library's own choice."""

    __slots__ = ()

    def problem(self, name: str, value: Any) -> str | None:
        if value == -1 or 1 <= value <= 9:
            return None
        return "Value must be between 1 and 9 or equal to -1"


class OneOf(Validator):
    """One of the words."""

    __slots__ = ("ignore_case", "words")

    def __init__(self, *words: str, ignore_case: bool = False) -> None:
        self.words = words
        self.ignore_case = ignore_case

    def problem(self, name: str, value: Any) -> str | None:
        candidate = value.upper() if self.ignore_case else value
        if candidate in self.words:
            return None
        hint = " (case insensitive)" if self.ignore_case else ""
        return f"String must be one of{hint}: {', '.join(self.words)}"


class ListOf(Validator):
    """A list whose items are all among the words."""

    __slots__ = ("words",)

    def __init__(self, *words: str) -> None:
        self.words = words

    def problem(self, name: str, value: Any) -> str | None:
        if all(item in self.words for item in value):
            return None
        return f"String must be one of: {', '.join(self.words)}"


class ThrottledReplicas(Validator):
    """``*`` or pairs ``partition:broker``."""

    __slots__ = ()

    def problem(self, name: str, value: Any) -> str | None:
        if value == ("*",) or all(_is_partition_of_broker(item) for item in value):
            return None
        return (
            f"{name} must be the literal '*' or a list of replicas in the following format: "
            "[partitionId]:[brokerId],[partitionId]:[brokerId],..."
        )


class OffsetReset(Validator):
    """Where a share group starts: earliest, latest, or a duration before now."""

    __slots__ = ()

    def problem(self, name: str, value: Any) -> str | None:
        # Compiled when a share group is first given a start, not with every broker's start.
        if value in ("earliest", "latest") or re.fullmatch(_BY_DURATION, value, re.ASCII):
            return None
        return "Value must be one of latest, earliest, by_duration:PnDTnHnMn.nS"


_BY_DURATION = (
    r"by_duration:P(?=[0-9T])([0-9]{1,9}D)?"
    r"(T(?=[0-9])([0-9]{1,9}H)?([0-9]{1,9}M)?([0-9]{1,9}(\.[0-9]{1,9})?S)?)?"
)


def _is_partition_of_broker(item: str) -> bool:
    partition, colon, broker = item.partition(":")
    return bool(colon) and all(
        part.isascii() and part.isdecimal() and len(part) <= 10 for part in (partition, broker)
    )


def _shown(value: Any) -> str:
    text = f"[{', '.join(value)}]" if isinstance(value, tuple) else str(value)
    # The message has to fit into a response.
    return text if len(text) <= _MAX_SHOWN_LENGTH else text[:_MAX_SHOWN_LENGTH] + "..."


def _integer(name: str, text: str, kind: str, highest: int) -> int:
    stripped = text.strip()
    if len(stripped) <= _MAX_NUMBER_LENGTH and _INTEGER_CHARACTERS.issuperset(stripped):
        try:
            value = int(stripped)
        except ValueError:
            raise _no_number(name, text, kind) from None
        if -highest - 1 <= value <= highest:
            return value
    raise _no_number(name, text, kind)


def _int(name: str, text: str) -> int:
    return _integer(name, text, "INT", MAX_INT32)


def _short(name: str, text: str) -> int:
    return _integer(name, text, "SHORT", 2**15 - 1)


def _long(name: str, text: str) -> int:
    return _integer(name, text, "LONG", MAX_INT64)


def _double(name: str, text: str) -> float:
    stripped = text.strip()
    if len(stripped) <= _MAX_NUMBER_LENGTH and _DECIMAL_CHARACTERS.issuperset(stripped):
        try:
            return float(stripped)
        except ValueError:
            raise _no_number(name, text, "DOUBLE") from None
    raise _no_number(name, text, "DOUBLE")


def _no_number(name: str, text: str, kind: str) -> ConfigValueError:
    return ConfigValueError(
        f"Invalid value {_shown(text)} for configuration {name}: Not a number of type {kind}"
    )


def _boolean(name: str, text: str) -> bool:
    word = text.strip().lower()
    if word not in ("true", "false"):
        raise ConfigValueError(
            f"Invalid value {_shown(text)} for configuration {name}: "
            "Expected value to be either true or false"
        )
    return word == "true"


def _string(name: str, text: str) -> str:
    return text.strip()


def _list(name: str, text: str) -> tuple[str, ...]:
    stripped = text.strip()
    if not stripped:
        return ()
    items = tuple(item.strip() for item in stripped.split(","))
    if "" in items:
        raise ConfigValueError(f"Configuration '{name}' values must not be empty.")
    # Kafka ignores repetitions and keeps the first.
    return tuple(dict.fromkeys(items))


_PARSERS: Mapping[ConfigType, Callable[[str, str], ConfigValue]] = {
    ConfigType.UNKNOWN: _string,
    ConfigType.BOOLEAN: _boolean,
    ConfigType.STRING: _string,
    ConfigType.INT: _int,
    ConfigType.SHORT: _short,
    ConfigType.LONG: _long,
    ConfigType.DOUBLE: _double,
    ConfigType.LIST: _list,
    ConfigType.CLASS: _string,
    ConfigType.PASSWORD: _string,
}
