"""File and directory names."""

from __future__ import annotations

import pytest

from ottla.log.names import (
    TopicPartition,
    marked_directory,
    marked_directory_suffix,
    offset_name,
    parse_offset_name,
    parse_partition_directory,
)


def test_offsets_have_20_digits() -> None:
    assert offset_name(42, ".log") == "00000000000000000042.log"
    assert parse_offset_name("00000000000000000042.log", ".log") == 42
    assert parse_offset_name("00000000000000000042.log.deleted", ".log") is None
    assert parse_offset_name("x.log", ".log") is None
    assert parse_offset_name("99999999999999999999.log", ".log") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("events-0", TopicPartition("events", 0)),
        ("a-b-12", TopicPartition("a-b", 12)),
        ("__consumer_offsets-49", TopicPartition("__consumer_offsets", 49)),
        ("events", None),
        ("events-", None),
        ("events-01", None),
        ("events--1", TopicPartition("events-", 1)),
        ("__cluster_metadata-0", None),
        ("events-99999999999", None),
        ("a b-0", None),
        ("x" * 250 + "-0", None),
    ],
)
def test_partition_directories(name: str, expected: TopicPartition | None) -> None:
    assert parse_partition_directory(name) == expected


def test_directories_on_their_way_out_are_no_partitions() -> None:
    name = marked_directory(TopicPartition("events", 3), "0" * 32, "-delete")
    assert name == "events-3." + "0" * 32 + "-delete"
    assert marked_directory_suffix(name) == "-delete"
    assert parse_partition_directory(name) is None
    assert marked_directory_suffix("events-3") is None


def test_a_long_topic_still_fits_into_a_file_name() -> None:
    name = marked_directory(TopicPartition("t" * 249, 123), "0" * 32, "-delete")
    assert len(name) == 255
    assert marked_directory_suffix(name) == "-delete"
