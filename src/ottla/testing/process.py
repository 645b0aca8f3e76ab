"""Ottla's broker as a child process, the way a user runs it: started, stopped, killed, restarted.

with BrokerProcess() as broker:
    produce_to(broker.bootstrap_servers)
    broker.kill()
    broker.start()      # the same data, the same port
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO

COMMAND = pathlib.Path(sys.executable).parent / "ottla"
"""The ``ottla`` command of the environment this interpreter belongs to."""


class BrokerProcessError(RuntimeError):
    """The broker's process didn't start, or died."""


class BrokerProcess:
    """A broker process on a data directory; a restart keeps both directory and port.

    Args:
        data_directory: by default a temporary one, removed by leaving the ``with`` block.
        settings: configuration as for ``--set``.
        environment: variables added to ours.
        arguments: further arguments of ``ottla broker``.
        start_timeout_seconds: how long it may take to listen.
    """

    def __init__(
        self,
        data_directory: pathlib.Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        start_timeout_seconds: float = 20,
    ) -> None:
        self._owns_directory = data_directory is None
        self.data_directory = data_directory or pathlib.Path(tempfile.mkdtemp(prefix="ottla-"))
        self.host = "127.0.0.1"
        self.port = 0
        self._settings = dict(settings or {})
        self._environment = dict(environment or {})
        self._arguments = list(arguments)
        self._start_timeout_seconds = start_timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: list[str] = []
        self._listening = threading.Event()
        self._reader: threading.Thread | None = None

    @property
    def bootstrap_servers(self) -> str:
        """``host:port``, as every client wants it."""
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            BrokerProcessError: it isn't running.
        """
        if self._process is None:
            raise BrokerProcessError("not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """Everything it printed so far, over all its starts."""
        return "".join(self._lines)

    @property
    def events(self) -> list[dict[str, object]]:
        """The log's lines that are JSON objects, in order."""
        return [event for line in list(self._lines) if (event := _as_event(line)) is not None]

    def start(self) -> None:
        """Start it and return once it listens.

        Raises:
            BrokerProcessError: it died, or didn't listen in time; the message ends with its log.
        """
        if self.is_running:
            raise BrokerProcessError("already running")
        self._listening.clear()
        process = subprocess.Popen(  # noqa: S603 - our own command
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self._environment},
        )
        self._process = process
        if process.stdout is None:
            raise BrokerProcessError("no pipe from the process")
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()
        self._wait_until_listening(process)

    def stop(self, timeout_seconds: float = 30) -> int:
        """SIGTERM; returns the exit status.

        Raises:
            BrokerProcessError: it didn't end in time (and was killed), or wasn't running.
        """
        process = self._signal(signal.SIGTERM)
        try:
            status = process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BrokerProcessError(
                f"SIGTERM didn't stop it in {timeout_seconds} s:\n{self.log[-4000:]}"
            ) from None
        self._forget()
        return status

    def kill(self) -> None:
        """SIGKILL: what a crash leaves behind."""
        self._signal(signal.SIGKILL).wait()
        self._forget()

    def restart(self) -> None:
        """Stop and start again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop it if it runs, and remove a temporary data directory."""
        try:
            if self.is_running:
                self.stop()
        finally:
            self._forget()
            if self._owns_directory:
                shutil.rmtree(self.data_directory, ignore_errors=True)

    def __enter__(self) -> BrokerProcess:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _command(self) -> list[str]:
        command = [str(COMMAND), "broker", "--data", str(self.data_directory)]
        command += ["--listen", self.bootstrap_servers, "--log-format", "json"]
        for key, value in self._settings.items():
            command += ["--set", f"{key}={value}"]
        return command + self._arguments

    def _signal(self, number: signal.Signals) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise BrokerProcessError("not running")
        self._process.send_signal(number)
        return self._process

    def _forget(self) -> None:
        if self._reader is not None:
            self._reader.join(timeout=10)
            self._reader = None
        if self._process is not None:
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def _read(self, pipe: IO[bytes]) -> None:
        for raw in pipe:
            line = raw.decode(errors="replace")
            self._lines.append(line)
            event = _as_event(line)
            if event is not None and event.get("event") == "listening":
                self.port = int(str(event["port"]))
                self._listening.set()

    def _wait_until_listening(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._start_timeout_seconds
        while not self._listening.wait(0.02):
            died = process.poll() is not None
            if died or time.monotonic() > deadline:
                what = f"exited with {process.poll()}" if died else "didn't listen in time"
                if not died:
                    self.kill()
                self._forget()
                raise BrokerProcessError(f"ottla broker {what}:\n{self.log[-4000:]}")


def _as_event(line: str) -> dict[str, object] | None:
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
