"""Log directories: whose they are, what they hold, how they are left."""

from __future__ import annotations

import uuid

import pytest

from ottla.log.config import LogConfig
from ottla.log.directory import LogDirectory, read_meta_properties
from ottla.log.errors import DirectoryLocked, DirectoryRefused, ForeignDirectory, LogDirectoryFailed
from ottla.log.names import TopicPartition
from ottla.records.batch import read_header
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.memory_disk import MemoryDisk

TOPIC_ID = uuid.UUID(int=5 << 80)
DIRECTORY_ID = uuid.UUID(int=6 << 80)
CONFIG = LogConfig()
EVENTS = TopicPartition("events", 0)


def open_directory(disk: MemoryDisk, *, cluster_id: str = "here", node_id: int = 1) -> LogDirectory:
    return LogDirectory.open(
        disk,
        "/var/data",
        cluster_id=cluster_id,
        node_id=node_id,
        new_directory_id=DIRECTORY_ID,
        config_of=lambda topic: CONFIG,
        now_ms=0,
    )


def fill(directory: LogDirectory, partition: TopicPartition, count: int) -> None:
    log = directory.partitions[partition]
    for _ in range(count):
        buffer = bytearray(encode_batch([Record(0, 1000, None, b"x")]))
        log.append(buffer, [(0, read_header(buffer))], leader_epoch=0, now_ms=0)
    log.high_watermark = log.log_end_offset


def with_events(disk: MemoryDisk, count: int = 3) -> LogDirectory:
    directory = open_directory(disk)
    directory.create_partition(EVENTS, TOPIC_ID, CONFIG, now_ms=0)
    fill(directory, EVENTS, count)
    return directory


def test_a_new_directory_is_formatted() -> None:
    disk = MemoryDisk()
    assert read_meta_properties(disk, "/var/data") is None
    directory = open_directory(disk)
    assert directory.meta == ("here", 1, DIRECTORY_ID)
    assert read_meta_properties(disk, "/var/data") == directory.meta


def test_everything_is_there_again_after_a_clean_stop() -> None:
    disk = MemoryDisk()
    with_events(disk).close(broker_epoch=4)
    assert disk.read_file("/var/data/.kafka_cleanshutdown") == b'{"version":0,"brokerEpoch":4}'
    directory = open_directory(disk)
    log = directory.partitions[EVENTS]
    assert directory.was_clean
    assert not disk.exists("/var/data/.kafka_cleanshutdown")
    assert (log.topic_id, log.log_end_offset, log.high_watermark) == (TOPIC_ID, 3, 3)
    assert (log.flushed_offset, log.recovered.scanned_bytes) == (3, 0)


def test_a_crash_is_recovered_from_the_checkpoint_on() -> None:
    disk = MemoryDisk()
    crashed = with_events(disk)
    crashed.partitions[EVENTS].flush()
    crashed.checkpoint()
    assert disk.read_file("/var/data/recovery-point-offset-checkpoint") == b"0\n1\nevents 0 3\n"
    fill(crashed, EVENTS, 2)
    crashed.abandon()
    directory = open_directory(disk)
    log = directory.partitions[EVENTS]
    assert not directory.was_clean
    assert (log.log_end_offset, log.flushed_offset, log.high_watermark) == (5, 3, 3)


def test_the_log_start_is_checkpointed_where_no_file_name_tells_it() -> None:
    disk = MemoryDisk()
    directory = with_events(disk)
    directory.partitions[EVENTS].delete_records_before(2)
    directory.close()
    assert disk.read_file("/var/data/log-start-offset-checkpoint") == b"0\n1\nevents 0 2\n"
    assert open_directory(disk).partitions[EVENTS].log_start_offset == 2


def test_a_torn_checkpoint_means_checking_everything() -> None:
    disk = MemoryDisk()
    with_events(disk).abandon()
    disk.open("/var/data/recovery-point-offset-checkpoint", create=True).write([b"0\n7"], 0)
    assert open_directory(disk).partitions[EVENTS].log_end_offset == 3


def test_one_user_at_a_time() -> None:
    disk = MemoryDisk()
    first = open_directory(disk)
    with pytest.raises(DirectoryLocked):
        open_directory(disk)
    first.close()
    open_directory(disk)


def test_a_foreign_directory_is_refused_and_left_unlocked() -> None:
    disk = MemoryDisk()
    open_directory(disk).close()
    with pytest.raises(ForeignDirectory, match="belongs to cluster here, not to there"):
        open_directory(disk, cluster_id="there")
    with pytest.raises(ForeignDirectory, match="belongs to node 1, not to 2"):
        open_directory(disk, node_id=2)
    open_directory(disk)


def test_partitions_of_nobody_are_refused() -> None:
    disk = MemoryDisk()
    disk.make_directories("/var/data/events-0")
    with pytest.raises(DirectoryRefused, match=r"holds partitions \(events-0\)"):
        open_directory(disk)


def test_unreadable_meta_properties_are_refused() -> None:
    disk = MemoryDisk()
    open_directory(disk).close()
    disk.open("/var/data/meta.properties").truncate(5)
    with pytest.raises(DirectoryRefused, match=r"meta\.properties can't be used"):
        open_directory(disk)


def test_a_deleted_partition_is_renamed_and_found_as_a_leftover() -> None:
    disk = MemoryDisk()
    directory = with_events(disk)
    held = directory.partitions[EVENTS].read(0, 1000)
    target = directory.partitions[EVENTS].flush_target()
    assert target is not None
    path = directory.delete_partition(EVENTS, uuid.UUID(int=1))
    assert path == f"/var/data/events-0.{1:032x}-delete"
    assert EVENTS not in directory.partitions
    assert len(held.read()) > 0
    target.sync()
    assert directory.failure is None
    directory.close()
    assert open_directory(disk).leftovers == [path]
    disk.remove_tree(path)
    assert not disk.exists(path)


def test_a_partition_can_be_made_again_under_another_id() -> None:
    disk = MemoryDisk()
    directory = with_events(disk)
    directory.delete_partition(EVENTS, uuid.UUID(int=1))
    directory.create_partition(EVENTS, DIRECTORY_ID, CONFIG, now_ms=0)
    directory.close()
    log = open_directory(disk).partitions[EVENTS]
    assert (log.topic_id, log.log_end_offset) == (DIRECTORY_ID, 0)


def test_a_partition_whose_id_was_lost_can_be_given_it_again() -> None:
    disk = MemoryDisk()
    with_events(disk).close()
    disk.open("/var/data/events-0/partition.metadata").truncate(4)
    directory = open_directory(disk)
    assert directory.partitions[EVENTS].topic_id is None
    directory.partitions[EVENTS].set_topic_id(TOPIC_ID)
    directory.close()
    assert open_directory(disk).partitions[EVENTS].topic_id == TOPIC_ID


def test_a_failed_directory_takes_all_its_logs_offline_and_leaves_no_clean_mark() -> None:
    disk = MemoryDisk()
    directory = with_events(disk)
    other = directory.create_partition(TopicPartition("other", 1), TOPIC_ID, CONFIG, now_ms=0)
    directory.fail(OSError(5, "Input/output error"))
    with pytest.raises(LogDirectoryFailed):
        fill(directory, EVENTS, 1)
    with pytest.raises(LogDirectoryFailed):
        other.read(0, 1)
    with pytest.raises(LogDirectoryFailed):
        directory.close()
    assert not disk.exists("/var/data/.kafka_cleanshutdown")
    assert open_directory(disk).partitions[EVENTS].log_end_offset == 3
