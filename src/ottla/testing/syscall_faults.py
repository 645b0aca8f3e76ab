"""Disk errors in a running process, one system call at a time, by ``strace --inject``.

with SyscallFault(broker.pid, "fdatasync", "error=EIO:when=3", path=segment, log=tmp / "trace"):
    produce_until_it_fails()
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
from types import TracebackType

from ottla.testing.waiting import eventually


def why_unavailable() -> str | None:
    """Why system calls can't be made to fail here, or None when they can."""
    if shutil.which("strace") is None:
        return "no strace command"
    scope = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")
    if os.geteuid() != 0 and scope.exists() and scope.read_text().strip() != "0":
        return "tracing another process needs root here (kernel.yama.ptrace_scope)"
    return None


class SyscallFault:
    """Injects a fault into every thread of a process while the block lasts.

    Args:
        syscall: its name, as strace knows it.
        fault: what follows ``inject=...:`` in strace's manual: ``error=EIO:when=3``,
            ``delay_exit=200000``.
        path: only calls on this file.
        log: where strace writes what it saw.
    """

    def __init__(
        self, pid: int, syscall: str, fault: str, *, log: pathlib.Path, path: str | None = None
    ) -> None:
        executable = shutil.which("strace") or "strace"
        self._log = log
        self._command = [executable, "--follow-forks", f"--attach={pid}", f"--output={log}"]
        self._command += [f"--trace={syscall}", f"--inject={syscall}:{fault}"]
        if path is not None:
            self._command += [f"--trace-path={path}", "--decode-fds=path"]
        self._process: subprocess.Popen[str] | None = None

    @property
    def calls(self) -> list[str]:
        """The calls seen so far, one line each."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [line for line in lines if "(" in line and "resumed>" not in line]

    def __enter__(self) -> SyscallFault:
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            self._command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if self._process.stderr is None:
            raise OSError("no pipe from strace")
        # It says so once it has stopped every thread; before that nothing is injected.
        said = self._process.stderr.readline()
        if "attached" not in said:
            self.__exit__(None, None, None)
            raise OSError(f"strace: {said}")
        return self

    def wait_for_call(self) -> None:
        """Wait until the process has made such a call."""
        eventually(lambda: self.calls, what="the system call")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()
