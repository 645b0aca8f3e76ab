"""Blocks set aside ahead of steady appends: they are few, and are given back."""

from __future__ import annotations

import os
import pathlib
import uuid

import pytest

from ottla.log.config import LogConfig
from ottla.log.names import TopicPartition
from ottla.log.partition_log import PartitionLog
from ottla.log.recovery import OpenRequest
from ottla.ports.disk import SystemDisk, SystemFile
from ottla.records.batch import iter_headers
from ottla.records.encode import encode_batch
from ottla.records.record import Record

MIB = 1024 * 1024
NAME = TopicPartition("events", 0)
CONFIG = LogConfig(max_message_bytes=2 * MIB, segment_bytes=1024 * MIB)


def idle_bytes(log: PartitionLog) -> int:
    """What the log's files take on the disk beyond their sizes."""
    facts = [os.stat(each) for each in pathlib.Path(log.directory).glob("*.log")]
    return sum(each.st_blocks * 512 - each.st_size for each in facts)


def append_mebibytes(log: PartitionLog, count: int) -> None:
    batch = bytearray(encode_batch([Record(0, 1, None, bytes(MIB - 100))]))
    for _ in range(count):
        log.append(batch, list(iter_headers(batch)), leader_epoch=0, now_ms=1)


@pytest.fixture
def log(tmp_path: pathlib.Path) -> PartitionLog:
    path = str(tmp_path / str(NAME))
    log = PartitionLog.create(SystemDisk(), path, CONFIG, NAME, uuid.uuid4(), now_ms=1)
    append_mebibytes(log, 18)
    if idle_bytes(log) < MIB:
        pytest.skip("this file system can't set blocks aside")
    return log


def test_at_most_a_quarter_is_set_aside(log: PartitionLog) -> None:
    assert idle_bytes(log) <= log.size_bytes // 4 + MIB  # whole blocks
    log.close()


def test_a_small_log_sets_nothing_aside(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / str(NAME))
    log = PartitionLog.create(SystemDisk(), path, CONFIG, NAME, uuid.uuid4(), now_ms=1)
    append_mebibytes(log, 10)
    assert idle_bytes(log) < MIB
    log.close()


def test_a_full_segment_and_a_closed_log_give_it_back(log: PartitionLog) -> None:
    log.roll(now_ms=1)
    assert idle_bytes(log) < MIB
    append_mebibytes(log, 18)
    assert idle_bytes(log) > MIB
    log.close()
    assert idle_bytes(log) < MIB


def test_a_segment_that_fills_up_has_little_to_give_back(tmp_path: pathlib.Path) -> None:
    truncated = []

    class File(SystemFile):
        def truncate(self, size_bytes: int) -> None:
            truncated.append(size_bytes)
            super().truncate(size_bytes)

    class Disk(SystemDisk):
        def open(self, path: str, *, create: bool = False) -> SystemFile:
            flags = os.O_RDWR | (os.O_CREAT if create else 0)
            return File(path, os.open(path, flags))

    path = str(tmp_path / str(NAME))
    config = CONFIG._replace(segment_bytes=24 * MIB)
    log = PartitionLog.create(Disk(), path, config, NAME, uuid.uuid4(), now_ms=1)
    append_mebibytes(log, 25)
    assert log.segment_count == 2
    assert idle_bytes(log) < MIB
    assert truncated == []
    log.close()


def test_what_a_killed_broker_set_aside_is_given_back_by_recovery(log: PartitionLog) -> None:
    log.close_files()
    again = PartitionLog.open(
        SystemDisk(),
        log.directory,
        CONFIG,
        NAME,
        log.topic_id,
        OpenRequest(recovery_point=0, log_start_offset=0, was_clean=False, now_ms=1),
    )
    assert again.log_end_offset == 18
    assert idle_bytes(again) < MIB
    again.close()
