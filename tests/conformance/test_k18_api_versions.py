"""ApiVersions (key 18), and what happens to requests nobody can answer."""

from __future__ import annotations

import struct

import pytest

from ottla.testing.protocol import Connection
from ottla.wire.api.k18_api_versions import ApiVersionsRequest
from ottla.wire.apis import APIS
from ottla.wire.errors import ErrorCode
from ottla.wire.frames import encode_request

REQUEST = ApiVersionsRequest(client_software_name="ottla-testing", client_software_version="1")
# What DESIGN and issue leave to later; a broker that has them may advertise them.
BUILT = {0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 32, 33, 35, 37}
BUILT |= {42, 43, 44, 46, 47, 60, 61, 74, 75}


@pytest.mark.parametrize("version", APIS[18].versions)
def test_every_version_lists_the_same_apis(version: int, connection: Connection) -> None:
    response = connection.ask(REQUEST, version)
    assert response.error_code == ErrorCode.NONE
    advertised = {each.api_key: (each.min_version, each.max_version) for each in response.api_keys}
    assert set(advertised) >= BUILT
    # librdkafka wants to see Produce from 0 on, though 3 is the oldest that works (KAFKA-18659).
    assert advertised[0] == (0, 13)
    for key in BUILT - {0}:
        assert advertised[key] == (APIS[key].min_version, APIS[key].max_version), APIS[key]


def test_a_version_from_the_future_is_answered_in_version_0(bootstrap: str) -> None:
    # Header version 2 and the body of version 3 stand for whatever a future client sends.
    frame = bytearray(encode_request(REQUEST, 3, correlation_id=5, client_id="future"))
    struct.pack_into(">h", frame, 6, 99)
    with Connection(bootstrap) as own:
        own.send_bytes(bytes(frame))
        reply = own.receive_frame()
        correlation_id, error_code, count = struct.unpack_from(">ihi", reply)
        assert (correlation_id, error_code) == (5, ErrorCode.UNSUPPORTED_VERSION)
        keys = [struct.unpack_from(">hhh", reply, 10 + 6 * n) for n in range(count)]
        assert (18, 0, 4) in keys
        # The connection lives on, so the client can ask again.
        assert own.ask(REQUEST, 4).error_code == ErrorCode.NONE


def test_a_bad_software_name_is_refused(connection: Connection) -> None:
    request = ApiVersionsRequest(client_software_name="-", client_software_version="1")
    assert connection.ask(request, 3).error_code == ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">ihhih", 10, 12345, 0, 1, -1),
        struct.pack(">ihhih", 10, 3, 99, 1, -1),
        struct.pack(">ihhih", 10, 3, -1, 1, -1),
        struct.pack(">i", -5),
        struct.pack(">i", 0x7FFFFFFF),
        struct.pack(">ih", 2, 3),
        struct.pack(">ihhihi", 14, 3, 1, 1, -1, 0x7FFFFFFF),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=[
        "unknown API",
        "version too new",
        "negative version",
        "negative length",
        "two GiB",
        "header cut short",
        "array longer than the frame",
        "HTTP",
    ],
)
def test_nonsense_closes_its_connection_and_no_other(
    frame: bytes, bootstrap: str, connection: Connection
) -> None:
    with Connection(bootstrap) as own:
        own.send_bytes(frame)
        assert own.is_closed_by_broker()
    assert connection.ask(REQUEST, 3).error_code == ErrorCode.NONE
