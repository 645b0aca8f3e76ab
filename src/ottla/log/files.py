"""Whole small files: written at once or not at all."""

from __future__ import annotations

from ottla.log.names import TEMPORARY_SUFFIX
from ottla.ports.disk import Disk


def write_file(disk: Disk, path: str, data: bytes, *, sync: bool) -> None:
    """Replace a file's content. A crash may leave any part of it: for files with a checksum."""
    file = disk.open(path, create=True)
    try:
        file.write([data], 0)
        if file.size_bytes() != len(data):
            file.truncate(len(data))
        if sync:
            file.sync()
    finally:
        file.close()


def replace_file(disk: Disk, path: str, data: bytes) -> None:
    """Replace a file's content: after a crash it is the old one or the new one.

    The new one is certain only once the file's directory has been synced.
    """
    temporary = path + TEMPORARY_SUFFIX
    write_file(disk, temporary, data, sync=True)
    disk.rename(temporary, path)


def read_file_if_any(disk: Disk, path: str) -> bytes | None:
    """A file's content, or ``None`` when there is no such file."""
    try:
        return disk.read_file(path)
    except FileNotFoundError:
        return None


def remove_if_any(disk: Disk, path: str) -> None:
    """Remove a file that may be missing."""
    try:
        disk.remove(path)
    except FileNotFoundError:
        return
