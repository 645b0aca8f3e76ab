"""A mapping that can be changed while the one underneath stays as it is."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, MutableMapping, ValuesView
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Overlay(MutableMapping[K, V]):
    """Shows ``base`` with changes of its own on top; the cost is that of the changes alone.

    Its order of iteration is the order that the base would have after the same changes, because
    group leadership falls to the first member in that order.
    """

    __slots__ = ("_added", "_base", "_removed", "_updated")

    def __init__(self, base: MutableMapping[K, V]) -> None:
        self._base = base
        self._updated: dict[K, V] = {}
        self._removed: set[K] = set()
        self._added: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        if self._added and key in self._added:
            return self._added[key]
        if self._updated and key in self._updated:
            return self._updated[key]
        if self._removed and key in self._removed:
            raise KeyError(key)
        return self._base[key]

    # What follows could be had of the base class as well, ten times as slowly.

    def get(self, key: K, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def items(self) -> ItemsView[K, V]:
        return self._merged().items()

    def values(self) -> ValuesView[V]:
        return self._merged().values()

    def _merged(self) -> dict[K, V]:
        merged = dict(self._base)
        merged.update(self._updated)
        for key in self._removed:
            del merged[key]
        merged.update(self._added)
        return merged

    def __setitem__(self, key: K, value: V) -> None:
        if key in self._base and key not in self._removed:
            self._updated[key] = value
        else:
            self._added[key] = value

    def __delitem__(self, key: K) -> None:
        if key in self._added:
            del self._added[key]
        elif key in self._base and key not in self._removed:
            self._updated.pop(key, None)
            self._removed.add(key)
        else:
            raise KeyError(key)

    def __iter__(self) -> Iterator[K]:
        return iter(self._merged())

    def __len__(self) -> int:
        return len(self._base) - len(self._removed) + len(self._added)

    def __contains__(self, key: object) -> bool:
        if key in self._added:
            return True
        return key in self._base and key not in self._removed
