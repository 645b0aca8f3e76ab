"""A disk that crashes: keeps what was synced and, of the rest, what its seed decides.

The model, from what ``ports.disk`` promises and no more:

* Writes and truncations since a file's last ``sync`` are each kept, lost, or torn at the edges of
  512-byte or 4-KiB sectors, in any combination.
* Names created, renamed and removed since a directory's last ``sync_directory`` are each kept or
  lost; a rename is never half done.
* After a failed ``sync`` the unsynced bytes stay readable but never become durable, however often
  ``sync`` is called again: what Linux's page cache does.
"""

from __future__ import annotations

import errno
import os
import posixpath
import random
from collections.abc import Callable, Sequence

from ottla.ports.disk import Buffer

_SECTOR_SIZES = (512, 4096)
_FIRST_MODIFIED_MS = 1_000_000


class _Inode:
    """A file's bytes as read now, as on the platter, and what happened in between."""

    __slots__ = ("durable", "modified_ms", "now", "pending")

    def __init__(self, content: bytes = b"", modified_ms: int = _FIRST_MODIFIED_MS) -> None:
        self.now = bytearray(content)
        self.durable = bytes(content)
        self.modified_ms = modified_ms
        self.pending: list[tuple[int, bytes | None]] = []
        """(position, bytes written), or (size, ``None``) for a truncation."""

    def settle_all(self) -> None:
        """Make durable what is pending: that, and not what an earlier sync failed to write."""
        content = bytearray(self.durable)
        for position, data in self.pending:
            if data is None:
                _resize(content, position)
            else:
                _write_into(content, position, data)
        self.durable = bytes(content)
        self.pending.clear()


class _Directory:
    """Names as seen now, as on the platter, and the changes in between."""

    __slots__ = ("durable", "now", "pending")

    def __init__(self) -> None:
        self.now: dict[str, _Node] = {}
        self.durable: dict[str, _Node] = {}
        self.pending: list[tuple[tuple[str, _Node | None], ...]] = []
        """Changes of (name, what it stands for from now on); each is done wholly or not at all."""

    def change(self, *names: tuple[str, _Node | None]) -> None:
        _apply(self.now, names)
        self.pending.append(names)


_Node = _Inode | _Directory


def _apply(names: dict[str, _Node], change: tuple[tuple[str, _Node | None], ...]) -> None:
    for name, node in change:
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class SimulatedFile:
    """An open file of a ``SimulatedDisk``."""

    def __init__(self, disk: SimulatedDisk, path: str, inode: _Inode) -> None:
        self._disk = disk
        self._path = path
        self._inode = inode
        self._is_closed = False

    @property
    def path(self) -> str:
        return self._path

    def _begin(self, operation: str) -> None:
        if self._is_closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), self._path)
        self._disk.begin(operation, self._path)

    def write(self, buffers: Sequence[Buffer], position: int) -> int:
        data = b"".join(buffers)
        growth = position + len(data) - len(self._inode.now)
        room = self._disk.room_bytes()
        try:
            self._begin("write")
            if growth > room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
        except OSError:
            # A failed write may have written any part of it.
            fitting = len(data) - max(0, growth - room)
            if not self._disk.has_crashed and fitting > 0:
                self._put(data[: self._disk.random.randrange(fitting + 1)], position)
            raise
        self._put(data, position)
        return len(data)

    def _put(self, data: bytes, position: int) -> None:
        if data:
            _write_into(self._inode.now, position, data)
            self._inode.pending.append((position, data))
            self._inode.modified_ms = self._disk.tick()

    def read(self, size_bytes: int, position: int) -> bytes:
        self._begin("read")
        return bytes(self._inode.now[position : position + size_bytes])

    def size_bytes(self) -> int:
        self._begin("size")
        return len(self._inode.now)

    def truncate(self, size_bytes: int) -> None:
        self._begin("truncate")
        _resize(self._inode.now, size_bytes)
        self._inode.pending.append((size_bytes, None))
        self._inode.modified_ms = self._disk.tick()

    def sync(self) -> None:
        try:
            self._begin("sync")
        except OSError:
            self._inode.durable = self._disk.settle(self._inode)
            self._inode.pending.clear()
            raise
        self._inode.settle_all()

    def reserve(self, position: int, size_bytes: int) -> bool:
        return False

    def fileno(self) -> None:
        return None

    def close(self) -> None:
        self._is_closed = True


