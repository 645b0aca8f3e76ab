"""An immutable map whose changed copies share what did not change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")

_REMOVED: Final[Any] = object()


class PersistentMap(Generic[K, V]):
    """A map over a large shared base and a small overlay of what changed since.

    A changed copy copies the overlay only. Once the overlay outgrows the square root of the base
    the two are merged, so a change costs O(sqrt(n)) amortised and a lookup two dict lookups.
    Iteration is in order of insertion, so that a simulation repeats itself.
    """

    __slots__ = ("_base", "_overlay", "_size")

    def __init__(self, items: Mapping[K, V] | None = None) -> None:
        self._base: dict[K, V] = dict(items) if items else {}
        self._overlay: dict[K, V] = {}
        self._size = len(self._base)

    def get(self, key: K) -> V | None:
        """The value of ``key``, or None."""
        if key in self._overlay:
            value = self._overlay[key]
            return None if value is _REMOVED else value
        return self._base.get(key)

    def __getitem__(self, key: K) -> V:
        value = self._overlay[key] if key in self._overlay else self._base[key]
        if value is _REMOVED:
            raise KeyError(key)
        return value

    def __contains__(self, key: K) -> bool:
        if key in self._overlay:
            return self._overlay[key] is not _REMOVED
        return key in self._base

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[K]:
        return (key for key, _ in self.items())

    def items(self) -> Iterator[tuple[K, V]]:
        """Keys with their values."""
        overlay = self._overlay
        for key, value in self._base.items():
            current = overlay.get(key, value)
            if current is not _REMOVED:
                yield key, current
        for key, value in overlay.items():
            if key not in self._base and value is not _REMOVED:
                yield key, value

    def values(self) -> Iterator[V]:
        """The values alone."""
        return (value for _, value in self.items())

    def changed(self, changes: Mapping[K, V | None]) -> PersistentMap[K, V]:
        """A copy in which each key of ``changes`` has its new value, or is gone if that is None."""
        if not changes:
            return self
        copy: PersistentMap[K, V] = PersistentMap.__new__(PersistentMap)
        copy._base = self._base
        copy._overlay = overlay = dict(self._overlay)
        size = self._size
        for key, value in changes.items():
            size += (value is not None) - (key in copy)
            if value is not None:
                overlay[key] = value
            elif key in self._base:
                overlay[key] = cast(V, _REMOVED)
            else:
                overlay.pop(key, None)
        copy._size = size
        if len(overlay) ** 2 > len(self._base):
            copy._base = dict(copy.items())
            copy._overlay = {}
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PersistentMap):
            return NotImplemented
        return dict(self.items()) == dict(other.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PersistentMap({dict(self.items())!r})"
