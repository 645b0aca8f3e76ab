"""Bytes that are no request, and requests that can't be granted: Kafka's error or the end of the
connection, one log line, and the clients beside notice nothing."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from ottla.records.batch import CRC_POSITION, HEADER_SIZE_BYTES
from ottla.records.compression import Codec
from ottla.records.crc import crc32c
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.process import BrokerProcess
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import batch_of, list_offset, produce
from ottla.testing.steady_client import SteadyClient
from ottla.testing.topics import create_topic
from ottla.testing.waiting import eventually
from ottla.wire.api.k03_metadata import MetadataRequest, TopicToDescribe
from ottla.wire.api.k18_api_versions import ApiVersionsRequest
from ottla.wire.api.k19_create_topics import CreateTopicsRequest, TopicToCreate
from ottla.wire.errors import ErrorCode

TOPIC = "spoilt"
LATEST = -1


@pytest.fixture(scope="module")
def broker() -> Iterator[BrokerProcess]:
    with BrokerProcess() as running:
        create_topic(running.bootstrap_servers, TOPIC, 1, {})
        create_topic(running.bootstrap_servers, "steady", 1, {})
        yield running


@pytest.fixture(scope="module")
def steady(broker: BrokerProcess) -> Iterator[SteadyClient]:
    with SteadyClient(broker.bootstrap_servers, "steady") as client:
        yield client


@pytest.fixture(autouse=True)
def others_go_on(broker: BrokerProcess, steady: SteadyClient) -> Iterator[None]:
    yield
    steady.wait_for_rounds(2)
    assert steady.failure is None, steady.failure
    assert broker.is_running
    assert "Traceback" not in broker.log


def frame(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def header(key: int, version: int, client_id: bytes = b"\x00\x01c") -> bytes:
    return struct.pack(">hhi", key, version, 7) + client_id


METADATA, PRODUCE, FETCH, JOIN_GROUP = 3, 0, 1, 11
NOT_REQUESTS = {
    "negative size": struct.pack(">i", -1),
    "oversized": struct.pack(">i", 100 * 1024 * 1024 + 1),
    "largest size": struct.pack(">i", 2**31 - 1),
    "empty frame": frame(b""),
    "one byte": frame(b"\0"),
    "HTTP": b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
    "TLS": bytes.fromhex("16030102000100 01fc0303".replace(" ", "")) + bytes(500),
    "unknown API": frame(header(9999, 0)),
    "negative API": frame(header(-1, 0)),
    "unknown version": frame(header(METADATA, 99)),
    "negative version": frame(header(METADATA, -1)),
    "an API for brokers": frame(header(4, 0)),
    "no client id": frame(header(METADATA, 1, b"")),
    "client id goes on": frame(header(METADATA, 1, b"\x7f\xff")),
    "client id of length -2": frame(header(METADATA, 1, b"\xff\xfe")),
    "client id not UTF-8": frame(header(METADATA, 1, b"\x00\x02\xff\xff")),
    "huge array": frame(header(METADATA, 1) + b"\x7f\xff\xff\xff"),
    "array of length -2": frame(header(METADATA, 1) + b"\xff\xff\xff\xfe"),
    "huge compact array": frame(header(METADATA, 9) + b"\0\xff\xff\xff\xff\x0f"),
    "endless varint": frame(header(METADATA, 9) + b"\0" + b"\xff" * 20),
    "huge tag count": frame(header(METADATA, 9) + b"\xff\xff\xff\xff\x0f"),
    "tag goes on": frame(header(METADATA, 9) + b"\x01\x00\xff\xff\xff\xff\x07"),
    "nothing after the header": frame(header(PRODUCE, 9) + b"\0"),
    "nested huge arrays": frame(
        header(FETCH, 4) + bytes(17) + b"\x00\x00\x00\x01\x00\x01t\x7f\xff\xff\xff"
    ),
    "huge bytes": frame(
        header(JOIN_GROUP, 1)
        + b"\x00\x01g"
        + bytes(8)
        + b"\x00\x00\x00\x08consumer\x00\x00\x00\x01\x00\x01r\x7f\xff\xff\xff"
    ),
}


@pytest.mark.parametrize("data", NOT_REQUESTS.values(), ids=NOT_REQUESTS.keys())
def test_what_is_no_request_ends_the_connection_with_one_line(
    data: bytes, broker: BrokerProcess
) -> None:
    before = len(broker.events)
    with Connection(broker.bootstrap_servers, timeout_seconds=10) as connection:
        connection.send_bytes(data)
        assert connection.is_closed_by_broker()
    lines = eventually(lambda: broker.events[before:], what="a log line")
    assert len(lines) == 1
    assert lines[0]["level"] == "warning"
    assert "closing 127.0.0.1" in str(lines[0]["message"])


def test_a_truncated_frame_is_forgotten_with_its_connection(broker: BrokerProcess) -> None:
    before = len(broker.events)
    with Connection(broker.bootstrap_servers) as connection:
        connection.send_bytes(frame(header(METADATA, 1) + bytes(4))[:-3])
    with Connection(broker.bootstrap_servers) as connection:
        connection.ask(MetadataRequest(topics=[]), 1)
    assert len(broker.events) == before


def test_an_unknown_version_of_api_versions_is_answered(broker: BrokerProcess) -> None:
    with Connection(broker.bootstrap_servers) as connection:
        connection.send(ApiVersionsRequest(), 0)
        connection.receive()
        connection.send_bytes(frame(header(18, 99)))
        answer = connection.receive_frame()
        assert struct.unpack_from(">ih", answer) == (7, ErrorCode.UNSUPPORTED_VERSION)
        connection.ask(ApiVersionsRequest(), 4)


@pytest.mark.parametrize("version", [10, 11])
def test_topic_ids_in_versions_that_cannot_answer_them(version: int, broker: BrokerProcess) -> None:
    # The response of these versions has no room for a topic without a name.
    with Connection(broker.bootstrap_servers) as connection:
        request = MetadataRequest(topics=[TopicToDescribe(name=None), TopicToDescribe(name="a")])
        topics = connection.ask(request, version).topics
    assert [each.error_code for each in topics] == [ErrorCode.INVALID_REQUEST] * 2


def stamped(batch: bytes, position: int, data: bytes) -> bytes:
    """The batch with other bytes and the checksum that belongs to them."""
    changed = bytearray(batch)
    changed[position : position + len(data)] = data
    changed[CRC_POSITION : CRC_POSITION + 4] = crc32c(changed[21:]).to_bytes(4, "big")
    return bytes(changed)


def compressed(codec: Codec) -> bytes:
    return encode_batch([Record(index, 1, None, b"v" * 50) for index in range(10)], codec=codec)


RECORD_COUNT_POSITION, LAST_OFFSET_DELTA_POSITION = 57, 23
PLAIN = batch_of([b"value"] * 10)
MANY = (1_000_000).to_bytes(4, "big")
BAD_BATCHES = {
    "bad CRC": (PLAIN[:-1] + b"\x7f", ErrorCode.CORRUPT_MESSAGE),
    "no magic": (PLAIN[:16] + b"\x63" + PLAIN[17:], ErrorCode.CORRUPT_MESSAGE),
    "count lies": (stamped(PLAIN, RECORD_COUNT_POSITION, MANY), ErrorCode.INVALID_RECORD),
    "count and offsets lie": (
        stamped(
            stamped(PLAIN, RECORD_COUNT_POSITION, MANY),
            LAST_OFFSET_DELTA_POSITION,
            (999_999).to_bytes(4, "big"),
        ),
        ErrorCode.INVALID_RECORD,
    ),
    "count is zero": (stamped(PLAIN, RECORD_COUNT_POSITION, bytes(4)), ErrorCode.INVALID_RECORD),
    "count is negative": (
        stamped(PLAIN, RECORD_COUNT_POSITION, b"\xff\xff\xff\xff"),
        ErrorCode.INVALID_RECORD,
    ),
    "record length lies": (stamped(PLAIN, HEADER_SIZE_BYTES, b"\x7e"), ErrorCode.INVALID_RECORD),
    "a control batch": (stamped(PLAIN, 21, b"\x00\x20"), ErrorCode.INVALID_RECORD),
    "two batches": (PLAIN * 2, ErrorCode.INVALID_RECORD),
    "over max.message.bytes": (batch_of([bytes(1024) * 1100]), ErrorCode.MESSAGE_TOO_LARGE),
    **{
        f"count lies, {codec.name}": (
            stamped(
                stamped(compressed(codec), RECORD_COUNT_POSITION, MANY),
                LAST_OFFSET_DELTA_POSITION,
                (999_999).to_bytes(4, "big"),
            ),
            ErrorCode.INVALID_RECORD,
        )
        for codec in Codec
    },
    **{
        f"garbage, {codec.name}": (
            stamped(compressed(codec), HEADER_SIZE_BYTES, b"\xfa\xce\x0f\xf0" * 6),
            ErrorCode.CORRUPT_MESSAGE,
        )
        for codec in Codec
        if codec is not Codec.NONE
    },
}


@pytest.mark.parametrize(("batch", "code"), BAD_BATCHES.values(), ids=BAD_BATCHES.keys())
def test_a_bad_batch_is_refused_and_the_connection_goes_on(
    batch: bytes, code: ErrorCode, broker: BrokerProcess
) -> None:
    before = len(broker.events)
    with Connection(broker.bootstrap_servers) as connection:
        end = list_offset(connection, TOPIC, 0, LATEST)
        produced = produce(connection, TOPIC, 0, batch)
        assert (ErrorCode(produced.error_code), produced.base_offset) == (code, -1)
        assert list_offset(connection, TOPIC, 0, LATEST) == end
        assert produce(connection, TOPIC, 0, PLAIN).error_code == 0
    assert len(broker.events) <= before + 1


def test_acks_must_be_one_that_exists(broker: BrokerProcess) -> None:
    with Connection(broker.bootstrap_servers) as connection:
        produced = produce(connection, TOPIC, 0, PLAIN, acks=2)
        assert produced.error_code == ErrorCode.INVALID_REQUIRED_ACKS


ILLEGAL_NAMES = ["", ".", "..", "a/b", "a b", "é", "x" * 250, "a\0b", "../../etc/passwd"]


@pytest.mark.parametrize("name", ILLEGAL_NAMES, ids=ascii)
def test_an_illegal_topic_name_creates_nothing(name: str, broker: BrokerProcess) -> None:
    with Connection(broker.bootstrap_servers) as connection:
        wanted = TopicToCreate(
            name=name, num_partitions=1, replication_factor=1, assignments=[], configs=[]
        )
        [created] = connection.ask(CreateTopicsRequest(topics=[wanted]), 7).topics
        assert created.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
        [described] = connection.ask(
            MetadataRequest(topics=[TopicToDescribe(name=name)]), 12
        ).topics
        assert described.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
        produced = produce(connection, name, 0, PLAIN)
        assert produced.error_code in (
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        )
    known = {"meta.properties", ".lock", "metadata.db", TOPIC + "-0", "steady-0"}
    strange = [
        each.name
        for each in broker.data_directory.iterdir()
        if each.name not in known and not each.name.startswith(("__consumer_offsets-", "metadata"))
    ]
    assert not [each for each in strange if "checkpoint" not in each], strange
