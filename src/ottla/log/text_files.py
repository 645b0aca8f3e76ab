"""Kafka's small text files: checkpoints, ``partition.metadata``, ``meta.properties``.

Pure: text to values and back. Reading is strict, because a checkpoint that is believed wrongly
loses records; the caller decides what a ``MalformedFile`` means.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ottla.log.errors import MalformedFile
from ottla.log.names import TopicPartition

_CHECKPOINT_VERSION = "0"
_PARTITION_METADATA_VERSION = 0
_META_PROPERTIES_VERSION = "1"


class EpochStart(NamedTuple):
    """A leader epoch and the first offset its leader wrote."""

    epoch: int
    start_offset: int


class MetaProperties(NamedTuple):
    """Whose log directory it is. ``directory_id`` is ``None`` in files of before KIP-858."""

    cluster_id: str
    node_id: int
    directory_id: uuid.UUID | None


def format_uuid(value: uuid.UUID) -> str:
    """Kafka's text form of a UUID: base64url without padding, 22 characters."""
    return base64.urlsafe_b64encode(value.bytes).decode().rstrip("=")


def parse_uuid(text: str) -> uuid.UUID:
    """Read Kafka's text form of a UUID.

    Raises:
        MalformedFile: it isn't one.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return uuid.UUID(bytes=raw)
    except (binascii.Error, ValueError):
        raise MalformedFile(f"{text!r} is not a base64url UUID") from None


def _integer(text: str) -> int:
    try:
        if not text.isascii():
            raise ValueError(text)
        return int(text)
    except ValueError:
        raise MalformedFile(f"{text[:40]!r} is not a number") from None


def _checkpoint_lines(data: bytes, columns: int) -> list[list[str]]:
    """The rows of a checkpoint: a version line, a count line, that many rows."""
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        raise MalformedFile("a checkpoint that is not text") from None
    if len(lines) < 2 or lines[0] != _CHECKPOINT_VERSION:
        raise MalformedFile("a checkpoint without version 0 and a count")
    rows = [line.split() for line in lines[2:]]
    if len(rows) != _integer(lines[1]) or any(len(row) != columns for row in rows):
        raise MalformedFile("a checkpoint whose rows don't match its count")
    return rows


def _format_checkpoint(rows: list[str]) -> bytes:
    return "".join([f"{_CHECKPOINT_VERSION}\n{len(rows)}\n", *rows]).encode()


def format_offset_checkpoint(offsets: Mapping[TopicPartition, int]) -> bytes:
    """An offset per partition, as in ``recovery-point-offset-checkpoint`` and its like."""
    return _format_checkpoint(
        [f"{topic} {partition} {offset}\n" for (topic, partition), offset in offsets.items()]
    )


def parse_offset_checkpoint(data: bytes) -> dict[TopicPartition, int]:
    """Read an offset per partition. Raises ``MalformedFile``."""
    return {
        TopicPartition(topic, _integer(partition)): _integer(offset)
        for topic, partition, offset in _checkpoint_lines(data, 3)
    }


def format_epoch_checkpoint(epochs: Iterable[EpochStart]) -> bytes:
    """The ``leader-epoch-checkpoint`` of a partition."""
    return _format_checkpoint([f"{epoch} {start_offset}\n" for epoch, start_offset in epochs])


def parse_epoch_checkpoint(data: bytes) -> list[EpochStart]:
    """Read a ``leader-epoch-checkpoint``. Raises ``MalformedFile``."""
    return [
        EpochStart(_integer(epoch), _integer(start_offset))
        for epoch, start_offset in _checkpoint_lines(data, 2)
    ]


def format_partition_metadata(topic_id: uuid.UUID) -> bytes:
    """The ``partition.metadata`` of a partition; no newline at its end, as Kafka writes it."""
    return f"version: {_PARTITION_METADATA_VERSION}\ntopic_id: {format_uuid(topic_id)}".encode()


def parse_partition_metadata(data: bytes) -> uuid.UUID:
    """The topic id in a ``partition.metadata``. Raises ``MalformedFile``."""
    fields: dict[str, str] = {}
    for line in data.decode(errors="replace").splitlines():
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()
    if _integer(fields.get("version", "")) != _PARTITION_METADATA_VERSION:
        raise MalformedFile("partition.metadata of an unknown version")
    return parse_uuid(fields.get("topic_id", ""))


def format_meta_properties(meta: MetaProperties) -> bytes:
    """The ``meta.properties`` of a log directory (Java properties)."""
    fields = {
        "version": _META_PROPERTIES_VERSION,
        "cluster.id": meta.cluster_id,
        "node.id": str(meta.node_id),
    }
    if meta.directory_id is not None:
        fields["directory.id"] = format_uuid(meta.directory_id)
    return "".join(f"{key}={value}\n" for key, value in fields.items()).encode()


def parse_meta_properties(data: bytes) -> MetaProperties:
    """Read a ``meta.properties`` of version 0 (``broker.id``) or 1. Raises ``MalformedFile``."""
    fields: dict[str, str] = {}
    for line in data.decode(errors="replace").splitlines():
        if line.strip() and line.lstrip()[0] not in "#!":
            key, _, value = line.partition("=")
            # Java escapes what could end a key (":", "=", blanks) with a backslash.
            fields[key.strip()] = value.strip().replace("\\", "")
    version = fields.get("version")
    if version not in ("0", _META_PROPERTIES_VERSION):
        raise MalformedFile(f"meta.properties of unknown version {version}")
    node_id = fields.get("node.id", fields.get("broker.id", ""))
    directory_id = fields.get("directory.id")
    if not fields.get("cluster.id"):
        raise MalformedFile("meta.properties without cluster.id")
    return MetaProperties(
        fields["cluster.id"],
        _integer(node_id),
        None if directory_id is None else parse_uuid(directory_id),
    )
