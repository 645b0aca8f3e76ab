"""Keeping a virtual machine's memory in the state of a server that has run for a while.

Such a machine gives free pages back to its host, and the first touch of a page it has to ask for
again costs ten times as much as the write itself: figures of a machine with much free memory tell
about the hypervisor. On a server there is hardly any: the page cache fills it.
"""

from __future__ import annotations

import os
import pathlib
import re
from types import TracebackType

MEBIBYTE = 1 << 20
# Linux keeps about this much free by itself, and some must be left for the brokers.
_LEFT_FREE_MEBIBYTES = 3 * 1024
_SPARE_MEBIBYTES = 512
_MOST_WARMED_MEBIBYTES = 3 * 1024


class FilledPageCache:
    """Fills free memory with clean page cache, which the kernel takes back whenever it likes.

    What is read are the holes of a sparse file: no disk is needed.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._path = directory / "holes"

    def __enter__(self) -> FilledPageCache:
        mebibytes = free_mebibytes() - _LEFT_FREE_MEBIBYTES
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR)
        try:
            os.ftruncate(descriptor, max(0, mebibytes) * MEBIBYTE)
            buffer = bytearray(MEBIBYTE)
            for number in range(mebibytes):
                os.preadv(descriptor, [buffer], number * MEBIBYTE)
        finally:
            os.close(descriptor)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._path.unlink(missing_ok=True)


def warm_free_pages(directory: pathlib.Path, mebibytes: int) -> None:
    """Touch free pages right before a measurement that takes ``mebibytes`` of them.

    Where memory is full of page cache these are all free pages, else as many as are needed twice.
    """
    free = free_mebibytes() - _SPARE_MEBIBYTES
    count = free if 0 < free <= _MOST_WARMED_MEBIBYTES else 2 * mebibytes
    path = directory / "warm"
    block = bytes(MEBIBYTE)
    with path.open("wb", buffering=0) as file:
        for _ in range(max(count, mebibytes)):
            file.write(block)
    path.unlink()


def free_mebibytes() -> int:
    """Memory nobody uses, not even the page cache."""
    found = re.search(r"MemFree:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return int(found[1]) // 1024 if found else 0
