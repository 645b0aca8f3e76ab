"""How far something is, shown on a terminal once it has taken a second."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Any

SHOWN_AFTER_SECONDS = 1.0


class Progress:
    """A bar, or a wheel where nobody knows how much there is, on standard error.

    Nothing is shown, nor imported, where standard error is no terminal or all is over before.

    Args:
        what: what is being done.
        total: how much there is; None: nobody knows.
        counts_bytes: whether it is bytes that are counted.
        is_wanted: whether it may be shown at all.
    """

    def __init__(
        self,
        what: str,
        total: int | None = None,
        *,
        counts_bytes: bool = False,
        is_wanted: bool = True,
    ) -> None:
        self._is_wanted = is_wanted
        self._what = what
        self._total = total
        self._counts_bytes = counts_bytes
        self._done = 0
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._bar: Any = None
        self._task: Any = None

    def advance(self, amount: int) -> None:
        """So much more is done."""
        self._done += amount
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)

    def __enter__(self) -> Progress:
        if self._is_wanted and sys.stderr.isatty():
            self._timer = threading.Timer(SHOWN_AFTER_SECONDS, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if self._bar is not None:
            self._bar.stop()

    def _show(self) -> None:
        """On the timer's thread."""
        from rich import progress
        from rich.console import Console

        columns: list[Any] = [progress.SpinnerColumn(), progress.TextColumn("{task.description}")]
        if self._total is not None:
            columns += [progress.BarColumn(), progress.TimeRemainingColumn()]
        if self._counts_bytes:
            columns += [progress.DownloadColumn(), progress.TransferSpeedColumn()]
        elif self._total is not None or self._done:
            columns += [progress.MofNCompleteColumn()]
        columns += [progress.TimeElapsedColumn()]
        bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
        task = bar.add_task(self._what, total=self._total, completed=self._done)
        with self._lock:
            if self._timer is None:
                return  # it is over meanwhile
            bar.start()
            self._bar, self._task = bar, task
