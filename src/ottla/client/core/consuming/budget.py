"""The bytes that fetched records may take: a hard limit (``queued.max.messages.kbytes``)."""

from __future__ import annotations


class Budget:
    """What fetches under way may bring, and what was fetched and not yet read.

    A fetch reserves what its answer may hold before it is sent. Only one batch that is larger than
    all limits may exceed the budget: brokers send it nevertheless, or nobody could ever read it.

    Args:
        limit_bytes: what all of it may take together.
    """

    __slots__ = ("held_bytes", "limit_bytes", "reserved_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self.reserved_bytes = 0

    @property
    def room_bytes(self) -> int:
        """What is left; nothing when something was larger than expected."""
        return max(0, self.limit_bytes - self.held_bytes - self.reserved_bytes)

    def reserve(self, size_bytes: int) -> None:
        """A fetch is sent whose answer may take so much."""
        self.reserved_bytes += size_bytes

    def release_reserved(self, size_bytes: int) -> None:
        """The fetch was answered, or failed."""
        self.reserved_bytes -= size_bytes

    def hold(self, size_bytes: int) -> None:
        """Records of this size are kept."""
        self.held_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """They are read, or thrown away."""
        self.held_bytes -= size_bytes
