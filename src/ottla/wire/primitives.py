"""The parts of Kafka's encoding that are more than a fixed number of bytes.

The compiler's code calls these where its straight line ends: varints of several bytes, tagged
fields, array formats. All of them raise `Truncated` or `Malformed` and nothing else.
"""

from __future__ import annotations

import functools
import struct
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from ottla.wire.errors import Malformed, Truncated, Unencodable

if TYPE_CHECKING:
    from ottla.wire.declare import Buffer

MAX_STRING_BYTES: Final = 32767
_MAX_UINT32: Final = 0xFFFFFFFF
_MAX_UINT64: Final = 0xFFFFFFFFFFFFFFFF
_MAX_INT32: Final = 0x7FFFFFFF


def read_uvarint(buffer: Buffer, position: int) -> tuple[int, int]:
    """An unsigned varint of at most 32 bits, and the position after it."""
    return _read_varint(buffer, position, 5, _MAX_UINT32)


def read_varint(buffer: Buffer, position: int) -> tuple[int, int]:
    """A zigzag varint of at most 32 bits, and the position after it."""
    value, position = _read_varint(buffer, position, 5, _MAX_UINT32)
    return (value >> 1) ^ -(value & 1), position


def read_varlong(buffer: Buffer, position: int) -> tuple[int, int]:
    """A zigzag varint of at most 64 bits, and the position after it."""
    value, position = _read_varint(buffer, position, 10, _MAX_UINT64)
    return (value >> 1) ^ -(value & 1), position


def _read_varint(buffer: Buffer, position: int, max_bytes: int, max_value: int) -> tuple[int, int]:
    value = shift = 0
    for index in range(position, position + max_bytes):
        try:
            byte = buffer[index]
        except IndexError:
            raise Truncated("the buffer ends inside a varint") from None
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > max_value:
                break
            return value, index + 1
        shift += 7
    raise Malformed(f"a varint at {position} exceeds {max_bytes} bytes or {max_value}")


def uvarint(value: int) -> bytes:
    """An unsigned varint."""
    if value < 0x80:
        return _ONE_BYTE[value]
    # Lengths of records, nearly always.
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    if value < 0x200000:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def varint(value: int) -> bytes:
    """A zigzag varint of a signed 32-bit number."""
    return uvarint(((value << 1) ^ (value >> 31)) & _MAX_UINT32)


def varlong(value: int) -> bytes:
    """A zigzag varint of a signed 64-bit number."""
    return uvarint(((value << 1) ^ (value >> 63)) & _MAX_UINT64)


_ONE_BYTE: Final = [bytes((value,)) for value in range(0x80)]


def read_length(first: int, buffer: Buffer, position: int, where: str) -> tuple[int, int]:
    """What a compact length's ``first`` byte, just before ``position``, leaves to be decided.

    Returns the length plus one, never 0, and the position after it.
    """
    if first == 0:
        raise null_forbidden(where)
    # Record batches nearly always come here, so this is not `read_uvarint` called once more.
    length = first & 0x7F
    try:
        for shift in (7, 14, 21, 28):
            byte = buffer[position]
            position += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        else:
            raise Malformed(f"{where}: a length of more than 5 bytes")
    except IndexError:
        raise Truncated(f"{where}: the buffer ends inside the length") from None
    # A padded zero would be a null that the straight line doesn't expect here.
    if not 0 < length <= _MAX_INT32:
        raise Malformed(f"{where}: a length of {length - 1}")
    return length, position


def read_string_length(first: int, buffer: Buffer, position: int, where: str) -> tuple[int, int]:
    """As `read_length`, within the limit of a string."""
    length, position = read_length(first, buffer, position, where)
    if length > MAX_STRING_BYTES + 1:
        raise Malformed(f"{where}: a string of {length - 1} bytes")
    return length, position


def compact_length(value: int) -> bytes:
    """A length, already one more than the number of bytes or elements."""
    if value > _MAX_INT32:
        raise Unencodable(f"a length of {value - 1}")
    return uvarint(value)


def compact_string_length(value: int) -> bytes:
    """As `compact_length`, within the limit of a string."""
    if value > MAX_STRING_BYTES + 1:
        raise Unencodable(f"a string of {value - 1} bytes")
    return uvarint(value)


def read_unknown_tags(buffer: Buffer, position: int) -> tuple[tuple[tuple[int, bytes], ...], int]:
    """A section of tagged fields (KIP-482) none of which is known here."""
    count, position = read_uvarint(buffer, position)
    unknown = []
    previous = -1
    for _ in range(count):
        previous, stop, position = read_tag(buffer, position, previous)
        unknown.append((previous, bytes(buffer[position:stop])))
        position = stop
    return tuple(unknown), position


def read_tag(buffer: Buffer, position: int, previous: int) -> tuple[int, int, int]:
    """The head of a tagged field: its tag, where its payload stops and where it starts."""
    tag, position = read_uvarint(buffer, position)
    if tag <= previous:
        raise Malformed(f"tagged field {tag} after {previous}")
    size, position = read_uvarint(buffer, position)
    stop = position + size
    if stop > len(buffer):
        raise Truncated(f"the buffer ends inside tagged field {tag}")
    return tag, stop, position


def tagged_section(
    known: Iterable[tuple[int, bytes]], unknown: Iterable[tuple[int, bytes]]
) -> bytes:
    """A section of tagged fields, ascending as KIP-482 demands."""
    fields = sorted((*known, *unknown), key=lambda field: field[0])
    pieces = [uvarint(len(fields))]
    previous = -1
    for tag, payload in fields:
        if tag <= previous:
            raise Unencodable(f"tagged field {tag} twice, or negative")
        previous = tag
        pieces += (uvarint(tag), uvarint(len(payload)), payload)
    return b"".join(pieces)


@functools.lru_cache(maxsize=4096)
def uuid_of(raw: bytes) -> uuid.UUID:
    """The UUID of 16 bytes; remembered, for the same topic ids come again and again."""
    return uuid.UUID(bytes=raw)


class ArrayFormats(dict[int, Any]):
    """Functions of a `struct.Struct` by the number of elements; the short ones are kept."""

    _MOST_KEPT = 64

    def __init__(self, format_: str, function: Callable[[struct.Struct], Any]) -> None:
        super().__init__()
        self._format = format_
        self._function = function

    def __missing__(self, count: int) -> Any:
        function = self._function(struct.Struct(f">{count}{self._format}"))
        if count <= self._MOST_KEPT:
            self[count] = function
        return function


def null_forbidden(where: str) -> Malformed:
    return Malformed(f"{where}: null where no null may stand")


def bad_length(where: str, length: int) -> Malformed:
    """For an old-format length: -1 is a null, anything below is nonsense."""
    return null_forbidden(where) if length == -1 else Malformed(f"{where}: a length of {length}")
