"""The memory that incoming frames may take, all connections together.

A frame's buffer grows with what has really arrived, by at most ``_GROWTH`` times, so a connection
that announces 100 MiB and sends nothing costs nothing. When all unfinished frames together exceed
the budget, the one that has waited longest for its next byte is given up: honest clients finish
their frames within moments.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

_SHARED_BYTES = 64 * 1024
_GROWTH = 16
_SMALLEST_BYTES = 4 * 1024
# Buffers kept for reuse: zeroing and faulting in a fresh MiB costs as much as receiving it.
_POOLED_BUFFER_BYTES = 1024 * 1024 + 4096
_POOLED_BUFFERS = 16


class ReceiveMemory:
    """Receive buffers of one event loop.

    Args:
        budget_bytes: what unfinished frames may take together.
        give_up: called with the owner whose unfinished frame is sacrificed; must close it, which
            releases its memory.
    """

    def __init__(self, budget_bytes: int, give_up: Callable[[object], None]) -> None:
        self.shared = memoryview(bytearray(_SHARED_BYTES))
        self._budget_bytes = budget_bytes
        self._give_up = give_up
        self._held_bytes = 0
        # Oldest progress first; an owner has at most one unfinished frame (two while it grows).
        self._holders: OrderedDict[object, int] = OrderedDict()
        self._pool: list[bytearray] = []

    @property
    def held_bytes(self) -> int:
        """What unfinished frames take now."""
        return self._held_bytes

    def acquire(self, owner: object, frame_bytes: int, received_bytes: int) -> bytearray:
        """A buffer for a frame of which ``received_bytes`` have arrived; at most the frame's size
        is used of it, and it may be smaller, in which case it must be grown later."""
        capacity = min(frame_bytes, max(_SMALLEST_BYTES, _GROWTH * received_bytes))
        pooled = _SHARED_BYTES < capacity <= _POOLED_BUFFER_BYTES
        if pooled:
            capacity = _POOLED_BUFFER_BYTES
        self._make_room(owner, capacity)
        self._held_bytes += capacity
        self._holders[owner] = self._holders.get(owner, 0) + capacity
        if pooled and self._pool:
            return self._pool.pop()
        return bytearray(capacity)

    def note_progress(self, owner: object) -> None:
        """The owner's frame grew: it is now the last to be given up."""
        self._holders.move_to_end(owner)

    def release(self, owner: object, buffer: bytearray) -> None:
        """Take a buffer back."""
        held = self._holders.get(owner)
        if held is None:
            # It was given up while its frame was being handled.
            return
        capacity = len(buffer)
        self._held_bytes -= capacity
        left = held - capacity
        if left:
            self._holders[owner] = left
        else:
            del self._holders[owner]
        if capacity == _POOLED_BUFFER_BYTES and len(self._pool) < _POOLED_BUFFERS:
            self._pool.append(buffer)

    def _make_room(self, owner: object, capacity: int) -> None:
        while self._held_bytes + capacity > self._budget_bytes:
            slowest = next((holder for holder in self._holders if holder is not owner), None)
            if slowest is None:
                return
            self._give_up(slowest)
            self._held_bytes -= self._holders.pop(slowest, 0)
