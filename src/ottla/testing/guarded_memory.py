"""Memory between two pages that nobody may touch: an over-read of one byte kills the process.

So whoever checks native code with it does so in a child (`survives`).
"""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys

_NO_ACCESS = 0


class GuardedMemory:
    """One page of memory, a forbidden one on each side.

    Raises:
        OSError: the system forbids to forbid pages.
    """

    def __init__(self) -> None:
        self._area = mmap.mmap(-1, 3 * mmap.PAGESIZE)
        libc = ctypes.CDLL(None, use_errno=True)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._area))
        for page in (0, 2):
            address = ctypes.c_void_p(start + page * mmap.PAGESIZE)
            if libc.mprotect(address, ctypes.c_size_t(mmap.PAGESIZE), _NO_ACCESS):
                raise OSError(ctypes.get_errno(), "mprotect")

    def before_the_edge(self, data: bytes) -> memoryview:
        """The data (at most a page) in memory, with the forbidden page right after it."""
        end = 2 * mmap.PAGESIZE
        self._area[end - len(data) : end] = data
        return memoryview(self._area)[end - len(data) : end]

    def after_the_edge(self, data: bytes) -> memoryview:
        """The data (at most a page) in memory, with the forbidden page right before it."""
        start = mmap.PAGESIZE
        self._area[start : start + len(data)] = data
        return memoryview(self._area)[start : start + len(data)]


def survives(program: str) -> str | None:
    """Why a Python program, run in a process of its own, didn't come to its end; or None."""
    child = subprocess.run(  # noqa: S603 - the test's own program
        [sys.executable, "-c", f"{program}\nprint('survived')"],
        capture_output=True,
        text=True,
        check=False,
    )
    if child.stdout.strip() == "survived":
        return None
    return f"exit {child.returncode}: {child.stderr[-500:]}"
