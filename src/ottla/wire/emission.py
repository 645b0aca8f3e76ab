"""What the encoder's, the decoder's and the constructor's source have in common."""

from __future__ import annotations

import contextlib
import struct
import uuid
from collections.abc import Iterator

from ottla.wire.schema import ArrayOf, Field, Fixed, Schema, Sized, StructOf

#: A run of adjacent fixed-size values: the `struct` format and the expression of each.
Run = list[tuple[str, str]]


class Source:
    """Lines of Python, and the objects they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        #: Globals of the emitted code, besides the helpers that all of it may use.
        self.constants: dict[str, object] = {}
        self._indent = ""
        self._locals = 0

    def line(self, text: str) -> None:
        self.lines.append(self._indent + text)

    @contextlib.contextmanager
    def block(self, head: str) -> Iterator[None]:
        """An indented block under ``head:``."""
        self.line(f"{head}:")
        indent = self._indent
        self._indent = indent + "    "
        yield
        self._indent = indent

    def local(self, stem: str) -> str:
        """A name no other line uses."""
        self._locals += 1
        return f"{stem}{self._locals}"

    def unpacker(self, format_: str) -> str:
        return self._constant(
            f"unpack_{_spelled(format_)}", struct.Struct(f">{format_}").unpack_from
        )

    def packer(self, format_: str) -> str:
        return self._constant(f"pack_{_spelled(format_)}", struct.Struct(f">{format_}").pack)

    def struct_class(self, schema: Schema) -> str:
        return self._constant(schema.name, schema.cls)

    def literal(self, value: object) -> str:
        """An expression for an immutable default."""
        if value is None or isinstance(value, bool | int | float | str | bytes):
            return repr(value)
        assert isinstance(value, uuid.UUID)
        return self._constant(f"UUID_{value.int:x}", value)

    def _constant(self, name: str, value: object) -> str:
        """The name under which emitted code finds ``value``; two classes may share theirs."""
        known = self.constants.setdefault(name, value)
        if isinstance(value, type) and known is not value:
            return self._constant(f"{name}_", value)
        return name

    def default(self, target: str, field: Field) -> None:
        """Assign the field's default, fresh if it is mutable."""
        if isinstance(field.default, list):
            self.line(f"{target} = []")
        elif isinstance(field.default, Schema):
            inner = self.local("blank")
            self.line(f"{target} = {inner} = new({self.struct_class(field.default)})")
            for nested in field.default.fields:
                self.default(f"{inner}.{nested.name}", nested)
            self.line(f"{inner}.unknown_tagged_fields = ()")
        else:
            self.line(f"{target} = {self.literal(field.default)}")

    def differs(self, value: str, field: Field) -> str:
        """An expression that is true when ``value`` is not the field's default."""
        if isinstance(field.default, Schema):
            nested = [
                self.differs(f"{value}.{inner.name}", inner) for inner in field.default.fields
            ]
            null = [f"{value} is None"] if field.nullable else []
            return f"({' or '.join([*null, *nested, f'{value}.unknown_tagged_fields'])})"
        if isinstance(field.default, list):
            return value if not field.nullable else f"{value} != []"
        if field.default is None:
            return f"{value} is not None"
        return f"{value} != {self.literal(field.default)}"


def _spelled(format_: str) -> str:
    """The format as part of a name."""
    return format_.replace("?", "o")


def min_size_bytes(field: Field, version: int, flexible: bool) -> int:
    """The fewest bytes the field takes; limits how many elements an array can claim."""
    if version not in field.versions or version in field.tagged:
        return 0
    compact = flexible and not field.always_legacy
    if isinstance(field.type, Fixed):
        return field.type.size_bytes
    if isinstance(field.type, StructOf):
        if version in field.nullable:
            return 1
        return struct_min_size_bytes(field.type.schema, version, flexible)
    if compact:
        return 1
    return 4 if isinstance(field.type, ArrayOf) else struct.calcsize(field.type.legacy_length)


def struct_min_size_bytes(schema: Schema, version: int, flexible: bool) -> int:
    return flexible + sum(min_size_bytes(field, version, flexible) for field in schema.fields)


def element_min_size_bytes(type_: Fixed | Sized | StructOf, version: int, flexible: bool) -> int:
    """As `min_size_bytes`, for the elements of an array; at least 1."""
    if isinstance(type_, Fixed):
        return type_.size_bytes
    if isinstance(type_, StructOf):
        return max(1, struct_min_size_bytes(type_.schema, version, flexible))
    return 1 if flexible else struct.calcsize(type_.legacy_length)


def holds_records(schema: Schema, version: int) -> bool:
    """Whether record batches can occur anywhere in that version."""
    return any(
        _is_or_holds_records(field.type, version)
        for field in schema.fields
        if version in field.versions
    )


def _is_or_holds_records(type_: object, version: int) -> bool:
    if isinstance(type_, ArrayOf):
        return _is_or_holds_records(type_.element, version)
    if isinstance(type_, StructOf):
        return holds_records(type_.schema, version)
    return isinstance(type_, Sized) and type_.name == "Records"
