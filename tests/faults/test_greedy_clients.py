"""Clients that take more than their share: memory stays bounded, and the others go on."""

from __future__ import annotations

import contextlib
import resource
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from ottla.records.batch import iter_complete_headers
from ottla.records.compression import Codec
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.process import BrokerProcess
from ottla.testing.process_memory import (
    open_socket_count,
    peak_resident_bytes,
    reset_peak,
    resident_bytes,
)
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import batch_of, produce, produce_request, send_produce
from ottla.testing.steady_client import SteadyClient
from ottla.testing.topics import create_topic
from ottla.testing.waiting import eventually
from ottla.wire.api.k01_fetch import FetchRequest, PartitionToFetch, TopicToFetch
from ottla.wire.api.k03_metadata import MetadataRequest
from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinProtocol
from ottla.wire.api.k12_heartbeat import HeartbeatRequest
from ottla.wire.api.k16_list_groups import ListGroupsRequest
from ottla.wire.errors import ErrorCode
from ottla.wire.frames import encode_request

MIB = 1024 * 1024
HEARTBEAT_ANSWER_BYTES = 16
MakeBroker = Callable[..., BrokerProcess]


@pytest.fixture
def broker(make_broker: MakeBroker) -> BrokerProcess:
    # Its own for each test: memory that was freed but kept would hide the next test's.
    running = make_broker(settings={"group.initial.rebalance.delay.ms": "0"})
    create_topic(running.bootstrap_servers, "steady", 1, {})
    create_topic(running.bootstrap_servers, "bombs", 1, {"max.message.bytes": str(64 * MIB)})
    return running


@pytest.fixture
def large(broker: BrokerProcess) -> str:
    """A topic of 64 MiB."""
    create_topic(broker.bootstrap_servers, "large", 1, {})
    with Connection(broker.bootstrap_servers) as connection:
        for _ in range(64):
            produce(connection, "large", 0, batch_of([bytes(1000 * 1024)]))
    return "large"


class Watch:
    """How much the broker's memory grew, and how the well-behaved client fared."""

    def __init__(self, broker: BrokerProcess, steady: SteadyClient) -> None:
        self._pid = broker.pid
        self._before = resident_bytes(broker.pid)
        reset_peak(broker.pid)
        self.steady = steady

    @property
    def grown_bytes(self) -> int:
        """The peak over what it was."""
        return peak_resident_bytes(self._pid) - self._before


@pytest.fixture
def watch(broker: BrokerProcess) -> Iterator[Watch]:
    sockets = open_socket_count(broker.pid)
    with SteadyClient(broker.bootstrap_servers, "steady") as steady:
        watching = Watch(broker, steady)
        yield watching
        steady.wait_for_rounds(2)
    assert steady.failure is None, steady.failure
    print(
        f"memory +{watching.grown_bytes / MIB:.1f} MiB at the peak,"
        f" slowest steady round {steady.slowest_seconds:.3f} s"
    )
    assert broker.is_running
    assert "Traceback" not in broker.log, broker.log[-4000:]
    eventually(
        lambda: open_socket_count(broker.pid) <= sockets,
        what="the end of the sockets of closed connections",
    )


@contextlib.contextmanager
def connections(broker: BrokerProcess, count: int) -> Iterator[list[socket.socket]]:
    """Bare connections."""
    address = (broker.host, broker.port)
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(count)
        ]


def fetch_frame(topic: str, max_bytes: int, max_wait_ms: int = 0, offset: int = 0) -> bytes:
    request = fetch_request(topic, max_bytes, max_wait_ms, offset)
    return encode_request(request, 12, correlation_id=1, client_id=None)


def fetch_request(
    topic: str, max_bytes: int, max_wait_ms: int = 0, offset: int = 0
) -> FetchRequest:
    wanted = PartitionToFetch(partition=0, fetch_offset=offset, partition_max_bytes=max_bytes)
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        max_bytes=max_bytes,
        topics=[TopicToFetch(topic=topic, partitions=[wanted])],
    )


@pytest.mark.parametrize("codec", [each for each in Codec if each is not Codec.NONE])
def test_decompression_bombs_are_refused_while_they_unpack(
    codec: Codec, broker: BrokerProcess, watch: Watch
) -> None:
    bomb = encode_batch([Record(0, 1, None, bytes(300 * MIB))], codec=codec)
    with Connection(broker.bootstrap_servers) as connection:
        for _ in range(3):
            refused = produce(connection, "bombs", 0, bomb)
            assert refused.error_code in (
                ErrorCode.MESSAGE_TOO_LARGE,
                ErrorCode.INVALID_RECORD,
                ErrorCode.CORRUPT_MESSAGE,
            )
    # 128 MiB may be unpacked, a growing buffer is copied once, and the request itself is there.
    assert watch.grown_bytes < 330 * MIB + 2 * len(bomb)


def test_half_sent_large_frames_share_one_budget(broker: BrokerProcess, watch: Watch) -> None:
    piece = struct.pack(">i", 100 * MIB) + bytes(4 * MIB)
    before = len(broker.events)
    with connections(broker, 250) as greedy:
        for connection in greedy:
            with contextlib.suppress(ConnectionError):
                connection.sendall(piece)
        watch.steady.wait_for_rounds(10)
        lines = len(broker.events) - before
    assert watch.grown_bytes < 700 * MIB
    assert lines <= 250


