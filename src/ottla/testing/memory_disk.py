"""A disk in memory: fast, durable for nobody, gone with its process."""

from __future__ import annotations

import errno
import posixpath
import threading
from collections.abc import Sequence

from ottla.ports.clock import Clock, SystemClock
from ottla.ports.disk import Buffer


def file_missing(path: str) -> FileNotFoundError:
    """The operating system's error for a missing file or directory."""
    return FileNotFoundError(errno.ENOENT, "No such file or directory", path)


class _Content:
    """What a file's name stands for; it lives on for those who have it open."""

    __slots__ = ("data", "modified_ms")

    def __init__(self, modified_ms: int) -> None:
        self.data = bytearray()
        self.modified_ms = modified_ms


class MemoryFile:
    """An open file of a ``MemoryDisk``."""

    __slots__ = ("_clock", "_content", "_path")

    def __init__(self, path: str, content: _Content, clock: Clock) -> None:
        self._path = path
        self._content = content
        self._clock = clock

    @property
    def path(self) -> str:
        return self._path

    def write(self, buffers: Sequence[Buffer], position: int) -> int:
        data = self._content.data
        if position > len(data):
            data.extend(bytes(position - len(data)))
        start = position
        for buffer in buffers:
            data[position : position + len(buffer)] = buffer
            position += len(buffer)
        self._content.modified_ms = self._clock.wall_ms()
        return position - start

    def read(self, size_bytes: int, position: int) -> bytes:
        return bytes(self._content.data[position : position + size_bytes])

    def size_bytes(self) -> int:
        return len(self._content.data)

    def truncate(self, size_bytes: int) -> None:
        data = self._content.data
        if size_bytes < len(data):
            del data[size_bytes:]
        else:
            data.extend(bytes(size_bytes - len(data)))
        self._content.modified_ms = self._clock.wall_ms()

    def sync(self) -> None:
        """Nothing outlives the process, so nothing has to be done."""

    def reserve(self, position: int, size_bytes: int) -> bool:
        return False

    def fileno(self) -> None:
        return None

    def close(self) -> None:
        """The content stays as long as its name does."""


class MemoryDirectoryLock:
    """One holder per directory of one ``MemoryDisk``."""

    def __init__(self, locked: set[str], path: str) -> None:
        self._locked = locked
        self._path = path

    def release(self) -> None:
        self._locked.discard(self._path)


class MemoryDisk:
    """Implements ``ports.disk.Disk``. Threads may use it as they use the operating system's."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._files: dict[str, _Content] = {}
        self._directories: dict[str, set[str]] = {"/": set()}
        self._locked: set[str] = set()
        self._names_lock = threading.Lock()

    def open(self, path: str, *, create: bool = False) -> MemoryFile:
        with self._names_lock:
            content = self._files.get(path)
            if content is None:
                parent, name = posixpath.split(path)
                if not create or parent not in self._directories:
                    raise file_missing(path)
                content = self._files[path] = _Content(self._clock.wall_ms())
                self._directories[parent].add(name)
        return MemoryFile(path, content, self._clock)

    def _content(self, path: str) -> _Content:
        content = self._files.get(path)
        if content is None:
            raise file_missing(path)
        return content

    def read_file(self, path: str) -> bytes:
        return bytes(self._content(path).data)

    def exists(self, path: str) -> bool:
        return path in self._files or path in self._directories

    def list_directory(self, path: str) -> list[str]:
        with self._names_lock:
            if path not in self._directories:
                raise file_missing(path)
            return sorted(self._directories[path])

    def is_directory(self, path: str) -> bool:
        return path in self._directories

    def make_directories(self, path: str) -> None:
        with self._names_lock:
            while path not in self._directories:
                self._directories[path] = set()
                parent, name = posixpath.split(path)
                if parent in self._directories:
                    self._directories[parent].add(name)
                    return
                self._directories[parent] = {name}
                path = parent

    def rename(self, source: str, target: str) -> None:
        with self._names_lock:
            if source in self._files:
                self._files[target] = self._files.pop(source)
            elif source in self._directories:
                self._rename_tree(source, target)
            else:
                raise file_missing(source)
            parent, name = posixpath.split(source)
            self._directories[parent].discard(name)
            parent, name = posixpath.split(target)
            self._directories[parent].add(name)

    def _rename_tree(self, source: str, target: str) -> None:
        below = source + "/"
        for path in [path for path in self._files if path.startswith(below)]:
            self._files[target + path[len(source) :]] = self._files.pop(path)
        for path in [path for path in self._directories if path.startswith(below)]:
            self._directories[target + path[len(source) :]] = self._directories.pop(path)
        self._directories[target] = self._directories.pop(source)

    def remove(self, path: str) -> None:
        with self._names_lock:
            if self._files.pop(path, None) is None:
                raise file_missing(path)
            parent, name = posixpath.split(path)
            self._directories[parent].discard(name)

    def remove_tree(self, path: str) -> None:
        with self._names_lock:
            below = path + "/"
            for each in [each for each in self._files if each.startswith(below)]:
                del self._files[each]
            for each in [each for each in self._directories if each.startswith(below)]:
                del self._directories[each]
            if self._directories.pop(path, None) is not None:
                parent, name = posixpath.split(path)
                self._directories[parent].discard(name)

    def sync_directory(self, path: str) -> None:
        if path not in self._directories:
            raise file_missing(path)

    def modified_ms(self, path: str) -> int:
        return self._content(path).modified_ms

    def space_bytes(self, path: str) -> tuple[int, int]:
        return -1, -1

    def lock_directory(self, path: str) -> MemoryDirectoryLock:
        if path not in self._directories:
            raise file_missing(path)
        if path in self._locked:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable", path)
        self._locked.add(path)
        return MemoryDirectoryLock(self._locked, path)
