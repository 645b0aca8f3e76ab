"""``consumer_group_metadata()``: who a consumer is for its group, as bytes that mean it.

The bytes are those of librdkafka, so that they can be handed from one library to the other.
"""

from __future__ import annotations

import struct

from ottla.client.core.membership.membership import GroupMetadata
from ottla.client.errors import KafkaError, KafkaException

_MAGIC = b"CGMDv2:"
_GENERATION = struct.Struct("=i")


def encode_group_metadata(metadata: GroupMetadata) -> bytes:
    """The bytes that stand for it."""
    instance_id = metadata.group_instance_id
    return b"".join(
        (
            _MAGIC,
            _GENERATION.pack(metadata.generation_id),
            metadata.group_id.encode() + b"\0",
            metadata.member_id.encode() + b"\0",
            b"\1" if instance_id is None else b"\0" + instance_id.encode() + b"\0",
        )
    )


def decode_group_metadata(data: bytes) -> GroupMetadata:
    """What the bytes stand for.

    Raises:
        TypeError: they are no bytes.
        KafkaException: ``_BAD_MSG``: they come from nowhere.
    """
    if not isinstance(data, bytes):
        raise TypeError(f"expected bytes, not {type(data).__name__}")
    start = len(_MAGIC) + _GENERATION.size
    if len(data) < start:
        raise _bad("Input buffer is too short")
    if not data.startswith(_MAGIC):
        raise _bad("Input buffer is not a serialized consumer group metadata object")
    (generation_id,) = _GENERATION.unpack_from(data, len(_MAGIC))
    parts = data[start:].split(b"\0")
    try:
        if len(parts) == 3 and parts[2] == b"\1":
            return GroupMetadata(parts[0].decode(), generation_id, parts[1].decode())
        if len(parts) == 5 and not parts[2] and not parts[4]:
            group_id, member_id, instance_id = (parts[i].decode() for i in (0, 1, 3))
            return GroupMetadata(group_id, generation_id, member_id, instance_id)
    except UnicodeDecodeError:
        pass
    raise _bad("Input buffer bad length")


def _bad(text: str) -> KafkaException:
    return KafkaException(KafkaError(KafkaError._BAD_MSG, text))
