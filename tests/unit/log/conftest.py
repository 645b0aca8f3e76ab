"""A log on a disk in memory, and batches to put into it."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from ottla.log.config import LogConfig
from ottla.log.names import TopicPartition
from ottla.log.partition_log import AppendOrigin, PartitionLog
from ottla.log.recovery import OpenRequest
from ottla.records.batch import iter_headers
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.memory_disk import MemoryDisk

DIRECTORY = "/data/events-0"
NOW_MS = 10_000


class LogUnderTest:
    """Makes, opens and fills the log of one partition."""

    def __init__(self) -> None:
        self.disk = MemoryDisk()
        self.config = LogConfig(segment_bytes=1000, index_interval_bytes=100)
        self.name = TopicPartition("events", 0)
        self.log = PartitionLog.create(
            self.disk, DIRECTORY, self.config, self.name, uuid.UUID(int=1 << 70), now_ms=NOW_MS
        )

    def batch(self, *values: bytes, timestamp_ms: int = 1000, **fields: int) -> bytearray:
        records = [
            Record(number, timestamp_ms + number, None, value)
            for number, value in enumerate(values)
        ]
        return bytearray(encode_batch(records, **fields))  # type: ignore[arg-type]

    def append(
        self,
        buffer: bytearray,
        *,
        leader_epoch: int = 0,
        now_ms: int = NOW_MS,
        origin: AppendOrigin = AppendOrigin.CLIENT,
    ) -> tuple[int, int]:
        appended = self.log.append(
            buffer, list(iter_headers(buffer)), leader_epoch=leader_epoch, now_ms=now_ms,
            origin=origin,
        )  # fmt: skip
        self.log.high_watermark = self.log.log_end_offset
        return appended.first_offset, appended.last_offset

    def fill(self, count: int, size_bytes: int = 100) -> None:
        """One batch of one record per offset, a millisecond apart."""
        for number in range(count):
            value = number.to_bytes(4, "big").ljust(size_bytes, b".")
            self.append(self.batch(value, timestamp_ms=1000 + number))

    def reopen(
        self, *, was_clean: bool, recovery_point: int = 0, log_start_offset: int = 0
    ) -> PartitionLog:
        self.log.close_files()
        self.log = PartitionLog.open(
            self.disk,
            DIRECTORY,
            self.config,
            self.name,
            None,
            OpenRequest(recovery_point, log_start_offset, was_clean, NOW_MS),
        )
        return self.log

    def names(self, suffix: str) -> list[str]:
        return [name for name in self.disk.list_directory(DIRECTORY) if name.endswith(suffix)]

    def path(self, name: str) -> str:
        return f"{DIRECTORY}/{name}"


@pytest.fixture
def under_test() -> LogUnderTest:
    return LogUnderTest()


@pytest.fixture
def offsets_in() -> Callable[[bytes], list[int]]:
    """Base offsets of the complete batches in a slice's bytes."""

    def base_offsets(data: bytes) -> list[int]:
        from ottla.records.batch import iter_complete_headers

        return [header.base_offset for _, header in iter_complete_headers(data)]

    return base_offsets