def test_readers_that_never_read_large_fetches(
    broker: BrokerProcess, large: str, watch: Watch
) -> None:
    greedy_frames = fetch_frame(large, 60 * MIB) * 20
    with connections(broker, 40) as greedy:
        for connection in greedy:
            connection.sendall(greedy_frames)
        watch.steady.wait_for_rounds(30)
        assert watch.grown_bytes < 100 * MIB


def test_readers_that_never_read_small_answers(broker: BrokerProcess, watch: Watch) -> None:
    frames = 30_000 * encode_request(
        MetadataRequest(topics=None), 12, correlation_id=1, client_id=None
    )
    with connections(broker, 20) as greedy:
        senders = [
            threading.Thread(target=_send_what_fits, args=(connection, frames))
            for connection in greedy
        ]
        for sender in senders:
            sender.start()
        watch.steady.wait_for_rounds(20)
        for connection in greedy:
            connection.shutdown(socket.SHUT_RDWR)
        for sender in senders:
            sender.join()
        assert watch.grown_bytes < 100 * MIB


def test_readers_that_never_read_a_large_fetch_behind_small_ones(
    broker: BrokerProcess, large: str, watch: Watch
) -> None:
    # What small answers left unsent must not make the broker copy a large one into memory. How
    # much the sockets take is the system's affair: try from nothing to more than enough.
    with Connection(broker.bootstrap_servers) as connection:
        produce(connection, "bombs", 0, batch_of([bytes(30_000)]))
    small, answer_bytes = fetch_frame("bombs", MIB), 30_000
    with connections(broker, 40) as greedy:
        for index, connection in enumerate(greedy):
            count = index * MIB // 4 // answer_bytes
            connection.sendall(small * count + fetch_frame(large, 60 * MIB))
        watch.steady.wait_for_rounds(50)
        assert watch.grown_bytes < 100 * MIB


def test_a_reader_that_reads_late_gets_every_answer_whole(
    broker: BrokerProcess, large: str, watch: Watch
) -> None:
    with Connection(broker.bootstrap_servers) as connection:
        produce(connection, "bombs", 0, batch_of([b"small" * 6000]))
    for small_count in (1, 100, 160, 250):
        topics = (["bombs"] * small_count + [large]) * 3
        with Connection(broker.bootstrap_servers) as late:
            for topic in topics:
                late.send(fetch_request(topic, 20 * MIB), 12)
            watch.steady.wait_for_rounds(3)
            for topic in topics:
                [fetched] = late.receive().responses[0].partitions
                assert fetched.error_code == 0
                headers = list(iter_complete_headers(bytes(fetched.records)))
                for position, _ in headers:
                    decode_records(bytes(fetched.records), position)
                assert len(headers) == (1 if topic == "bombs" else 20)


