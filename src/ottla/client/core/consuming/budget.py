"""The bytes that fetched records may take, all together and per answer."""

from __future__ import annotations

# What a broker nearby sends in a few milliseconds: asking for more at once brings nothing but
# memory that is in no cache any more when it is read.
_COMFORTABLE_BYTES = 8 * 1024 * 1024
_MOST_BYTES = 2**30
# An answer that takes longer than this is worth being larger; one that takes less needn't be.
_LONG_MS = 50.0
_SHORT_MS = 10.0


class Portion:
    """How much to ask one broker for at once."""

    __slots__ = ("size_bytes",)

    def __init__(self) -> None:
        self.size_bytes = _COMFORTABLE_BYTES

    def answered(self, asked_bytes: int, size_bytes: int, took_ms: float) -> None:
        """An answer of this size came to a request for so much."""
        if 2 * size_bytes < asked_bytes:
            # There was no more: the time tells nothing.
            return
        if took_ms > _LONG_MS:
            self.size_bytes = min(2 * self.size_bytes, _MOST_BYTES)
        elif took_ms < _SHORT_MS:
            self.size_bytes = max(self.size_bytes // 2, _COMFORTABLE_BYTES)


class Budget:
    """What fetches under way may bring, and what was fetched and not yet read: a hard limit
    (``queued.max.messages.kbytes``).

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
