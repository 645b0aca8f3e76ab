"""A run of batches of a log, where they lie in their file."""

from __future__ import annotations

from types import TracebackType

from ottla.log.health import DirectoryHealth
from ottla.log.segment import Segment
from ottla.ports.disk import File


class LogSlice:
    """What a read found: ``size_bytes`` from ``position`` of a segment's file.

    The file stays open while the slice lives, even when retention deletes the segment meanwhile.
    ``release`` it when sent; a slice that is forgotten releases itself.
    """

    __slots__ = ("_segment", "first_offset", "health", "position", "size_bytes")

    def __init__(
        self, segment: Segment | None, position: int, size_bytes: int, first_offset: int
    ) -> None:
        self._segment = segment
        if segment is not None:
            segment.hold()
        self.health: DirectoryHealth | None = None
        """Of the directory it lies in, where somebody keeps track of that."""
        self.position = position
        self.size_bytes = size_bytes
        self.first_offset = first_offset
        """Base offset of the first batch; the offset asked for when the slice is empty."""

    @property
    def segment(self) -> Segment | None:
        """Where it lies; ``None`` for an empty or a released slice."""
        return self._segment

    @property
    def file(self) -> File | None:
        """The segment's file; ``None`` for an empty or a released slice."""
        return None if self._segment is None else self._segment.file

    def fileno(self) -> int | None:
        """The descriptor for ``sendfile``, or ``None`` where there is none."""
        return None if self._segment is None else self._segment.file.fileno()

    def read(self) -> bytes:
        """The bytes.

        Raises:
            LogDirectoryFailed: the disk failed.
        """
        if self._segment is None:
            return b""
        try:
            return self._segment.file.read(self.size_bytes, self.position)
        except OSError as error:
            raise self.failed(error) from error

    def failed(self, error: OSError) -> Exception:
        """Take note that the disk failed under whoever sent the slice; returns what to raise."""
        return error if self.health is None else self.health.fail(error)

    def release(self) -> None:
        """The slice isn't used any more."""
        if self._segment is not None:
            self._segment.release()
            self._segment = None

    def __enter__(self) -> LogSlice:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()
