"""Headers and length prefixes."""

from __future__ import annotations

import importlib

import pytest

from ottla.wire.apis import APIS, declaration
from ottla.wire.errors import Malformed, Truncated, Unencodable
from ottla.wire.frames import (
    RequestHeader,
    ResponseHeader,
    encode_request,
    encode_response,
    encode_response_parts,
    frame,
    peek_request,
    request_header_version,
    response_header_version,
)
from ottla.wire.primitives import tagged_section

FETCH, API_VERSIONS, SASL_HANDSHAKE = 1, 18, 17


def header(**changes: object) -> RequestHeader:
    values = {"api_key": FETCH, "api_version": 12, "correlation_id": 7, "client_id": "me"}
    return RequestHeader(**{**values, **changes})


class Slice:
    """Stands for a slice of a log."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes


@pytest.mark.parametrize(
    ("key", "version", "request_version", "response_version"),
    [
        (FETCH, 11, 1, 0),
        (FETCH, 12, 2, 1),
        (API_VERSIONS, 2, 1, 0),
        (API_VERSIONS, 3, 2, 0),
        (API_VERSIONS, 99, 2, 0),
        (SASL_HANDSHAKE, 1, 1, 0),
    ],
)
def test_header_versions(
    key: int, version: int, request_version: int, response_version: int
) -> None:
    assert request_header_version(key, version) == request_version
    assert response_header_version(key, version) == response_version


def test_request_headers_are_kafkas() -> None:
    assert header(api_version=11).encode() == bytes.fromhex("0001 000b 00000007 0002 6d65")
    assert header().encode() == bytes.fromhex("0001 000c 00000007 0002 6d65 00")
    assert header(client_id=None).encode() == bytes.fromhex("0001 000c 00000007 ffff 00")


@pytest.mark.parametrize("client_id", [None, "", "me", "é" * 300])
@pytest.mark.parametrize("version", [11, 12])
def test_request_headers_come_back(version: int, client_id: str | None) -> None:
    tags = ((3, b"three"),) if version == 12 else ()
    sent = header(api_version=version, client_id=client_id, unknown_tagged_fields=tags)
    encoded = sent.encode()
    for buffer in (encoded + b"body", bytearray(encoded + b"body"), memoryview(encoded + b"body")):
        received, position = RequestHeader.decode(buffer)
        assert buffer[position:] == b"body"
        assert (received.api_key, received.api_version) == (FETCH, version)
        assert (received.correlation_id, received.client_id) == (7, client_id)
        assert received.unknown_tagged_fields == tags
    for length in range(len(encoded)):
        with pytest.raises(Truncated):
            RequestHeader.decode(encoded[:length])


@pytest.mark.parametrize(
    "bytes_",
    [
        "03e8 0000 00000007 0002 6d65",  # no such API
        "0001 000b 00000007 fffe 6d65",
        "0001 000b 00000007 0002 c328",
        "0001 000c 00000007 0002 6d65 02 01 00 01 00",
    ],
)
def test_request_headers_that_cannot_be(bytes_: str) -> None:
    with pytest.raises(Malformed):
        RequestHeader.decode(bytes.fromhex(bytes_))


def test_the_start_of_a_request_can_be_read_for_unknown_apis() -> None:
    assert peek_request(bytes.fromhex("03e8 0009 00000007")) == (1000, 9, 7)
    with pytest.raises(Truncated):
        peek_request(bytes(7))


def test_a_client_id_has_a_limit() -> None:
    with pytest.raises(Unencodable):
        header(client_id="x" * 32768).encode()


def test_response_headers_come_back() -> None:
    assert ResponseHeader(correlation_id=7).encode(FETCH, 11) == bytes.fromhex("00000007")
    assert ResponseHeader(correlation_id=7).encode(API_VERSIONS, 4) == bytes.fromhex("00000007")
    sent = ResponseHeader(correlation_id=7, unknown_tagged_fields=((0, b"zero"),))
    encoded = sent.encode(FETCH, 12)
    assert encoded == bytes.fromhex("00000007") + tagged_section((), ((0, b"zero"),))
    received, position = ResponseHeader.decode(encoded + b"body", FETCH, 12)
    assert (received.correlation_id, received.unknown_tagged_fields) == (7, ((0, b"zero"),))
    assert position == len(encoded)
    for length in range(len(encoded)):
        with pytest.raises(Truncated):
            ResponseHeader.decode(encoded[:length], FETCH, 12)


def test_whole_frames() -> None:
    request_class, response_class = declaration(SASL_HANDSHAKE)
    request = request_class(mechanism="PLAIN")
    framed = encode_request(request, 1, correlation_id=7, client_id="me")
    assert framed == bytes.fromhex("00000013 0011 0001 00000007 0002 6d65 0005") + b"PLAIN"
    response = response_class(error_code=33, mechanisms=["PLAIN"])
    answered = bytes.fromhex("00000011 00000007 0021 00000001 0005") + b"PLAIN"
    assert encode_response(response, 1, correlation_id=7) == answered
    assert encode_response_parts(response, 1, correlation_id=7) == [answered]


def test_a_whole_frame_around_a_slice_of_the_log() -> None:
    response_class = declaration(FETCH)[1]
    module = importlib.import_module(response_class.__module__)
    records = Slice(1000)
    partition = module.FetchedPartition(
        partition_index=0, error_code=0, high_watermark=9, records=records
    )
    response = response_class(
        responses=[module.FetchedTopic(topic="t", partitions=[partition])],
    )
    for version in (11, 12):
        partition.records = records
        parts = encode_response_parts(response, version, correlation_id=7)
        assert parts[1] is records
        parts[1] = partition.records = bytes(1000)
        assert b"".join(parts) == encode_response(response, version, correlation_id=7)


def test_frames_around_slices() -> None:
    first, second = Slice(1000), Slice(24)
    assert frame([b"head", b"er", first, b"x", second, b""]) == [
        b"\0\0\4\x07header",
        first,
        b"x",
        second,
        b"",
    ]
    assert frame([]) == [b"\0\0\0\0"]
    assert frame([first]) == [b"\0\0\3\xe8", first]


def test_a_frame_has_a_limit() -> None:
    with pytest.raises(Unencodable):
        frame([b"x", Slice(2**31 - 1)])


def test_the_table_and_the_declarations_agree() -> None:
    for key, api in APIS.items():
        for cls, kind in zip(declaration(key), ("Request", "Response"), strict=True):
            assert cls.__name__ == api.name + kind
            assert (key, api.versions, api.flexible_from) == (
                cls.API_KEY,
                cls.VERSIONS,
                cls.FLEXIBLE_FROM,
            )


def test_modules_are_named_after_their_api() -> None:
    assert APIS[FETCH].stem == "k01_fetch"
    assert APIS[24].stem == "k24_add_partitions_to_txn"
    with pytest.raises(KeyError):
        declaration(4)
