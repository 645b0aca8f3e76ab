"""What a restart reads: nothing of the log after a clean stop, its unflushed end after any other.

How long it takes is the benchmarks' affair.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest

from ottla.testing.process import BrokerProcess
from ottla.testing.process_memory import read_bytes
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import LATEST, batch_of, list_offset, produce
from ottla.testing.topics import create_topic

MIB = 1024 * 1024
SEGMENT_BYTES = 8 * MIB
SEGMENTS = 8
# Python's modules, the metadata, the last batches of each log.
STARTING_READS_BYTES = 20 * MIB
MakeBroker = Callable[..., BrokerProcess]


@pytest.fixture
def filled(make_broker: MakeBroker, tmp_path: pathlib.Path) -> BrokerProcess:
    broker = make_broker(tmp_path / "data")
    create_topic(broker.bootstrap_servers, "large", 1, {"segment.bytes": str(SEGMENT_BYTES)})
    batch = batch_of([bytes(1000) * 1000])
    with Connection(broker.bootstrap_servers) as connection:
        for _ in range(SEGMENTS * SEGMENT_BYTES // len(batch)):
            assert produce(connection, "large", 0, batch).error_code == 0
    return broker


def end_offset(broker: BrokerProcess) -> int:
    with Connection(broker.bootstrap_servers) as connection:
        return list_offset(connection, "large", 0, LATEST)


def test_a_clean_restart_does_not_read_the_log(filled: BrokerProcess) -> None:
    end = end_offset(filled)
    filled.restart()
    assert end_offset(filled) == end
    assert read_bytes(filled.pid) < STARTING_READS_BYTES


def test_a_restart_after_a_crash_reads_from_the_recovery_point(filled: BrokerProcess) -> None:
    end = end_offset(filled)
    # A clean start knows that everything is durable, and writes so down when it ends.
    filled.restart()
    filled.kill()
    filled.start()
    assert end_offset(filled) == end
    assert read_bytes(filled.pid) < STARTING_READS_BYTES + 2 * SEGMENT_BYTES
