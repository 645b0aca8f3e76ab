"""Setting blocks of a file aside without changing its size: Linux's ``fallocate``."""

from __future__ import annotations

import ctypes
from typing import Any

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE


def _find_fallocate() -> Any:
    function = getattr(ctypes.CDLL(None), "fallocate64", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return function


_fallocate = _find_fallocate()


def reserve(descriptor: int, position: int, size_bytes: int) -> bool:
    """Whether the blocks were set aside; not every system and file system can, and disks fill."""
    if _fallocate is None:
        return False
    return bool(_fallocate(descriptor, _KEEP_SIZE, position, size_bytes) == 0)
