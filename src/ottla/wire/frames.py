"""What surrounds a message on a connection: the length prefix and the headers.

A frame is an int32 length, a header and a body. Which version a header has follows from the API
and its version, so the table of APIs is needed to read one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

from ottla.wire.apis import API_VERSIONS, APIS
from ottla.wire.errors import Malformed, Truncated, Unencodable
from ottla.wire.primitives import read_unknown_tags, tagged_section

if TYPE_CHECKING:
    from ottla.wire.declare import Buffer, Message, RecordsSlice

UnknownTags: TypeAlias = tuple[tuple[int, bytes], ...]

_INT32: Final = struct.Struct(">i")
_REQUEST_START: Final = struct.Struct(">hhi")
_REQUEST_HEADER: Final = struct.Struct(">hhih")
# By header version: length prefix, correlation id and, since version 1, no tagged fields.
_RESPONSE_STARTS: Final = (struct.Struct(">ii"), struct.Struct(">iix"))
_MAX_INT16: Final = 32767
_MAX_INT32: Final = 2**31 - 1


def request_header_version(api_key: int, api_version: int) -> int:
    """1, or 2 for flexible versions. (0 was ControlledShutdown's, gone since Kafka 4.0.)

    Raises `KeyError` for an unknown key.
    """
    return 2 if APIS[api_key].is_flexible(api_version) else 1


def response_header_version(api_key: int, api_version: int) -> int:
    """0, or 1 for flexible versions; `KeyError` for an unknown key.

    ApiVersions always answers with 0, for its client doesn't know the broker's versions yet
    (KIP-511).
    """
    return 1 if APIS[api_key].is_flexible(api_version) and api_key != API_VERSIONS else 0


def peek_request(buffer: Buffer) -> tuple[int, int, int]:
    """The API key, API version and correlation id that every request starts with.

    They can be read even where the key is unknown. Raises `Truncated`.
    """
    if len(buffer) < _REQUEST_START.size:
        raise Truncated("the frame ends inside the request header")
    return _REQUEST_START.unpack_from(buffer)


class RequestHeader:
    """Who asks what, in which version."""

    __slots__ = ("api_key", "api_version", "client_id", "correlation_id", "unknown_tagged_fields")

    def __init__(
        self,
        *,
        api_key: int,
        api_version: int,
        correlation_id: int,
        client_id: str | None,
        unknown_tagged_fields: UnknownTags = (),
    ) -> None:
        self.api_key = api_key
        self.api_version = api_version
        self.correlation_id = correlation_id
        self.client_id = client_id
        self.unknown_tagged_fields = unknown_tagged_fields

    def __repr__(self) -> str:
        return (
            f"RequestHeader(api_key={self.api_key}, api_version={self.api_version}, "
            f"correlation_id={self.correlation_id}, client_id={self.client_id!r})"
        )

    @classmethod
    def decode(cls, buffer: Buffer) -> tuple[RequestHeader, int]:
        """The header at the start of ``buffer``, and the position of the body after it.

        Raises `Truncated`, or `Malformed` also for an unknown API key, whose header can't be
        known: see `peek_request`.
        """
        try:
            api_key, api_version, correlation_id, length = _REQUEST_HEADER.unpack_from(buffer)
        except struct.error:
            raise Truncated("the frame ends inside the request header") from None
        api = APIS.get(api_key)
        if api is None:
            raise Malformed(f"unknown API key {api_key}")
        position = _REQUEST_HEADER.size
        client_id = None
        if length >= 0:
            end = position + length
            if end > len(buffer):
                raise Truncated("the frame ends inside the client id")
            try:
                client_id = str(buffer[position:end], "utf-8")
            except UnicodeDecodeError as error:
                raise Malformed(f"client id: {error}") from None
            position = end
        elif length != -1:
            raise Malformed(f"client id: a length of {length}")
        unknown: UnknownTags = ()
        if api.is_flexible(api_version):
            unknown, position = read_unknown_tags(buffer, position)
        header = cls(
            api_key=api_key,
            api_version=api_version,
            correlation_id=correlation_id,
            client_id=client_id,
            unknown_tagged_fields=unknown,
        )
        return header, position

    def encode(self) -> bytes:
        """The header's bytes. The client id is in the old format even in version 2, so that every
        broker can read it."""
        # -1 is null.
        encoded_id = b"" if self.client_id is None else self.client_id.encode()
        length = -1 if self.client_id is None else len(encoded_id)
        if length > _MAX_INT16:
            raise Unencodable(f"a client id of {length} bytes")
        start = _REQUEST_HEADER.pack(self.api_key, self.api_version, self.correlation_id, length)
        if request_header_version(self.api_key, self.api_version) == 1:
            return start + encoded_id
        return start + encoded_id + tagged_section((), self.unknown_tagged_fields)


class ResponseHeader:
    """Which request is answered."""

    __slots__ = ("correlation_id", "unknown_tagged_fields")

    def __init__(self, *, correlation_id: int, unknown_tagged_fields: UnknownTags = ()) -> None:
        self.correlation_id = correlation_id
        self.unknown_tagged_fields = unknown_tagged_fields

    def __repr__(self) -> str:
        return f"ResponseHeader(correlation_id={self.correlation_id})"

    @classmethod
    def decode(cls, buffer: Buffer, api_key: int, api_version: int) -> tuple[ResponseHeader, int]:
        """The header of an answer to that API and version, and the position of the body.

        Raises `Truncated` or `Malformed`.
        """
        if len(buffer) < _INT32.size:
            raise Truncated("the frame ends inside the response header")
        (correlation_id,) = _INT32.unpack_from(buffer)
        unknown: UnknownTags = ()
        position = _INT32.size
        if response_header_version(api_key, api_version) == 1:
            unknown, position = read_unknown_tags(buffer, position)
        return cls(correlation_id=correlation_id, unknown_tagged_fields=unknown), position

    def encode(self, api_key: int, api_version: int) -> bytes:
        """The header's bytes in an answer to that API and version."""
        start = _INT32.pack(self.correlation_id)
        if response_header_version(api_key, api_version) == 0:
            return start
        return start + tagged_section((), self.unknown_tagged_fields)


def encode_request(
    request: Message, version: int, *, correlation_id: int, client_id: str | None
) -> bytes:
    """A whole request frame, length prefix included. Raises what `Message.encode` raises."""
    api_key = _key_of(request)
    header = RequestHeader(
        api_key=api_key, api_version=version, correlation_id=correlation_id, client_id=client_id
    )
    return _prefixed(header.encode(), request.encode(version))


def encode_response(response: Message, version: int, *, correlation_id: int) -> bytes:
    """A whole response frame, length prefix included. Raises what `Message.encode` raises."""
    body = response.encode(version)
    return _response_start(response, version, correlation_id, len(body)) + body


def encode_response_parts(
    response: Message, version: int, *, correlation_id: int
) -> list[bytes | RecordsSlice]:
    """As `encode_response`, but with every `RecordsSlice` uncopied in its place."""
    parts = response.encode_parts(version)
    start = _response_start(response, version, correlation_id, _size_bytes(parts))
    if parts and isinstance(parts[0], bytes):
        return [start + parts[0], *parts[1:]]
    return [start, *parts]


def _response_start(
    response: Message, version: int, correlation_id: int, body_size_bytes: int
) -> bytes:
    """The length prefix and a header without tagged fields."""
    start = _RESPONSE_STARTS[response_header_version(_key_of(response), version)]
    size_bytes = start.size - _INT32.size + body_size_bytes
    if size_bytes > _MAX_INT32:
        raise Unencodable(f"a frame of {size_bytes} bytes")
    return start.pack(size_bytes, correlation_id)


def frame(parts: Iterable[bytes | RecordsSlice]) -> list[bytes | RecordsSlice]:
    """The parts of a header and a body, the length of them all put in front.

    The prefix is joined with the bytes that come first.
    """
    framed = list(parts)
    start = [_length_prefix(_size_bytes(framed))]
    for part in framed:
        if not isinstance(part, bytes):
            break
        start.append(part)
    return [b"".join(start), *framed[len(start) - 1 :]]


def _size_bytes(parts: list[bytes | RecordsSlice]) -> int:
    return sum(len(part) if isinstance(part, bytes) else part.size_bytes for part in parts)


def _prefixed(header: bytes, body: bytes) -> bytes:
    return b"".join((_length_prefix(len(header) + len(body)), header, body))


def _length_prefix(size_bytes: int) -> bytes:
    if size_bytes > _MAX_INT32:
        raise Unencodable(f"a frame of {size_bytes} bytes")
    return _INT32.pack(size_bytes)


def _key_of(message: Message) -> int:
    if message.API_KEY is None:
        raise Unencodable(f"{type(message).__name__} belongs to no API")
    return message.API_KEY
