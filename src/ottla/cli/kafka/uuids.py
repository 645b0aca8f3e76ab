"""Kafka's way of writing a UUID: base64 for URLs, without padding."""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import Final

ZERO: Final = uuid.UUID(int=0)


def format_uuid(value: uuid.UUID) -> str:
    """The 22 characters that stand for a UUID."""
    return base64.urlsafe_b64encode(value.bytes).decode().rstrip("=")


def parse_uuid(text: str) -> uuid.UUID:
    """The UUID that 22 characters stand for.

    Raises:
        ValueError: they stand for none.
    """
    if len(text) > 24:
        raise ValueError(
            f"Input string with prefix `{text[:24]}` is too long to be decoded as a base64 UUID"
        )
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise ValueError(f"Input string `{text}` is not a base64 UUID") from None
    if len(data) != 16:
        raise ValueError(
            f"Input string `{text}` decoded as {len(data)} bytes, which is not equal to the "
            "expected 16 bytes of a base64-encoded UUID"
        )
    return uuid.UUID(bytes=data)
