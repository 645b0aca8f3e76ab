"""The file system as an argument.

Every call blocks and raises ``OSError`` as the operating system does. What is *durable* is stated
call by call, because the simulated disk loses everything else when it crashes:

* bytes written to a file survive a power cut once ``File.sync`` has returned;
* a name (created, renamed, removed) survives once ``Disk.sync_directory`` of its directory has.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Sequence
from typing import Protocol

Buffer = bytes | bytearray | memoryview


class File(Protocol):
    """An open file, read and written at explicit positions."""

    @property
    def path(self) -> str: ...

    def write(self, buffers: Sequence[Buffer], position: int) -> int:
        """Write all of the buffers one after another at ``position``; returns the bytes written.

        Either every byte is written or ``OSError`` is raised (after which the file's tail is
        undefined from ``position`` on).
        """
        ...

    def read(self, size_bytes: int, position: int) -> bytes:
        """Up to ``size_bytes`` from ``position``; shorter only at the end of the file."""
        ...

    def size_bytes(self) -> int: ...

    def truncate(self, size_bytes: int) -> None:
        """Cut or extend (with zeros) the file to ``size_bytes``."""
        ...

    def reserve(self, position: int, size_bytes: int) -> bool:
        """Set blocks aside for bytes to be written from ``position`` on, beyond the file's size,
        which stays; ``truncate`` gives them back. Whether the file system could."""
        ...

    def sync(self) -> None:
        """Make the file's bytes and size durable (``fdatasync``)."""
        ...

    def fileno(self) -> int | None:
        """The operating system's descriptor for ``sendfile``, or ``None`` where there is none."""
        ...

    def close(self) -> None: ...


class DirectoryLock(Protocol):
    """Holds a directory for this process until released."""

    def release(self) -> None: ...


class Disk(Protocol):
    """A tree of directories and files; paths are absolute strings."""

    def open(self, path: str, *, create: bool = False) -> File:
        """Open for reading and writing; ``create`` makes the file when it is missing.

        Raises:
            FileNotFoundError: the file is missing and ``create`` is false.
        """
        ...

    def read_file(self, path: str) -> bytes: ...

    def exists(self, path: str) -> bool: ...

    def list_directory(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        ...

    def is_directory(self, path: str) -> bool: ...

    def make_directories(self, path: str) -> None:
        """Create a directory and its parents; no error when it exists."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Atomically give ``source`` the name ``target``, replacing a file of that name."""
        ...

    def remove(self, path: str) -> None:
        """Remove one file."""
        ...

    def remove_tree(self, path: str) -> None:
        """Remove a directory and all below it; no error when it is missing."""
        ...

    def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable."""
        ...

    def modified_ms(self, path: str) -> int:
        """When a file was last written, in milliseconds since the Unix epoch."""
        ...

    def space_bytes(self, path: str) -> tuple[int, int]:
        """Total and usable bytes of the file system that holds ``path``; (-1, -1) if unknown."""
        ...

    def lock_directory(self, path: str) -> DirectoryLock:
        """Take the directory's ``.lock`` file.

        Raises:
            BlockingIOError: another process (or another lock of this one) holds it.
        """
        ...


# Freeing the blocks of so many bytes takes milliseconds, of a GiB a tenth of a second.
_LONG_TO_FREE_BYTES = 16 * 1024 * 1024
# Linux refuses more buffers than this in one call (UIO_MAXIOV).
_MAX_BUFFERS_PER_WRITE = 1024


class SystemFile:
    """A descriptor of the operating system."""

    __slots__ = ("_descriptor", "_path")

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @property
    def path(self) -> str:
        return self._path

    def write(self, buffers: Sequence[Buffer], position: int) -> int:
        if len(buffers) == 1:
            total = len(buffers[0])
            written = os.pwrite(self._descriptor, buffers[0], position)
        else:
            total = sum(map(len, buffers))
            written = 0
            if len(buffers) <= _MAX_BUFFERS_PER_WRITE:
                written = os.pwritev(self._descriptor, buffers, position)
        if written == total:
            return total
        # A short write (signal, nearly full disk) is rare: join what is left and insist.
        rest = memoryview(b"".join(buffers))[written:]
        while rest:
            count = os.pwrite(self._descriptor, rest, position + written)
            written += count
            rest = rest[count:]
        return total

    def read(self, size_bytes: int, position: int) -> bytes:
        return os.pread(self._descriptor, size_bytes, position)

    def size_bytes(self) -> int:
        return os.fstat(self._descriptor).st_size

    def truncate(self, size_bytes: int) -> None:
        os.ftruncate(self._descriptor, size_bytes)

    def reserve(self, position: int, size_bytes: int) -> bool:
        # Imported with the first use: most files are never reserved for.
        from ottla.ports.reserve import reserve

        return reserve(self._descriptor, position, size_bytes)

    def sync(self) -> None:
        _sync_data(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        status = os.fstat(descriptor)
        if status.st_nlink == 0 and status.st_size >= _LONG_TO_FREE_BYTES:
            # Removed while somebody still read or flushed it: the last close frees the blocks.
            threading.Thread(target=os.close, args=(descriptor,), name="close").start()
        else:
            os.close(descriptor)


# macOS has no fdatasync; fsync is its nearest equivalent.
_sync_data = getattr(os, "fdatasync", os.fsync)


class SystemDirectoryLock:
    """``flock`` on ``.lock``, as Kafka's own brokers hold their log directories."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class SystemDisk:
    """The machine's file system."""

    def open(self, path: str, *, create: bool = False) -> SystemFile:
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return SystemFile(path, os.open(path, flags, 0o644))

    def read_file(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def list_directory(self, path: str) -> list[str]:
        return sorted(os.listdir(path))

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(path)

    def make_directories(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)

    def rename(self, source: str, target: str) -> None:
        os.replace(source, target)

    def remove(self, path: str) -> None:
        os.remove(path)

    def remove_tree(self, path: str) -> None:
        # Imported with the first use: the archive formats it brings along cost every start.
        import shutil

        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)

    def sync_directory(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def modified_ms(self, path: str) -> int:
        return os.stat(path).st_mtime_ns // 1_000_000

    def space_bytes(self, path: str) -> tuple[int, int]:
        facts = os.statvfs(path)
        return facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize

    def lock_directory(self, path: str) -> SystemDirectoryLock:
        lock_path = os.path.join(path, ".lock")
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            # Java's FileChannel.lock is a POSIX record lock; lockf sees and is seen by it.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(descriptor)
            raise
        return SystemDirectoryLock(descriptor)