def _send_what_fits(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(data)


def test_readers_of_many_small_partitions_that_never_read(
    broker: BrokerProcess, watch: Watch
) -> None:
    create_topic(broker.bootstrap_servers, "wide", 100, {})
    with Connection(broker.bootstrap_servers) as connection:
        batches = {index: batch_of([bytes(30_000)]) for index in range(100)}
        connection.ask(produce_request("wide", batches), 12)
    partitions = [
        PartitionToFetch(partition=index, fetch_offset=0, partition_max_bytes=MIB)
        for index in range(100)
    ]
    request = FetchRequest(
        max_wait_ms=0,
        min_bytes=1,
        max_bytes=60 * MIB,
        topics=[TopicToFetch(topic="wide", partitions=partitions)],
    )
    frame = encode_request(request, 12, correlation_id=1, client_id=None)
    with connections(broker, 100) as greedy:
        for connection in greedy:
            connection.sendall(frame * 20)
        watch.steady.wait_for_rounds(20)
        # Each connection may have one answer under way, 3 MiB here.
        assert watch.grown_bytes < 450 * MIB


def test_ten_thousand_idle_connections(make_broker: MakeBroker) -> None:
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 500:
        pytest.skip(f"no more than {hard} open files are allowed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    broker = make_broker()
    create_topic(broker.bootstrap_servers, "steady", 1, {})
    with SteadyClient(broker.bootstrap_servers, "steady") as steady:
        before = resident_bytes(broker.pid)
        with connections(broker, count) as idle:
            greeting = encode_request(
                MetadataRequest(topics=[]), 12, correlation_id=1, client_id="idle"
            )
            for connection in idle[::2]:
                connection.sendall(greeting)
            for connection in idle[::2]:
                assert connection.recv(4096)
            steady.wait_for_rounds(10)
            each_bytes = (resident_bytes(broker.pid) - before) / count
        steady.wait_for_rounds(10)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(f"{each_bytes:.0f} bytes per idle connection")
    assert steady.failure is None, steady.failure
    assert each_bytes < 8 * 1024
    assert not [each for each in broker.events if each["level"] != "info"]


def test_one_byte_at_a_time(broker: BrokerProcess, watch: Watch) -> None:
    request = encode_request(MetadataRequest(topics=[]), 12, correlation_id=1, client_id="slow")
    with connections(broker, 100) as slow:
        for index in range(len(request)):
            for connection in slow:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(request[index : index + 1])
        for connection in slow:
            assert connection.recv(4096)
    assert watch.grown_bytes < 20 * MIB


def test_connections_that_come_and_go(broker: BrokerProcess, watch: Watch) -> None:
    lines = len(broker.events)
    halves = [b"", b"\0\0", struct.pack(">i", 1000) + bytes(10), fetch_frame("steady", MIB)]
    for index in range(2000):
        with socket.create_connection((broker.host, broker.port)) as connection:
            connection.sendall(halves[index % len(halves)])
    watch.steady.wait_for_rounds(5)
    assert watch.grown_bytes < 30 * MIB
    assert len(broker.events) == lines


def test_clients_that_leave_while_they_are_parked(
    broker: BrokerProcess, large: str, watch: Watch
) -> None:
    ready_group(broker, "left-alone")
    join = JoinGroupRequest(
        group_id="left-alone",
        session_timeout_ms=10_000,
        rebalance_timeout_ms=60_000,
        member_id="",
        protocol_type="consumer",
        protocols=[JoinProtocol(name="range", metadata=b"")],
    )
    parked_join = encode_request(join, 3, correlation_id=1, client_id="leaver")
    parked_fetch = fetch_frame(large, MIB, max_wait_ms=3000, offset=64)
    unanswered = encode_request(
        produce_request("bombs", {0: batch_of([b"x" * 1000])}), 12, correlation_id=1, client_id=""
    )
    lines = len(broker.events)
    for frame in (parked_join, parked_fetch, unanswered):
        with connections(broker, 100) as leaving:
            for connection in leaving:
                connection.sendall(frame)
    watch.steady.wait_for_rounds(10)
    assert watch.grown_bytes < 50 * MIB
    assert len(broker.events) <= lines + 1


def ready_group(broker: BrokerProcess, group: str) -> None:
    """Wait until the group's coordinator answers."""
    with Connection(broker.bootstrap_servers) as connection:
        eventually(
            lambda: (
                connection.ask(FindCoordinatorRequest(coordinator_keys=[group]), 4)
                .coordinators[0]
                .error_code
                == 0
            ),
            what="a coordinator",
        )


def test_large_member_metadata_and_group_ids(broker: BrokerProcess, watch: Watch) -> None:
    ready_group(broker, "large")
    with Connection(broker.bootstrap_servers) as connection:
        for group, size in (("large", MIB), ("g" * 32_000, 10), ("large-too", 40 * MIB)):
            join = JoinGroupRequest(
                group_id=group,
                session_timeout_ms=10_000,
                rebalance_timeout_ms=10_000,
                member_id="",
                protocol_type="consumer",
                protocols=[JoinProtocol(name="range", metadata=bytes(size))],
            )
            code = ErrorCode(connection.ask(join, 3).error_code)
            print(len(group), size, code.name)
        assert connection.ask(MetadataRequest(topics=[]), 12).brokers
    watch.steady.wait_for_rounds(5)
    assert watch.grown_bytes < 400 * MIB


def test_floods_of_heartbeats(broker: BrokerProcess, watch: Watch) -> None:
    ready_group(broker, "flooded")
    beat = HeartbeatRequest(group_id="flooded", generation_id=1, member_id="nobody")
    frame = encode_request(beat, 4, correlation_id=1, client_id="flood")
    with connections(broker, 3) as flooding:
        senders = [
            threading.Thread(target=_send_what_fits, args=(connection, frame * 5000))
            for connection in flooding
        ]
        for sender in senders:
            sender.start()
        watch.steady.wait_for_rounds(20)
        answers = [0, 0, 0]
        for index, connection in enumerate(flooding):
            while answers[index] < 5000 * HEARTBEAT_ANSWER_BYTES:
                answers[index] += len(connection.recv(65536))
        for sender in senders:
            sender.join()
    assert watch.grown_bytes < 50 * MIB


def test_five_thousand_partitions_in_one_request(broker: BrokerProcess, watch: Watch) -> None:
    batch = batch_of([b"x" * 100])
    with Connection(broker.bootstrap_servers) as connection:
        request = produce_request("bombs", dict.fromkeys(range(5000), batch))
        send_produce(connection, request)
        [topic] = connection.receive().responses
    codes = [each.error_code for each in topic.partition_responses]
    assert codes == [0] + [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION] * 4999
    assert watch.grown_bytes < 50 * MIB


def test_connections_with_very_long_client_ids(broker: BrokerProcess, watch: Watch) -> None:
    greeting = encode_request(ListGroupsRequest(), 4, correlation_id=1, client_id="x" * 32_000)
    count = 1000
    with connections(broker, count) as greedy:
        for connection in greedy:
            connection.sendall(greeting)
            assert connection.recv(4096)
        assert watch.grown_bytes / count < 8 * 1024
