"""Records, as users of the room see them."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

BytesLike: TypeAlias = bytes | bytearray | memoryview
Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]


class Record(NamedTuple):
    """A record with its absolute offset; ``None`` is Kafka's null, which is not an empty value."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Walked(NamedTuple):
    """What a walk over a batch's records found; see ``validate.CheckedBatch``."""

    min_timestamp_ms: int
    max_timestamp_ms: int
    first_null_key: int
