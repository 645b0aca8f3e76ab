"""Kafka's text form of ids: the 16 bytes in URL-safe base64 without padding, 22 characters."""

from __future__ import annotations

import binascii
import uuid

_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_TEXT_LENGTH = 22
# 22 characters hold four bits more than 16 bytes; in an id these are zero.
_LAST_CHARACTERS = "AQgw"

# What Kafka means by "no id": topic and directory fields that are not set carry it.
ZERO_UUID = uuid.UUID(int=0)


def format_uuid(value: uuid.UUID) -> str:
    """The id as Kafka's tools print it and as directories carry it."""
    encoded = binascii.b2a_base64(value.bytes, newline=False).translate(_TO_URL_SAFE)
    return encoded[:_TEXT_LENGTH].decode("ascii")


def parse_uuid(text: str) -> uuid.UUID:
    """Read what :func:`format_uuid` wrote.

    Raises:
        ValueError: the text is no such id.
    """
    if len(text) != _TEXT_LENGTH or not text.isascii():
        raise ValueError(f"not a 22 character id: {text[:40]!r}")
    encoded = text.encode("ascii").translate(_FROM_URL_SAFE, b"+/=")
    decoded = binascii.a2b_base64(encoded + b"==")
    # The decoder skips what it doesn't know, so too few bytes mean strange characters.
    if len(decoded) != 16 or text[-1] not in _LAST_CHARACTERS:
        raise ValueError(f"not an id in URL-safe base64: {text!r}")
    return uuid.UUID(bytes=decoded)
