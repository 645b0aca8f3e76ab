"""Cutting a connection's bytes into request frames, without copying what fits one read.

Small frames are handled in place, in one receive buffer that all connections of the event loop
share: it is filled and emptied within one callback. A frame that does not fit gets a buffer of its
own, grown in step with the bytes that really arrive, so that a length prefix alone costs nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

from ottla.broker.receive_memory import ReceiveMemory

Deliver = Callable[[memoryview], bool]

_PREFIX = struct.Struct(">i")
_PREFIX_BYTES = 4


class FrameOwner(Protocol):
    """The connection a frame belongs to."""

    def refuse(self, reason: object) -> None:
        """Close the connection, with one log line."""
        ...

    def may_begin(self, size_bytes: int) -> bool:
        """Whether a frame of its own buffer, now complete, is to be delivered at once; otherwise
        ``FrameReader.resume`` is called when it is."""
        ...


class FrameRefusedError(Exception):
    """A length prefix outside what the broker accepts; the connection must be closed."""


class FrameReader:
    """The receiving half of one connection.

    ``deliver`` gets each frame's payload as a view that is valid only during the call, and writable
    because offsets are stamped into it. It answers whether the next frame may follow at once; if
    not, what has already arrived waits for ``resume``.
    """

    __slots__ = (
        "_backlog",
        "_filled",
        "_frame",
        "_head",
        "_max_frame_bytes",
        "_memory",
        "_size",
        "owner",
    )

    def __init__(self, memory: ReceiveMemory, max_frame_bytes: int) -> None:
        self._memory = memory
        self._max_frame_bytes = max_frame_bytes
        self._frame: bytearray | None = None
        self._filled = 0
        self._size = 0
        self._head = b""
        self._backlog = bytearray()
        self.owner: FrameOwner | None = None
        """Whom to tell when the frame has to be given up."""

    def buffer(self) -> memoryview:
        """Where the next bytes go."""
        if self._frame is not None:
            return memoryview(self._frame)[self._filled : self._size]
        shared = self._memory.shared
        if not self._head:
            return shared
        shared[: len(self._head)] = self._head
        return shared[len(self._head) :]

    def received(self, count: int, deliver: Deliver) -> None:
        """Take note of ``count`` bytes in the last ``buffer()`` and deliver complete frames.

        Raises:
            FrameRefusedError: a length prefix is negative or above the limit.
        """
        if self._frame is None:
            shared = self._memory.shared
            end = len(self._head) + count
            self._head = b""
            size = end - _PREFIX_BYTES
            if 0 < size <= self._max_frame_bytes and _PREFIX.unpack_from(shared)[0] == size:
                # What nearly every read brings: one frame, and all of it.
                deliver(shared[_PREFIX_BYTES:end])
                return
            self._consume(shared[:end], deliver)
            return
        self._filled += count
        if self._filled == self._size:
            if self.owner is None or self.owner.may_begin(self._size):
                self._finish(deliver)
        elif self._filled == len(self._frame):
            self._grow(self._frame)

    def resume(self, deliver: Deliver) -> None:
        """Deliver what arrived while the last frame was being answered, or had to wait."""
        if self._frame is not None and self._filled == self._size:
            self._finish(deliver)
        backlog, self._backlog = self._backlog, bytearray()
        if backlog:
            self._consume(memoryview(backlog), deliver)

    def release(self) -> None:
        """Give back the memory of a frame that will never be complete."""
        if self._frame is not None:
            self._memory.release(self, self._frame)
            self._frame = None
        self._backlog = bytearray()

    def _consume(self, view: memoryview, deliver: Deliver) -> None:
        position, end = 0, len(view)
        while end - position >= _PREFIX_BYTES:
            start = position + _PREFIX_BYTES
            (size,) = _PREFIX.unpack_from(view, position)
            if not 0 <= size <= self._max_frame_bytes:
                raise FrameRefusedError(
                    f"a frame of {size} bytes is outside 0..{self._max_frame_bytes} "
                    "(socket.request.max.bytes)"
                )
            position = start + size
            if position > end:
                self._begin(size, view[start:])
                return
            if not deliver(view[start:position]):
                self._backlog = bytearray(view[position:])
                return
        self._head = bytes(view[position:])

    def _begin(self, size: int, part: memoryview) -> None:
        self._size = size
        self._filled = len(part)
        self._frame = self._memory.acquire(self, size, self._filled)
        self._frame[: self._filled] = part

    def _grow(self, frame: bytearray) -> None:
        larger = self._memory.acquire(self, self._size, self._filled)
        larger[: self._filled] = memoryview(frame)[: self._filled]
        self._memory.release(self, frame)
        self._memory.note_progress(self)
        self._frame = larger

    def _finish(self, deliver: Deliver) -> None:
        frame, self._frame = self._frame, None
        assert frame is not None
        view = memoryview(frame)[: self._size]
        try:
            deliver(view)
        finally:
            view.release()
            self._memory.release(self, frame)
