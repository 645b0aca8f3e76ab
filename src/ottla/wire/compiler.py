"""Turns declarations into functions: the source is emitted, then executed, once per version.

This is the only place of the project that executes text, and all of it is our own. `dump` shows
what was written; three messages' are kept under ``tests/unit/wire/golden``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from ottla.wire import primitives
from ottla.wire.decoding import DecoderSource
from ottla.wire.emission import Source
from ottla.wire.encoding import EncoderSource
from ottla.wire.errors import ErrorCode, Malformed, ProtocolError, Truncated, Unencodable
from ottla.wire.schema import Schema

Decoder = Callable[[Any, int, bool, int], Any]
Encoder = Callable[[Any, bool], Any]

_BYTES_LIKE = (bytes, bytearray, memoryview)
_ABSENT = object()


def decoder(cls: Any, version: int) -> Decoder:
    """Compile ``decode(buffer, position, allow_trailing, max_elements)``; kept in the class."""
    _check_version(cls, version)
    source = DecoderSource(cls.SCHEMA, version)
    decode: Decoder = _execute(source, f"decode {cls.__name__} v{version}")["decode"]
    cls._decoders[version] = decode
    return decode


def encoder(cls: Any, version: int) -> Encoder:
    """Compile ``encode(message, in_parts)`` and keep it in the class."""
    _check_version(cls, version)
    source = EncoderSource(cls.SCHEMA, version)
    encode: Encoder = _execute(source, f"encode {cls.__name__} v{version}")["encode"]
    cls._encoders[version] = encode
    return encode


def install_constructor(cls: Any) -> None:
    """Give a declared class its real ``__init__``."""
    source = _constructor(cls.SCHEMA)
    cls.__init__ = _execute(source, f"construct {cls.__name__}")["__init__"]


def dump(cls: Any, version: int) -> str:
    """The source compiled for a message's version, to be read."""
    _check_version(cls, version)
    sources = (DecoderSource(cls.SCHEMA, version), EncoderSource(cls.SCHEMA, version))
    return "\n\n".join("\n".join(source.lines) for source in sources) + "\n"


def _check_version(cls: Any, version: int) -> None:
    if version not in cls.VERSIONS:
        raise ProtocolError(
            ErrorCode.UNSUPPORTED_VERSION, f"{cls.__name__} has no version {version}"
        )


def _constructor(schema: Schema) -> Source:
    source = Source()
    parameters = ["self"]
    if schema.fields:
        parameters.append("*")
    for field in schema.fields:
        if field.is_required:
            parameters.append(field.name)
        elif isinstance(field.default, list | Schema):
            parameters.append(f"{field.name}=ABSENT")
        else:
            parameters.append(f"{field.name}={source.literal(field.default)}")
    with source.block(f"def __init__({', '.join(parameters)})"):
        for field in schema.fields:
            if not field.is_required and isinstance(field.default, list | Schema):
                with source.block(f"if {field.name} is ABSENT"):
                    source.default(f"self.{field.name}", field)
                with source.block("else"):
                    source.line(f"self.{field.name} = {field.name}")
            else:
                source.line(f"self.{field.name} = {field.name}")
        source.line("self.unknown_tagged_fields = ()")
    return source


def _execute(source: Source, title: str) -> dict[str, Any]:
    names: dict[str, Any] = {**_HELPERS, **source.constants}
    exec(compile("\n".join(source.lines), f"<{title}>", "exec"), names)  # noqa: S102
    return names


# What emitted code calls


def _lost(where: str, version: int) -> ProtocolError:
    return ProtocolError(
        ErrorCode.UNSUPPORTED_VERSION, f"{where} is set, but version {version} cannot carry it"
    )


def _size_bytes(records: Any) -> int:
    return len(records) if isinstance(records, _BYTES_LIKE) else records.size_bytes


def _gather(pieces: list[Any], slices: list[int]) -> list[Any]:
    """The pieces at ``slices`` by themselves, unless they are bytes; those in between joined."""
    parts: list[Any] = []
    start = 0
    for index in slices:
        if isinstance(pieces[index], _BYTES_LIKE):
            continue
        if start < index:
            parts.append(b"".join(pieces[start:index]))
        parts.append(pieces[index])
        start = index + 1
    if start < len(pieces):
        parts.append(b"".join(pieces[start:]))
    return parts


_ARRAY_ELEMENTS = "?bhHiIqd"
_HELPERS: dict[str, Any] = {
    "ABSENT": _ABSENT,
    "Malformed": Malformed,
    "ONE_BYTE": [bytes((value,)) for value in range(128)],
    "Truncated": Truncated,
    "UNENCODABLE": (struct.error, AttributeError, TypeError, ValueError, Unencodable),
    "Unencodable": Unencodable,
    "bad_length": primitives.bad_length,
    "compact_length": primitives.compact_length,
    "compact_string_length": primitives.compact_string_length,
    "gather": _gather,
    "join": b"".join,
    "lost": _lost,
    "new": object.__new__,
    "read_length": primitives.read_length,
    "read_string_length": primitives.read_string_length,
    "read_tag": primitives.read_tag,
    "read_unknown_tags": primitives.read_unknown_tags,
    "read_uvarint": primitives.read_uvarint,
    "size_bytes": _size_bytes,
    "struct_error": struct.error,
    "tagged_section": primitives.tagged_section,
    "uuid_of": primitives.uuid_of,
    **{
        f"unpack_array_{format_}": primitives.ArrayFormats(format_, lambda s: s.unpack_from)
        for format_ in _ARRAY_ELEMENTS
    },
    **{
        f"pack_array_{format_}": primitives.ArrayFormats(format_, lambda s: s.pack)
        for format_ in _ARRAY_ELEMENTS
    },
}
