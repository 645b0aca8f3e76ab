"""The records of internal topics as JSON, as Kafka's formatters and its dump tool show them."""

from __future__ import annotations

import base64
import json
import struct
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ottla.cli.kafka.uuids import format_uuid
from ottla.wire.declare import Message, Struct
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.cli.kafka.message_text import RecordView
    from ottla.wire.schema import Field

Decoded = tuple[int, Message]
"""A type or version, and what was in it."""


class Undecodable(ValueError):  # noqa: N818 - it says what the bytes are
    """The bytes are of no record that is known."""


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def as_json(value: Any, version: int = 0) -> Any:
    """A declared structure as what ``json`` takes, its fields named as Kafka's schemas do.

    Args:
        value: the structure, or a field of one.
        version: fields that this version doesn't have are left out.
    """
    if isinstance(value, Struct):
        return {
            _camel(field.name): as_json(getattr(value, field.name), version)
            for field in value.SCHEMA.fields
            if version in field.versions
            and not (version in field.tagged and _is_default(field, getattr(value, field.name)))
        }
    if isinstance(value, list | tuple):
        return [as_json(each, version) for each in value]
    if isinstance(value, uuid.UUID):
        return format_uuid(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    return value


def _is_default(field: Field, value: object) -> bool:
    return bool(value == field.default)


def group_value_json(value: Message, version: int) -> Any:
    """A value of ``__consumer_offsets``, with what consumers of classic groups said decoded."""
    shown = as_json(value, version)
    if shown.get("protocolType") != "consumer" or "members" not in shown:
        return shown
    from ottla.wire.consumer_protocol import decode_assignment, decode_subscription

    for member, held in zip(shown["members"], getattr(value, "members", ()), strict=True):
        decoders = {"subscription": decode_subscription, "assignment": decode_assignment}
        for name, decode in decoders.items():
            data = bytes(getattr(held, name))
            try:
                member[name] = as_json(decode(data), _version(data)) if data else None
            except (ProtocolError, Undecodable):
                continue  # not of Kafka's own protocol: it stays as it is
    return shown


def _version(data: bytes) -> int:
    if len(data) < 2:
        raise Undecodable(f"{len(data)} bytes hold no version")
    number: int = struct.unpack_from(">h", data)[0]
    return number


def decode_group_record(key: bytes, value: bytes | None) -> tuple[Decoded, Decoded | None]:
    """A record of ``__consumer_offsets``; raises ``Undecodable``."""
    from ottla.wire.group_records import decode_key, decode_value

    try:
        found = decode_key(key)
        held = None if value is None else (_version(value), decode_value(found, value))
    except ProtocolError as error:
        raise Undecodable(str(error)) from None
    return (_version(key), found), held


def decode_transaction_record(key: bytes, value: bytes | None) -> tuple[Decoded, Decoded | None]:
    """A record of ``__transaction_state``; raises ``Undecodable``."""
    from ottla.wire import transaction_records

    try:
        name = transaction_records.decode_key(key)
        found = transaction_records.TransactionLogKey(transactional_id=name)
        held = None if value is None else (_version(value), transaction_records.decode_value(value))
    except ProtocolError as error:
        raise Undecodable(str(error)) from None
    return (_version(key), found), held


def decode_share_record(key: bytes, value: bytes | None) -> tuple[Decoded, Decoded | None]:
    """A record of ``__share_group_state``; raises ``Undecodable``."""
    from ottla.wire import share_state_records

    try:
        found = share_state_records.decode_key(key)
        held = (
            None
            if value is None
            else (_version(value), share_state_records.decode_value(found, value))
        )
    except ProtocolError as error:
        raise Undecodable(str(error)) from None
    return (_version(key), found), held


Decoder = Callable[[bytes, "bytes | None"], "tuple[Decoded, Decoded | None]"]


def _line(record: RecordView, decode: Decoder, types: frozenset[int] | None) -> bytes:
    """One record as a line of JSON; nothing for records of other types."""
    if record.key is None:
        return b""
    try:
        (kind, key), value = decode(record.key, record.value)
    except Undecodable:
        return b""
    if types is not None and kind not in types:
        return b""
    shown = {
        "key": {"type": kind, "data": as_json(key)},
        "value": None
        if value is None
        else {"version": value[0], "data": group_value_json(value[1], value[0])},
    }
    return json.dumps(shown, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def group_formatter(*, of_offsets: bool) -> Callable[[RecordView], bytes]:
    """Shows the records of ``__consumer_offsets`` that are offsets, or those that are groups."""
    types = frozenset((0, 1)) if of_offsets else frozenset((2,))
    return lambda record: _line(record, decode_group_record, types)


def transaction_formatter(record: RecordView) -> bytes:
    """Shows a record of ``__transaction_state``."""
    return _line(record, decode_transaction_record, None)


def share_state_formatter(record: RecordView) -> bytes:
    """Shows a record of ``__share_group_state``."""
    return _line(record, decode_share_record, None)
