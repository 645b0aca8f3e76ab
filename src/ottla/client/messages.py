"""What one poll of a share consumer returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from ottla.client.message import Message


class Messages:
    """Messages that can be iterated over, counted, indexed and sliced, but not changed."""

    __slots__ = ("_records",)

    def __init__(self, messages: Iterable[Message[Any, Any]] = ()) -> None:
        self._records = list(messages)

    def records(self) -> list[Message[Any, Any]]:
        """The messages as a list of one's own."""
        return list(self._records)

    def count(self) -> int:
        """How many there are."""
        return len(self._records)

    def is_empty(self) -> bool:
        """Whether there are none."""
        return not self._records

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Message[Any, Any]]:
        return iter(self._records)

    @overload
    def __getitem__(self, index: int) -> Message[Any, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Messages: ...
    def __getitem__(self, index: int | slice) -> Message[Any, Any] | Messages:
        if isinstance(index, slice):
            return Messages(self._records[index])
        return self._records[index]

    def __repr__(self) -> str:
        return f"Messages({self._records!r})"
