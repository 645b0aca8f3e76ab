"""Request frames built in advance, and what the replies to them must look like."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from ottla.records.encode import BatchBuilder
from ottla.testing.protocol import Connection
from ottla.wire.api.k00_produce import (
    PartitionToProduce,
    ProduceRequest,
    ProduceResponse,
    TopicToProduce,
)
from ottla.wire.api.k01_fetch import FetchRequest, FetchResponse, PartitionToFetch, TopicToFetch
from ottla.wire.api.k03_metadata import MetadataRequest, MetadataResponse, TopicToDescribe
from ottla.wire.api.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse
from ottla.wire.declare import Message, Struct
from ottla.wire.errors import ErrorCode
from ottla.wire.frames import ResponseHeader, encode_request

ACKS_ALL = -1
# Versions both brokers speak, the newest in which topics are named.
_PRODUCE_VERSION, _FETCH_VERSION, _METADATA_VERSION, _API_VERSIONS_VERSION = 12, 12, 12, 4
_CLIENT_ID = "bench"
_CORRELATION_ID = 7
_LENGTH_BYTES = 4
_TIMEOUT_MS = 30_000


class UnexpectedReply(RuntimeError):  # noqa: N818 - it says what came
    """A broker answered something else than success."""


class Request(NamedTuple):
    """A request as bytes, and the class and version of the reply to it."""

    frame: bytes
    reply_class: type[Message]
    version: int


class ReplyShape(NamedTuple):
    """What all good replies to a request have in common."""

    size_bytes: int
    """With the length prefix."""
    error_positions: tuple[int, ...]
    """Where error codes are: bytes that are zero in a good reply."""


class Batch(NamedTuple):
    """A record batch and how much it holds."""

    data: bytes
    record_count: int


def batch_of(record_bytes: int, *, max_bytes: int) -> Batch:
    """A batch of as many records with values of ``record_bytes`` as ``max_bytes`` holds."""
    builder = BatchBuilder(max_bytes)
    now_ms = int(time.time() * 1000)
    # Incompressible or not makes no difference here: nothing is compressed.
    value = bytes(range(256)) * (record_bytes // 256 + 1)
    while builder.append(None, value[:record_bytes], timestamp_ms=now_ms):
        pass
    return Batch(builder.close(), builder.record_count)


def single_record(record_bytes: int) -> Batch:
    """A batch of one record."""
    builder = BatchBuilder()
    builder.append(None, b"v" * record_bytes, timestamp_ms=int(time.time() * 1000))
    return Batch(builder.close(), 1)


def produce(topic: str, batches: Sequence[tuple[int, Batch]]) -> Request:
    """Produce with ``acks=all``: a batch to each of some partitions."""
    partitions = [PartitionToProduce(index=index, records=batch.data) for index, batch in batches]
    message = ProduceRequest(
        acks=ACKS_ALL,
        timeout_ms=_TIMEOUT_MS,
        topic_data=[TopicToProduce(name=topic, partition_data=partitions)],
    )
    return _request(message, _PRODUCE_VERSION, ProduceResponse)


def fetch(topic: str, offsets: Sequence[tuple[int, int]], *, partition_bytes: int) -> Request:
    """Fetch without a session and without waiting: from an offset of each of some partitions."""
    partitions = [
        PartitionToFetch(partition=index, fetch_offset=offset, partition_max_bytes=partition_bytes)
        for index, offset in offsets
    ]
    message = FetchRequest(
        max_wait_ms=0,
        min_bytes=1,
        topics=[TopicToFetch(topic=topic, partitions=partitions)],
    )
    return _request(message, _FETCH_VERSION, FetchResponse)


def metadata(topic: str) -> Request:
    """Metadata of one topic."""
    message = MetadataRequest(topics=[TopicToDescribe(name=topic)], allow_auto_topic_creation=False)
    return _request(message, _METADATA_VERSION, MetadataResponse)


def api_versions() -> Request:
    """What a client asks first."""
    message = ApiVersionsRequest(client_software_name="bench", client_software_version="1")
    return _request(message, _API_VERSIONS_VERSION, ApiVersionsResponse)


def ask(bootstrap_servers: str, request: Request) -> Any:
    """Send a request on a connection of its own; returns the decoded reply.

    Raises:
        UnexpectedReply: it holds an error code.
    """
    return _ask(bootstrap_servers, request)[1]


def learn_shape(bootstrap_servers: str, request: Request) -> ReplyShape:
    """Ask once, check the answer in full, and tell what the next answers must look like.

    Raises:
        UnexpectedReply: the answer holds an error code, or isn't what our codec would send.
    """
    frame, reply, body_position = _ask(bootstrap_servers, request)
    body = reply.encode(request.version)
    if body != frame[body_position:]:
        raise UnexpectedReply(f"{type(reply).__name__} has bytes of unknown meaning")
    _set_error_codes(reply, -1)
    marked = reply.encode(request.version)
    differing = (index for index, (a, b) in enumerate(zip(body, marked, strict=True)) if a != b)
    start = _LENGTH_BYTES + body_position
    return ReplyShape(_LENGTH_BYTES + len(frame), tuple(start + index for index in differing))


def _request(message: Message, version: int, reply_class: type[Message]) -> Request:
    frame = encode_request(message, version, correlation_id=_CORRELATION_ID, client_id=_CLIENT_ID)
    return Request(frame, reply_class, version)


def _ask(bootstrap_servers: str, request: Request) -> tuple[bytes, Any, int]:
    with Connection(bootstrap_servers) as connection:
        connection.send_bytes(request.frame)
        frame = connection.receive_frame()
    key = request.reply_class.API_KEY
    assert key is not None
    _, position = ResponseHeader.decode(frame, key, request.version)
    reply = request.reply_class.decode(frame, request.version, position)
    codes = _error_codes(reply)
    if any(codes):
        names = ", ".join(ErrorCode(code).name for code in codes if code)
        raise UnexpectedReply(f"{request.reply_class.__name__} says {names}")
    return frame, reply, position


def _structs(value: Any) -> list[Any]:
    """The struct itself and all structs within it."""
    found = [value]
    for field in value.SCHEMA.fields:
        inner = getattr(value, field.name)
        for each in inner if isinstance(inner, list) else [inner]:
            if isinstance(each, Struct):
                found += _structs(each)
    return found


def _error_codes(reply: Any) -> list[int]:
    return [each.error_code for each in _structs(reply) if hasattr(each, "error_code")]


def _set_error_codes(reply: Any, code: int) -> None:
    for each in _structs(reply):
        if hasattr(each, "error_code"):
            each.error_code = code
