"""Records of Apache Kafka's own topics, each type in each version, as both dump tools show them."""

from __future__ import annotations

import pathlib
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.kafka_tools import JavaTools, run_ours
from ottla.testing.messages import messages
from ottla.wire import metadata_records
from ottla.wire.metadata_records import MetadataRecord, encode_record
from ottla.wire.remote_log_records import (
    EpochStart,
    RemoteLogSegmentMetadataRecord,
    RemoteLogSegmentMetadataUpdateRecord,
    RemotePartition,
    RemotePartitionDeleteMetadataRecord,
    RemoteSegmentId,
)
from ottla.wire.schema import Field, Fixed, Sized

pytestmark = [pytest.mark.jvm]

RECORD_TYPES = [
    (kind, version)
    for kind in vars(metadata_records).values()
    if isinstance(kind, type) and issubclass(kind, MetadataRecord) and kind is not MetadataRecord
    for version in kind.VERSIONS
]


def plain(field: Field) -> st.SearchStrategy[Any] | None:
    """Texts and numbers that both languages write the same way, or in a way we know."""
    if isinstance(field.type, Sized) and field.type.name == "String":
        return st.text('aZ 0é"\\/', max_size=5)
    if isinstance(field.type, Fixed) and field.type.format == "d":
        return st.sampled_from([0.0, -1.5, 1024.0, 9999999.0, 2e7, 1.25e-5, 1e300])
    return None


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("dump") / "00000000000000000000.log"


def check_same(
    java: JavaTools, segment: pathlib.Path, values: Sequence[bytes], decoder: str
) -> list[str]:
    """Both show these values the same; returns what they show."""
    records = [Record(number, 1000, None, value) for number, value in enumerate(values)]
    segment.write_bytes(encode_batch(records))
    words = ["--files", str(segment), f"--{decoder}"]
    of_java, of_ours = java.run("kafka-dump-log", words), run_ours("kafka-dump-log", words)
    assert of_ours.stdout.splitlines() == of_java.stdout.splitlines()
    assert of_ours.status == of_java.status == 0
    return of_ours.stdout.splitlines()


@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.tuples(*(messages(kind, version, override=plain) for kind, version in RECORD_TYPES)))
def test_records_of_the_cluster(
    java: JavaTools, segment: pathlib.Path, made: tuple[MetadataRecord, ...]
) -> None:
    values = [
        encode_record(record, version)
        for record, (_, version) in zip(made, RECORD_TYPES, strict=True)
    ]
    shown = check_same(java, segment, values, "cluster-metadata-decoder")
    assert sum('payload: {"type":"' in line for line in shown) == len(RECORD_TYPES) >= 26


def test_records_of_remote_segments(java: JavaTools, segment: pathlib.Path) -> None:
    where = RemotePartition(name="t-1", id=uuid.UUID(int=7), partition=3)
    which = RemoteSegmentId(topic_id_partition=where, id=uuid.UUID(int=1 << 127))
    epochs = [EpochStart(leader_epoch=0, offset=5), EpochStart(leader_epoch=4, offset=9)]
    common = {"broker_id": 2, "event_timestamp_ms": 123}
    records: list[MetadataRecord] = [
        RemoteLogSegmentMetadataRecord(
            remote_log_segment_id=which,
            start_offset=5,
            end_offset=20,
            max_timestamp_ms=99,
            segment_leader_epochs=epochs,
            segment_size_in_bytes=1 << 20,
            custom_metadata=custom,
            remote_log_segment_state=0,
            **common,
        )
        for custom in (None, b"abc")
    ]
    records += [
        RemoteLogSegmentMetadataUpdateRecord(
            remote_log_segment_id=which, remote_log_segment_state=state, **common
        )
        for state in (1, 2, 3)
    ]
    records += [
        RemotePartitionDeleteMetadataRecord(
            topic_id_partition=where, remote_partition_delete_state=state, **common
        )
        for state in (0, 1, 2)
    ]
    values = [encode_record(record, 0) for record in records]
    check_same(java, segment, values, "remote-log-metadata-decoder")


@pytest.mark.parametrize("decoder", ["cluster-metadata-decoder", "remote-log-metadata-decoder"])
def test_what_is_no_such_record_is_told(segment: pathlib.Path, decoder: str) -> None:
    values = (b"", b"\1", b"\1\x63\0", b"\1\2\0\xff", None)
    records = [Record(number, 0, None, value) for number, value in enumerate(values)]
    segment.write_bytes(encode_batch(records))
    outcome = run_ours("kafka-dump-log", ["--files", str(segment), f"--{decoder}"])
    assert outcome.status == 0
    assert outcome.stdout.count("skipping") == len(records)
