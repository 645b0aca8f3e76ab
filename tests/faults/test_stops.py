"""Stops of every kind: orderly ones under load and under siege, and deaths while starting."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from random import Random

import pytest

from ottla.testing.crash_drill import CrashDrill
from ottla.testing.freezing import freeze
from ottla.testing.process import COMMAND, BrokerProcess
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import batch_of, fetch, list_offset, produce
from ottla.testing.topics import create_topic
from ottla.wire.api.k01_fetch import FetchRequest, PartitionToFetch, TopicToFetch
from ottla.wire.frames import encode_request

MIB = 1024 * 1024
MakeBroker = Callable[..., BrokerProcess]


@pytest.mark.slow
def test_orderly_stops_under_load_lose_nothing(make_broker: MakeBroker, random: Random) -> None:
    broker = make_broker(settings={"group.initial.rebalance.delay.ms": "0"})
    statuses: list[int] = []
    drill = CrashDrill(broker, random)
    drill.run(lambda: statuses.append(broker.stop()), 6)
    assert not drill.problems, "\n".join(drill.problems[:20])
    assert statuses == [0] * 6
    assert not [each for each in broker.events if each["level"] == "error"]


def test_a_stop_waits_for_nobody(make_broker: MakeBroker, tmp_path: pathlib.Path) -> None:
    broker = make_broker(tmp_path / "data")
    create_topic(broker.bootstrap_servers, "large", 1, {})
    with Connection(broker.bootstrap_servers) as connection:
        for _ in range(16):
            produce(connection, "large", 0, batch_of([bytes(1000 * 1024)]))
    frames = [
        # Never read, parked for a minute, never finished, a byte of nothing.
        fetch_frame(offset=0, max_wait_ms=0) * 20,
        fetch_frame(offset=16, max_wait_ms=60_000),
        (50 * MIB).to_bytes(4, "big") + bytes(MIB),
        b"\0",
    ]
    clinging = []
    for index in range(80):
        connected = socket.create_connection((broker.host, broker.port), timeout=10)
        connected.sendall(frames[index % len(frames)])
        clinging.append(connected)
    assert broker.stop(timeout_seconds=10) == 0
    for connected in clinging:
        connected.close()
    assert (broker.data_directory / ".kafka_cleanshutdown").exists()
    assert "Traceback" not in broker.log
    broker.start()
    with Connection(broker.bootstrap_servers) as connection:
        assert list_offset(connection, "large", 0, -1) == 16


def fetch_frame(*, offset: int, max_wait_ms: int) -> bytes:
    wanted = PartitionToFetch(partition=0, fetch_offset=offset, partition_max_bytes=50 * MIB)
    request = FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        max_bytes=50 * MIB,
        topics=[TopicToFetch(topic="large", partitions=[wanted])],
    )
    return encode_request(request, 12, correlation_id=1, client_id=None)


@pytest.mark.slow
def test_a_death_in_the_first_moments_leaves_a_directory_that_starts(
    random: Random, tmp_path: pathlib.Path
) -> None:
    for number in range(12):
        directory = tmp_path / str(number)
        first = subprocess.Popen(
            [str(COMMAND), "broker", "--data", str(directory), "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # From before the first file to after the last.
        threading.Event().wait(0.04 + random.random() * 0.16)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        with BrokerProcess(directory) as broker:
            create_topic(broker.bootstrap_servers, "first", 1, {})
            with Connection(broker.bootstrap_servers) as connection:
                assert produce(connection, "first", 0, batch_of([b"x"])).error_code == 0
                assert fetch(connection, "first", 0, 0).high_watermark == 1
            assert "Traceback" not in broker.log, broker.log
            assert broker.stop() == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="signals a stopped process")
def test_a_paused_broker_carries_on(make_broker: MakeBroker, random: Random) -> None:
    broker = make_broker(settings={"group.initial.rebalance.delay.ms": "0"})

    def pause() -> None:
        freeze(broker.pid)
        threading.Event().wait(0.5)
        os.kill(broker.pid, signal.SIGCONT)
        broker.kill()

    drill = CrashDrill(broker, random)
    drill.run(pause, 3)
    assert not drill.problems, "\n".join(drill.problems[:20])
