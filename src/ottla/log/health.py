"""Whether a log directory's disk can still be trusted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

from ottla.log.errors import LogDirectoryFailed

_logger = logging.getLogger(__name__)


class DirectoryHealth:
    """Shared by all logs of a directory: the first disk error takes every one of them offline.

    Nothing is retried: after a failed ``fsync`` the kernel may have dropped the unsynced pages and
    reports success from then on.
    """

    __slots__ = ("_lock", "failure", "on_failure", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self.failure: LogDirectoryFailed | None = None
        self.on_failure: Callable[[LogDirectoryFailed], object] | None = None
        """Called once, in the thread that meets the failure."""

    def fail(self, error: OSError) -> LogDirectoryFailed:
        """Note the error; returns what to raise."""
        with self._lock:
            is_first = self.failure is None
            if self.failure is None:
                self.failure = LogDirectoryFailed(f"Log directory {self.path} is offline: {error}")
        if is_first:
            _logger.error("%s (until the broker is restarted)", self.failure)
            if self.on_failure is not None:
                self.on_failure(self.failure)
        return self.failure

    def check(self) -> None:
        """Raise ``LogDirectoryFailed`` once the directory has failed."""
        if self.failure is not None:
            raise self.failure

    def __enter__(self) -> None:
        """Guard a block that uses the disk: refused after a failure, its ``OSError`` is one."""
        self.check()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            raise self.fail(error) from error
