"""What ``kafka-console-consumer`` prints of a record, as bytes."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ottla.cli.kafka.failures import ToolFailure

Deserializer = Callable[[bytes], str]
_PACKAGE = "org.apache.kafka.common.serialization."


class RecordView(NamedTuple):
    """A record as a formatter sees it; ``None`` stands for what isn't known."""

    topic: str
    partition: int
    offset: int
    timestamp_kind: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    leader_epoch: int | None = None
    delivery_count: int | None = None


def _number(form: str, what: str) -> Deserializer:
    size = struct.calcsize(form)

    def deserialize(data: bytes) -> str:
        if len(data) != size:
            raise ToolFailure(f"Size of data received by {what}Deserializer is not {size}")
        found = struct.unpack(form, data)[0]
        return repr(found) if isinstance(found, float) else str(found)

    return deserialize


def _boolean(data: bytes) -> str:
    if data not in (b"\x00", b"\x01"):
        raise ToolFailure("Unexpected byte received by BooleanDeserializer")
    return "true" if data == b"\x01" else "false"


def _uuid(data: bytes) -> str:
    try:
        return str(uuid.UUID(data.decode()))
    except ValueError:
        raise ToolFailure("Error parsing data into UUID") from None


def _bytes(data: bytes) -> str:
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02X}" for byte in data
    )


DESERIALIZERS: dict[str, Deserializer | None] = {
    "StringDeserializer": None,
    "ByteArrayDeserializer": None,
    "BytesDeserializer": _bytes,
    "ByteBufferDeserializer": None,
    "LongDeserializer": _number(">q", "Long"),
    "IntegerDeserializer": _number(">i", "Integer"),
    "ShortDeserializer": _number(">h", "Short"),
    "DoubleDeserializer": _number(">d", "Double"),
    "FloatDeserializer": _number(">f", "Float"),
    "BooleanDeserializer": _boolean,
    "UUIDDeserializer": _uuid,
}


def deserializer(name: str | None) -> Deserializer | None:
    """A deserializer by its Java name, with or without package; None where bytes stay as they are.

    Raises:
        ToolFailure: there is none of that name.
    """
    if not name:
        return None
    try:
        return DESERIALIZERS[name.removeprefix(_PACKAGE)]
    except KeyError:
        known = ", ".join(sorted(DESERIALIZERS))
        raise ToolFailure(f"There is no deserializer {name} here", f"there are {known}") from None


class TextFormat:
    """Kafka's default formatter.

    Args:
        properties: ``print.key`` and its like.

    Raises:
        ToolFailure: a deserializer doesn't exist.
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        def is_true(name: str, default: str = "false") -> bool:
            return properties.get(name, default).strip().lower() == "true"

        def text(name: str, default: str) -> bytes:
            return properties.get(name, default).encode()

        self._shows_timestamp = is_true("print.timestamp")
        self._shows_partition = is_true("print.partition")
        self._shows_offset = is_true("print.offset")
        self._shows_delivery = is_true("print.delivery")
        self._shows_epoch = is_true("print.epoch")
        self._shows_headers = is_true("print.headers")
        self._shows_key = is_true("print.key")
        self._shows_value = is_true("print.value", "true")
        self._separator = text("key.separator", "\t")
        self.line_separator = text("line.separator", "\n")
        self._headers_separator = text("headers.separator", ",")
        self.null_literal = text("null.literal", "null")
        self._of_key = deserializer(properties.get("key.deserializer"))
        self._of_value = deserializer(properties.get("value.deserializer"))
        self._of_headers = deserializer(properties.get("headers.deserializer"))

    @property
    def is_plain(self) -> bool:
        """Whether the value's bytes are all that is shown."""
        others = (
            self._shows_timestamp, self._shows_partition, self._shows_offset,
            self._shows_delivery, self._shows_epoch, self._shows_headers, self._shows_key,
        )  # fmt: skip
        return self._shows_value and self._of_value is None and not any(others)

    def __call__(self, record: RecordView) -> bytes:
        """The record's line with its end."""
        parts = []
        if self._shows_timestamp:
            parts.append(_timestamp(record))
        if self._shows_partition:
            parts.append(b"Partition:%d" % record.partition)
        if self._shows_offset:
            parts.append(b"Offset:%d" % record.offset)
        if self._shows_delivery:
            parts.append(b"Delivery:" + _or_absent(record.delivery_count))
        if self._shows_epoch:
            parts.append(b"Epoch:" + _or_absent(record.leader_epoch))
        if self._shows_headers:
            parts.append(self._headers(record))
        if self._shows_key:
            parts.append(self._text(record.key, self._of_key))
        if self._shows_value:
            parts.append(self._text(record.value, self._of_value))
        return self._separator.join(parts) + self.line_separator if parts else b""

    def _headers(self, record: RecordView) -> bytes:
        if not record.headers:
            return b"NO_HEADERS"
        return self._headers_separator.join(
            name.encode() + b":" + self._text(text, self._of_headers)
            for name, text in record.headers
        )

    def _text(self, data: bytes | None, deserialize: Deserializer | None) -> bytes:
        data = self.null_literal if data is None else data
        return data if deserialize is None else deserialize(data).encode()


def _timestamp(record: RecordView) -> bytes:
    names = {1: b"CreateTime", 2: b"LogAppendTime"}
    name = names.get(record.timestamp_kind)
    return b"NO_TIMESTAMP" if name is None else name + b":%d" % record.timestamp_ms


def _or_absent(number: int | None) -> bytes:
    return b"NOT_PRESENT" if number is None else b"%d" % number


def nothing(record: RecordView) -> bytes:
    """The formatter that shows nothing."""
    return b""


FORMATTERS = {
    "DefaultMessageFormatter": TextFormat,
    "LoggingMessageFormatter": TextFormat,
    "NoOpMessageFormatter": None,
}


def formatter(name: str, properties: Mapping[str, str]) -> Callable[[RecordView], bytes]:
    """A formatter by its Java name, with or without package.

    Raises:
        ToolFailure: there is none of that name, or its properties are wrong.
    """
    short = name.rpartition(".")[2]
    if short in ("OffsetsMessageFormatter", "GroupMetadataMessageFormatter"):
        from ottla.cli.kafka.internal_records import group_formatter

        return group_formatter(of_offsets=short.startswith("Offsets"))
    if short == "TransactionLogMessageFormatter":
        from ottla.cli.kafka.internal_records import transaction_formatter

        return transaction_formatter
    if short == "ShareGroupStateMessageFormatter":
        from ottla.cli.kafka.internal_records import share_state_formatter

        return share_state_formatter
    if short not in FORMATTERS:
        raise ToolFailure(name, "formatters in Java can't run here; Kafka's own can")
    kind: Any = FORMATTERS[short]
    return nothing if kind is None else kind(properties)
