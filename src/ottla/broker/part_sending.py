"""Sending the parts of a reply over a socket, as far as it takes them now.

A reply of ten slices is thirty calls to the system; natively (``_native_sending``) they are one of
this process's. Both twins do the same: ``active`` is the one to use.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ottla.broker.replies import Parts

__all__ = ["COLD", "FULL", "SENT", "active", "is_cached", "send_parts"]

SENT, FULL, COLD = 0, 1, 2
"""What came of sending: all of it, as much as the socket takes, or up to a slice that isn't in the
page cache, so that sending it would wait for a disk."""

# What Linux reads from a disk at once: neighbours within it are cached together.
_READ_AHEAD_BYTES = 128 * 1024
_PROBE = (bytearray(1),)


def send_parts(
    descriptor: int, parts: Parts, index: int, done_bytes: int, is_warm: bool
) -> tuple[int, int, int]:
    """Send from ``done_bytes`` of the part ``index`` on; never waits.

    Args:
        descriptor: of a socket that doesn't block.
        is_warm: the part, a slice, was read into the page cache just now.

    Returns:
        Where sending ended (part, and bytes of it that have left), and ``SENT``, ``FULL`` or
        ``COLD``; or the negative number of the error met there.
    """
    try:
        while index < len(parts):
            part = parts[index]
            if isinstance(part, bytes):
                left_bytes = len(part) - done_bytes
                sent = os.write(descriptor, memoryview(part)[done_bytes:] if done_bytes else part)
            else:
                left_bytes = part.size_bytes - done_bytes
                position = part.position + done_bytes
                file = part.fileno()
                if file is None:
                    return index, done_bytes, -errno.EBADF
                if not (done_bytes or is_warm or is_cached(file, position, left_bytes)):
                    return index, done_bytes, COLD
                sent = os.sendfile(descriptor, file, position, left_bytes)
                if not sent:
                    # The file ended early.
                    return index, done_bytes, -errno.ENODATA
            if sent < left_bytes:
                # The socket is full: trying again at once would only say so.
                return index, done_bytes + sent, FULL
            index, done_bytes, is_warm = index + 1, 0, False
    except BlockingIOError:
        return index, done_bytes, FULL
    except OSError as error:
        return index, done_bytes, -(error.errno or errno.EIO)
    return index, 0, SENT


def is_cached(descriptor: int, position: int, size_bytes: int) -> bool:
    """Whether a slice is in the page cache, so that sending it won't wait for a disk: judged by its
    last byte, and by its first where the two are far apart."""
    if _NO_WAIT is None:
        return True
    try:
        os.preadv(descriptor, _PROBE, position + size_bytes - 1, _NO_WAIT)
        if size_bytes > _READ_AHEAD_BYTES:
            os.preadv(descriptor, _PROBE, position, _NO_WAIT)
    except BlockingIOError:
        return False
    except OSError:
        # The file system does not know RWF_NOWAIT.
        return True
    return True


_NO_WAIT: int | None = getattr(os, "RWF_NOWAIT", None)


def _find_active() -> Any:
    if os.environ.get("OTTLA_PURE_PYTHON") != "1":
        try:
            from ottla.broker._native_sending import send_parts as native
        except ImportError:
            return send_parts
        return native
    return send_parts


active = _find_active()
