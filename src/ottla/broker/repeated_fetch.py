"""The short way of a fetch that asks what the connection's last one asked.

A consumer at the log's end sends the same bytes again and again: all but the correlation id, and in
a session the session's epoch. What they mean is decoded once.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ottla.broker.fetch_sessions import FINAL_EPOCH, WantedPartition

if TYPE_CHECKING:
    from ottla.wire.api.k01_fetch import FetchRequest

_AFTER_CORRELATION_ID = 8
_FIRST_VERSION_WITH_SESSIONS = 7
_FIRST_VERSION_WITHOUT_REPLICA_ID = 15
# In the body, before the epoch: replica id, wait, two limits, isolation level, session id.
_BEFORE_EPOCH_BYTES, _REPLICA_ID_BYTES = 21, 4
_EPOCH = struct.Struct(">i")
# What one connection may make the broker remember.
_MAX_FRAME_BYTES = 1024


class RepeatedFetch:
    """A connection's last fetch request: its bytes, and what they say."""

    __slots__ = ("_after", "_before", "_epoch_position", "_version", "request", "wanted")

    def __init__(
        self, frame: memoryview, epoch_position: int, version: int, request: FetchRequest
    ) -> None:
        self._version = version
        self._epoch_position = epoch_position
        self._before = bytes(frame[_AFTER_CORRELATION_ID:epoch_position])
        self._after = bytes(frame[epoch_position + _EPOCH.size :])
        self.request = request
        self.wanted: list[WantedPartition] | None = None
        """Its partitions, where they may be used again: a session would keep them."""

    def recall(self, frame: memoryview, version: int) -> FetchRequest | None:
        """The request, if the frame of a fetch says the same again."""
        position = self._epoch_position
        end = position + _EPOCH.size
        if (
            version != self._version
            or bytes(frame[_AFTER_CORRELATION_ID:position]) != self._before
            or bytes(frame[end:]) != self._after
        ):
            return None
        (epoch,) = _EPOCH.unpack_from(frame, position)
        request = self.request
        if epoch != request.session_epoch:
            request.session_epoch = epoch
            self.wanted = None
        return request

    def keep(self, wanted: list[WantedPartition]) -> list[WantedPartition]:
        """Let the partitions be used again, unless a session may take them over."""
        if self.request.session_epoch == FINAL_EPOCH:
            self.wanted = wanted
        return wanted


def remember(
    frame: memoryview, body_position: int, version: int, request: FetchRequest
) -> RepeatedFetch | None:
    """What to remember of a request; ``None`` where it would be too much."""
    if version < _FIRST_VERSION_WITH_SESSIONS or len(frame) > _MAX_FRAME_BYTES:
        return None
    position = body_position + _BEFORE_EPOCH_BYTES
    if version >= _FIRST_VERSION_WITHOUT_REPLICA_ID:
        position -= _REPLICA_ID_BYTES
    return RepeatedFetch(frame, position, version, request)
