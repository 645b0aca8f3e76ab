"""The JSON files that some of Kafka's tools are given, read with care."""

from __future__ import annotations

import json
from typing import Any

from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.partition_offsets import Partition

MOST_BYTES = 64 << 20


def load(path: str) -> Any:
    """What a JSON file holds.

    Raises:
        ToolFailure: it can't be read, or is no JSON.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES)
    except OSError as error:
        raise ToolFailure(f"Unable to read file {path}", error.strerror or "") from None
    return parse(data, path)


def parse(data: bytes | str, what: str) -> Any:
    """The value of a JSON text.

    Raises:
        ToolFailure: it is none, or is nested too deeply.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ToolFailure("The input string is not a valid JSON", f"{what}: {error}") from None


def field(value: Any, name: str, kind: type, what: str) -> Any:
    """A field of a JSON object.

    Raises:
        ToolFailure: there is none, or of another kind.
    """
    if not isinstance(value, dict):
        raise ToolFailure(f"Expected JSON object, received {json.dumps(value)[:200]}")
    if name not in value:
        raise ToolFailure(f"No such field exists: `{name}` in {what}")
    found = value[name]
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise ToolFailure(f"{name} is no {kind.__name__}: {json.dumps(found)[:200]}")
    return found


def partitions(values: list[Any], what: str) -> list[tuple[Partition, dict[str, Any]]]:
    """The objects of a list with ``topic`` and ``partition``, and which partition that is."""
    return [
        ((field(each, "topic", str, what), field(each, "partition", int, what)), each)
        for each in values
    ]


def duplicates(found: list[tuple[Partition, dict[str, Any]]]) -> list[str]:
    """Partitions that are named twice, as ``topic-0``."""
    names = [f"{topic}-{index}" for (topic, index), _ in found]
    return sorted({name for name in names if names.count(name) > 1})
