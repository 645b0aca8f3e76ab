"""What another process takes: memory, sockets, bytes read. Linux only (``/proc``)."""

from __future__ import annotations

import pathlib


def resident_bytes(pid: int) -> int:
    """Memory resident now."""
    return _status_bytes(pid, "VmRSS")


def peak_resident_bytes(pid: int) -> int:
    """The most that was resident since the start or the last `reset_peak`."""
    return _status_bytes(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Let `peak_resident_bytes` begin anew."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def open_socket_count(pid: int) -> int:
    """Sockets open."""
    count = 0
    for each in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            count += each.readlink().name.startswith("socket:")
        except FileNotFoundError:
            # Closed while we looked.
            continue
    return count


def read_bytes(pid: int) -> int:
    """Bytes the process has read so far, from the page cache or from disks."""
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("rchar:"):
            return int(line.split()[1])
    raise ValueError(f"no rchar in /proc/{pid}/io")


def _status_bytes(pid: int, name: str) -> int:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no {name} in /proc/{pid}/status")
