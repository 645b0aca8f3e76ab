"""Requests as plain dictionaries, for tests that speak every version of them.

ask(connection, 2, version, {"replica_id": -1, "topics": [{"name": "t", "partitions": [...]}]})
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ottla.testing.protocol import Connection
from ottla.wire.apis import declaration
from ottla.wire.schema import ArrayOf, Schema, StructOf, WireType

Fields = dict[str, Any]


def build(schema: Schema, version: int, fields: Fields) -> Any:
    """An instance with those of the fields that the version has; the others are left out."""
    by_name = {field.name: field for field in schema.fields}
    return schema.cls(
        **{
            name: _value(by_name[name].type, version, value)
            for name, value in fields.items()
            if name in by_name and version in by_name[name].versions
        },
        **{
            # What is required of the constructor, but in other versions only.
            field.name: field.default
            for field in schema.fields
            if field.is_required and field.name not in fields
        },
    )


def _value(type_: WireType, version: int, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(type_, ArrayOf):
        return [_value(type_.element, version, each) for each in value]
    if isinstance(type_, StructOf):
        return build(type_.schema, version, value)
    return value


def ask(connection: Connection, key: int, version: int, fields: Fields) -> Any:
    """Send the request of an API with what the version has of ``fields``; its response."""
    return connection.ask(build(declaration(key)[0].SCHEMA, version, fields), version)


def error_codes(value: Any, version: int) -> Iterator[int]:
    """Every error code that a response can have in a version."""
    if isinstance(value, list):
        for each in value:
            yield from error_codes(each, version)
    schema = getattr(type(value), "SCHEMA", None)
    for field in schema.fields if schema is not None else ():
        if version not in field.versions:
            continue
        if field.name in ("error_code", "partition_error_code", "acknowledge_error_code"):
            yield getattr(value, field.name)
        else:
            yield from error_codes(getattr(value, field.name), version)
