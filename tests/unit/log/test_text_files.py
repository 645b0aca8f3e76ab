"""Kafka's small text files, byte for byte, and what is refused in their place."""

from __future__ import annotations

import uuid

import pytest

from ottla.log.errors import MalformedFile
from ottla.log.names import TopicPartition
from ottla.log.text_files import (
    EpochStart,
    MetaProperties,
    format_epoch_checkpoint,
    format_meta_properties,
    format_offset_checkpoint,
    format_partition_metadata,
    format_uuid,
    parse_epoch_checkpoint,
    parse_meta_properties,
    parse_offset_checkpoint,
    parse_partition_metadata,
    parse_uuid,
)

TOPIC_ID = uuid.UUID("d6f5b0a0-7c39-4d5b-8c55-0a8dfe0cf0fb")


def test_a_uuid_is_22_characters_of_base64url() -> None:
    text = format_uuid(TOPIC_ID)
    assert (len(text), parse_uuid(text)) == (22, TOPIC_ID)


@pytest.mark.parametrize("text", ["", "AAAA", "not/base64url+but64...", "ü" * 22, "A" * 23])
def test_other_text_is_no_uuid(text: str) -> None:
    with pytest.raises(MalformedFile):
        parse_uuid(text)


def test_partition_metadata_has_no_final_newline() -> None:
    data = format_partition_metadata(TOPIC_ID)
    assert data == b"version: 0\ntopic_id: " + format_uuid(TOPIC_ID).encode()
    assert parse_partition_metadata(data) == TOPIC_ID


@pytest.mark.parametrize("data", [b"", b"version: 1\ntopic_id: x", b"version: 0", b"\xff\x00"])
def test_torn_partition_metadata_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedFile):
        parse_partition_metadata(data)


def test_offset_checkpoints_round_trip_in_kafkas_layout() -> None:
    offsets = {TopicPartition("a-b", 0): 7, TopicPartition("c", 12): 2**62}
    data = format_offset_checkpoint(offsets)
    assert data == f"0\n2\na-b 0 7\nc 12 {2**62}\n".encode()
    assert parse_offset_checkpoint(data) == offsets
    assert parse_offset_checkpoint(b"0\n0\n") == {}


def test_epoch_checkpoints_round_trip_in_kafkas_layout() -> None:
    entries = [EpochStart(0, 0), EpochStart(3, 100)]
    assert format_epoch_checkpoint(entries) == b"0\n2\n0 0\n3 100\n"
    assert parse_epoch_checkpoint(b"0\n2\n0 0\n3 100\n") == entries


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1\n0\n",
        b"0\n2\nt 0 5\n",
        b"0\n1\nt 0\n",
        b"0\n1\nt zero 5\n",
        b"0\nmany\n",
        b"\xff\xfe",
        b"0\n1\nt 0 \xd9\xa5\n",
    ],
)
def test_a_checkpoint_that_is_torn_or_foreign_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedFile):
        parse_offset_checkpoint(data)


def test_meta_properties_round_trip() -> None:
    meta = MetaProperties("cluster", 3, TOPIC_ID)
    assert parse_meta_properties(format_meta_properties(meta)) == meta


def test_meta_properties_of_java_are_read() -> None:
    text = "#\n#Mon Jan 01 00:00:00 UTC 2026\nversion=1\ncluster.id=a\\:b\nnode.id=2\n"
    assert parse_meta_properties(text.encode()) == MetaProperties("a:b", 2, None)
    old = b"version=0\nbroker.id=4\ncluster.id=x\n"
    assert parse_meta_properties(old) == MetaProperties("x", 4, None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"version=2\ncluster.id=x\nnode.id=1",
        b"version=1\nnode.id=1",
        b"version=1\ncluster.id=x",
    ],
)
def test_incomplete_meta_properties_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedFile):
        parse_meta_properties(data)
