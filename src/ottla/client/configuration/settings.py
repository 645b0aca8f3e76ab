"""The settings of one client while they are read: values by key, and which ones the user chose."""

from __future__ import annotations

from ottla.client.configuration.key import Key, Value
from ottla.client.configuration.table import find_key
from ottla.client.configuration.values import invalid, parse_value

Slot = tuple[bool, str]


class Settings:
    """Values by key; a key that was not set has its default."""

    __slots__ = ("_chosen",)

    def __init__(self) -> None:
        self._chosen: dict[Slot, tuple[Key, Value, bool]] = {}

    def set(self, name: str, value: str | None) -> None:
        """Set what a user wrote.

        Raises:
            KafkaException: there is no such key, or it can't have this value.
        """
        key = find_key(name)
        if key is None:
            # The prefix leads to the topic's keys, so it is not part of what was looked for.
            raise invalid(f'No such configuration property: "{name.removeprefix("topic.")}"')
        self._chosen[_slot(key)] = key, parse_value(key, value), True

    def adjust(self, name: str, value: Value) -> None:
        """Replace a value that the user left open by one that fits the others."""
        key = _known(name)
        self._chosen[_slot(key)] = key, value, self.is_set(name)

    def is_set(self, name: str) -> bool:
        """Whether the user chose a value, be it the default."""
        chosen = self._chosen.get(_slot(_known(name)))
        return chosen is not None and chosen[2]

    def value_of(self, key: Key) -> Value:
        """The value of a key."""
        chosen = self._chosen.get(_slot(key))
        return key.default if chosen is None else chosen[1]

    def text(self, name: str) -> str | None:
        """The value of a key that holds text or a choice."""
        value = self.value_of(_known(name))
        assert value is None or isinstance(value, str)
        return value

    def number(self, name: str) -> int:
        """The value of a key that holds an integer."""
        value = self.value_of(_known(name))
        assert isinstance(value, int)
        return value

    def real(self, name: str) -> float:
        """The value of a key that holds a number with a fraction."""
        value = self.value_of(_known(name))
        assert isinstance(value, float)
        return value

    def flag(self, name: str) -> bool:
        """The value of a key that holds true or false."""
        value = self.value_of(_known(name))
        assert isinstance(value, bool)
        return value

    def chosen_keys(self) -> list[Key]:
        """The keys that the user set, in the order of the first setting."""
        return [key for key, _, is_chosen in self._chosen.values() if is_chosen]


def _slot(key: Key) -> Slot:
    return key.is_topic_key, key.name


def _known(name: str) -> Key:
    key = find_key(name)
    assert key is not None, name
    return key