class SimulatedDirectoryLock:
    """Held until released or until the disk crashes."""

    def __init__(self, locked: set[str], path: str) -> None:
        self._locked = locked
        self._path = path

    def release(self) -> None:
        self._locked.discard(self._path)


class SimulatedDisk:
    """Implements ``ports.disk.Disk`` in memory, with crashes and faults under one seed.

    Args:
        seed: decides everything a crash or a fault leaves open.
        capacity_bytes: how much all files together may hold before writes get ``ENOSPC``.
    """

    def __init__(self, seed: int = 0, *, capacity_bytes: int | None = None) -> None:
        self.seed = seed
        self.random = random.Random(seed)  # noqa: S311 - reproducibility is the point
        self.capacity_bytes = capacity_bytes
        self.operations = 0
        """Calls made so far, each of which a fault may hit."""
        self.has_crashed = False
        self.on_operation: Callable[[str, str], None] | None = None
        """Called with every operation's kind and path before it happens; may raise."""
        self._root = _Directory()
        self._locked: set[str] = set()
        self._now_ms = _FIRST_MODIFIED_MS
        self._fault: tuple[int, int, bool] | None = None

    # Faults

    def fail_operation(self, number: int, error: int = errno.EIO, *, forever: bool = False) -> None:
        """Let the ``number``-th call from now on (0 is the next) fail; ``forever``: and all after.

        Args:
            error: the ``errno``, such as ``EIO`` or ``ENOSPC``.
        """
        self._fault = (self.operations + number, error, forever)

    def heal(self) -> None:
        """No more faults."""
        self._fault = None

    def begin(self, operation: str, path: str) -> None:
        """Count a call, and fail it if it is the one."""
        if self.has_crashed:
            raise OSError(errno.EIO, "The simulated disk has crashed", path)
        number = self.operations
        self.operations += 1
        if self.on_operation is not None:
            self.on_operation(operation, path)
        if self._fault is not None:
            first, error, forever = self._fault
            if number == first or (forever and number > first):
                raise OSError(error, os.strerror(error), path)

    def room_bytes(self) -> int:
        """What may still be written."""
        if self.capacity_bytes is None:
            return 1 << 62
        return self.capacity_bytes - sum(len(inode.now) for inode in _inodes(self._root))

    def tick(self) -> int:
        """A time later than all before, for modification times."""
        self._now_ms += 1
        return self._now_ms

    # Crashing

    def release_locks(self) -> None:
        """The processes that held them were killed."""
        self._locked.clear()

    def crash(self) -> SimulatedDisk:
        """The power fails: the disk as it is found afterwards. This one is dead from now on."""
        self.has_crashed = True
        after = SimulatedDisk(self.random.getrandbits(48), capacity_bytes=self.capacity_bytes)
        after._root = self._survivor(self._root, {})
        return after

    def _survivor(self, directory: _Directory, done: dict[_Inode, _Inode]) -> _Directory:
        names = dict(directory.durable)
        chance = self.random.choice((0.0, 0.5, 1.0))
        in_order = self.random.random() < 0.5
        for change in directory.pending:
            if self.random.random() < chance:
                _apply(names, change)
            elif in_order:
                # A journal keeps a prefix.
                break
        after = _Directory()
        for name, node in names.items():
            if isinstance(node, _Directory):
                after.now[name] = self._survivor(node, done)
            else:
                if node not in done:
                    done[node] = _Inode(self.settle(node), node.modified_ms)
                after.now[name] = done[node]
        after.durable = dict(after.now)
        return after

    def settle(self, inode: _Inode) -> bytes:
        """What is on the platter if the power fails now."""
        content = bytearray(inode.durable)
        chance = self.random.choice((0.0, 0.0, 0.5, 0.9, 1.0))
        grows_anyway = self.random.random() < 0.3
        for position, data in inode.pending:
            if data is None:
                if self.random.random() < chance:
                    _resize(content, position)
            else:
                self._tear(content, position, data, chance)
                if grows_anyway and position + len(data) > len(content):
                    # The size was journalled, the bytes were not: zeros.
                    _resize(content, position + len(data))
        return bytes(content)

    def _tear(self, content: bytearray, position: int, data: bytes, chance: float) -> None:
        """Write those sectors of ``data`` that were lucky."""
        sector_size = self.random.choice(_SECTOR_SIZES)
        start = 0
        while start < len(data):
            end = min(len(data), start + sector_size - (position + start) % sector_size)
            if self.random.random() < chance:
                _write_into(content, position + start, data[start:end])
            start = end

    # The file system

    def _find(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        for name in path.split("/"):
            if name:
                node = node.now.get(name) if isinstance(node, _Directory) else None
        return node

    def _directory(self, path: str) -> _Directory:
        node = self._find(path)
        if node is None:
            raise _missing(path)
        if not isinstance(node, _Directory):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return node

    def _inode(self, path: str) -> _Inode:
        node = self._find(path)
        if node is None:
            raise _missing(path)
        if isinstance(node, _Directory):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return node

    def open(self, path: str, *, create: bool = False) -> SimulatedFile:
        self.begin("open", path)
        if create and self._find(path) is None:
            parent, name = posixpath.split(path)
            self._directory(parent).change((name, _Inode(modified_ms=self.tick())))
        return SimulatedFile(self, path, self._inode(path))

    def read_file(self, path: str) -> bytes:
        self.begin("read_file", path)
        return bytes(self._inode(path).now)

    def exists(self, path: str) -> bool:
        self.begin("exists", path)
        return self._find(path) is not None

    def list_directory(self, path: str) -> list[str]:
        self.begin("list", path)
        return sorted(self._directory(path).now)

    def is_directory(self, path: str) -> bool:
        self.begin("is_directory", path)
        return isinstance(self._find(path), _Directory)

    def make_directories(self, path: str) -> None:
        self.begin("make_directories", path)
        directory = self._root
        for name in path.split("/"):
            if name:
                if name not in directory.now:
                    directory.change((name, _Directory()))
                child = directory.now[name]
                if not isinstance(child, _Directory):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
                directory = child

    def rename(self, source: str, target: str) -> None:
        self.begin("rename", source)
        node = self._find(source)
        if node is None:
            raise _missing(source)
        parent, name = posixpath.split(source)
        target_parent, target_name = posixpath.split(target)
        if parent != target_parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), target)
        self._directory(parent).change((name, None), (target_name, node))

    def remove(self, path: str) -> None:
        self.begin("remove", path)
        self._inode(path)
        parent, name = posixpath.split(path)
        self._directory(parent).change((name, None))

    def remove_tree(self, path: str) -> None:
        self.begin("remove_tree", path)
        if self._find(path) is not None:
            parent, name = posixpath.split(path)
            self._directory(parent).change((name, None))

    def sync_directory(self, path: str) -> None:
        self.begin("sync_directory", path)
        directory = self._directory(path)
        directory.durable = dict(directory.now)
        directory.pending.clear()

    def modified_ms(self, path: str) -> int:
        self.begin("modified", path)
        return self._inode(path).modified_ms

    def space_bytes(self, path: str) -> tuple[int, int]:
        self.begin("space", path)
        if self.capacity_bytes is None:
            return -1, -1
        return self.capacity_bytes, self.room_bytes()

    def lock_directory(self, path: str) -> SimulatedDirectoryLock:
        self.begin("lock", path)
        self._directory(path)
        if path in self._locked:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)
        self._locked.add(path)
        return SimulatedDirectoryLock(self._locked, path)


def _missing(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def _inodes(directory: _Directory) -> set[_Inode]:
    found: set[_Inode] = set()
    for node in directory.now.values():
        if isinstance(node, _Directory):
            found |= _inodes(node)
        else:
            found.add(node)
    return found


def _resize(content: bytearray, size_bytes: int) -> None:
    if size_bytes < len(content):
        del content[size_bytes:]
    else:
        content.extend(bytes(size_bytes - len(content)))


def _write_into(content: bytearray, position: int, data: bytes) -> None:
    if position > len(content):
        _resize(content, position)
    content[position : position + len(data)] = data
