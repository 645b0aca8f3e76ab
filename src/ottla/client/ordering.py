"""The comparison that values of confluent_kafka's C extension have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar


class OrderedByKey:
    """Compares values of one class by a key of theirs.

    Compared with anything of another class they raise ``NotImplementedError`` (``==`` and ``!=``
    too), where Python's own values would say that they are unequal.
    """

    __slots__ = ()

    _comparable: ClassVar[type[OrderedByKey]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if OrderedByKey in cls.__bases__:
            cls._comparable = cls

    @abstractmethod
    def _key(self) -> tuple[Any, ...]:
        """What equality and order look at."""

    def _other_key(self, other: object) -> tuple[Any, ...]:
        if not isinstance(other, self._comparable):
            raise NotImplementedError
        return other._key()

    def __eq__(self, other: object) -> bool:
        return self._key() == self._other_key(other)

    def __ne__(self, other: object) -> bool:
        return self._key() != self._other_key(other)

    def __lt__(self, other: object) -> bool:
        return self._key() < self._other_key(other)

    def __le__(self, other: object) -> bool:
        return self._key() <= self._other_key(other)

    def __gt__(self, other: object) -> bool:
        return self._key() > self._other_key(other)

    def __ge__(self, other: object) -> bool:
        return self._key() >= self._other_key(other)
