"""What the machine itself can do: the ceiling of every figure in the table."""

from __future__ import annotations

import os
import pathlib
import socket
import time
from collections.abc import Callable

from bench.peers import placed_here
from ottla.records.crc import crc32c

MEBIBYTE = 1 << 20


def loopback_mib_s(mebibytes: int, sender_cores: set[int], receiver_cores: set[int]) -> float:
    """1 MiB sends and receives over loopback TCP, one process to another, nothing else done."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = os.fork()
        if not child:
            _send_and_exit(server.getsockname(), mebibytes, sender_cores)
        with placed_here(receiver_cores):
            connection, _ = server.accept()
            with connection:
                buffer = bytearray(MEBIBYTE)
                connection.recv_into(buffer)
                start = time.perf_counter()
                received = 0
                while count := connection.recv_into(buffer):
                    received += count
                seconds = time.perf_counter() - start
    os.waitpid(child, 0)
    return received / MEBIBYTE / seconds


def append_mib_s(
    directory: pathlib.Path, mebibytes: int, cores: set[int], *, block_bytes: int = MEBIBYTE
) -> float:
    """Appends to a file, into the page cache only; the file is deleted."""
    block = os.urandom(block_bytes)
    path = directory / "append.limit"
    count = mebibytes * MEBIBYTE // block_bytes
    with placed_here(cores), path.open("wb", buffering=0) as file:
        start = time.perf_counter()
        for _ in range(count):
            file.write(block)
        seconds = time.perf_counter() - start
    path.unlink()
    return count * block_bytes / MEBIBYTE / seconds


def fdatasync_ms(directory: pathlib.Path, size_bytes: int, cores: set[int]) -> list[float]:
    """Milliseconds for an append of so many bytes to reach the disk, many times."""
    block = os.urandom(size_bytes)
    path = directory / "sync.limit"
    times = []
    with placed_here(cores), path.open("wb", buffering=0) as file:
        for _ in range(100):
            file.write(block)
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - start) * 1000)
    path.unlink()
    return times


def crc_mib_s(cores: set[int]) -> float:
    """CRC-32C of 1 MiB that is in the processor's cache."""
    block = os.urandom(MEBIBYTE)
    with placed_here(cores):
        return 1 / _best_seconds(lambda: crc32c(block))


def _send_and_exit(address: tuple[str, int], mebibytes: int, cores: set[int]) -> None:
    # The child of a fork: whatever happens, the parent's clean-up isn't its business.
    try:
        os.sched_setaffinity(0, cores)
        block = os.urandom(MEBIBYTE)
        with socket.create_connection(address) as connection:
            for _ in range(mebibytes):
                connection.sendall(block)
    finally:
        os._exit(0)


def _best_seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(50):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best
