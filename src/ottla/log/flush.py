"""What has to reach the disk for a log to be durable up to an offset."""

from __future__ import annotations

from collections.abc import Callable

from ottla.log.files import replace_file
from ottla.log.health import DirectoryHealth
from ottla.log.segment import Segment
from ottla.ports.disk import Disk


class FlushTarget:
    """A snapshot of what was not durable when it was taken.

    ``sync`` may run in any thread while the log goes on appending; everything else belongs to the
    thread that owns the log. Once synced, every offset below ``end_offset`` survives a power cut.
    """

    __slots__ = (
        "_active",
        "_directories",
        "_disk",
        "_health",
        "_is_deleted",
        "_is_released",
        "_replacements",
        "_sealed",
        "_unsynced_paths",
        "end_offset",
        "generation",
        "names_version",
    )

    def __init__(
        self,
        disk: Disk,
        health: DirectoryHealth,
        *,
        end_offset: int,
        sealed: list[Segment],
        active: Segment | None,
        unsynced_paths: list[str],
        replacements: list[tuple[str, bytes]],
        directories: list[str],
        generation: int,
        names_version: int,
        is_deleted: Callable[[], bool],
    ) -> None:
        self._disk = disk
        self._health = health
        self._is_deleted = is_deleted
        self._sealed = sealed
        self._active = active
        self._unsynced_paths = unsynced_paths
        self._replacements = replacements
        self._directories = directories
        self._is_released = False
        self.end_offset = end_offset
        self.generation = generation
        """How often the log had been truncated: an older target says nothing about a newer log."""
        self.names_version = names_version
        for segment in self._segments:
            segment.hold()
            # Opened here, because files are opened in the owner's thread only.
            _ = segment.file

    @property
    def _segments(self) -> list[Segment]:
        return self._sealed if self._active is None else [*self._sealed, self._active]

    @property
    def sealed(self) -> list[Segment]:
        """The segments that are durable for good once the target is."""
        return self._sealed

    def sync(self) -> None:
        """Make everything durable, the oldest bytes first.

        Raises:
            OSError: the disk failed; the log directory is offline from now on.
        """
        try:
            for segment in self._sealed:
                segment.file.sync()
                segment.sync_indexes()
            if self._active is not None:
                self._active.file.sync()
            for path in self._unsynced_paths:
                self._sync_path(path)
            for path, data in self._replacements:
                replace_file(self._disk, path, data)
            for directory in self._directories:
                self._disk.sync_directory(directory)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and self._is_deleted():
                # The partition's directory was renamed under our feet: nobody needs it any more.
                return
            self._health.fail(error)
            raise

    def _sync_path(self, path: str) -> None:
        try:
            file = self._disk.open(path)
        except FileNotFoundError:
            # Retention removed it meanwhile; what it said is no longer needed.
            return
        try:
            file.sync()
        finally:
            file.close()

    def release(self) -> None:
        """Let go of the segments' files."""
        if not self._is_released:
            self._is_released = True
            for segment in self._segments:
                segment.release()

    def __del__(self) -> None:
        self.release()


class Unsynced:
    """What of a log is not durable yet, apart from the active segment's bytes.

    Names are counted, not listed: creating, renaming or removing a file makes the directory's
    version newer than the synced one.
    """

    __slots__ = ("_directories", "_generation", "_names_version", "_paths", "_sealed", "_synced")

    def __init__(self) -> None:
        self._sealed: list[Segment] = []
        self._paths: list[str] = []
        self._directories: list[str] = []
        self._names_version = self._synced = 0
        self._generation = 0

    @property
    def has_new_names(self) -> bool:
        return self._names_version != self._synced

    def note_names(self) -> None:
        """A file of the partition's directory was created, renamed or removed."""
        self._names_version += 1

    def note_directory(self, path: str) -> None:
        """Another directory has to be synced, too: the parent of a new partition."""
        self._directories.append(path)
        self._names_version += 1

    def note_path(self, path: str) -> None:
        """A whole file was written."""
        self._paths.append(path)
        self._names_version += 1

    def note_sealed(self, segment: Segment) -> None:
        """A segment gets no more batches; its indexes were written."""
        self._sealed.append(segment)
        self._names_version += 1

    def note_truncated(self) -> None:
        """Targets taken before say nothing any more."""
        self._generation += 1
        self._names_version += 1

    def forget(self, segment: Segment) -> None:
        """A segment is deleted: nobody needs it to be durable."""
        if segment in self._sealed:
            self._sealed.remove(segment)
        self._names_version += 1

    def target(
        self,
        disk: Disk,
        health: DirectoryHealth,
        directory: str,
        *,
        end_offset: int,
        active: Segment | None,
        replacements: list[tuple[str, bytes]],
        is_deleted: Callable[[], bool],
    ) -> FlushTarget:
        """All of it as a target; what was noted for once is in this target only."""
        has_new_names = self.has_new_names or bool(replacements)
        paths, self._paths = self._paths, []
        return FlushTarget(
            disk,
            health,
            end_offset=end_offset,
            sealed=list(self._sealed),
            active=active,
            unsynced_paths=paths,
            replacements=replacements,
            directories=[directory, *self._directories] if has_new_names else [],
            generation=self._generation,
            names_version=self._names_version,
            is_deleted=is_deleted,
        )

    def synced(self, target: FlushTarget) -> bool:
        """A target is durable; returns whether its end offset still means anything."""
        if target.generation != self._generation:
            return False
        for segment in target.sealed:
            if segment in self._sealed:
                self._sealed.remove(segment)
        if target.names_version == self._names_version:
            self._directories.clear()
        self._synced = max(self._synced, target.names_version)
        return True
