"""What a declaration says, once its annotations are understood: fields, types, versions."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

#: Stands for "no default stated": the constructor requires the field.
REQUIRED: Final = object()

MAX_VERSION: Final = 32767


def parse_versions(text: str) -> range:
    """``"4"``, ``"4+"``, ``"4-7"`` or ``"none"`` as a range of versions."""
    if text == "none":
        return range(0)
    if text.endswith("+"):
        return range(int(text[:-1]), MAX_VERSION + 1)
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


class Fixed:
    """A type whose values always take the same number of bytes, with its `struct` format."""

    __slots__ = ("format", "name", "size_bytes", "zero")

    def __init__(self, name: str, format_: str, size_bytes: int, zero: object) -> None:
        self.name = name
        self.format = format_
        self.size_bytes = size_bytes
        self.zero = zero


class Sized:
    """A type whose bytes follow their length: strings, bytes and record batches."""

    __slots__ = ("legacy_length", "name", "zero")

    def __init__(self, name: str, legacy_length: str, zero: object) -> None:
        self.name = name
        #: `struct` format of the length where the version isn't flexible.
        self.legacy_length = legacy_length
        self.zero = zero


class ArrayOf:
    """A counted sequence of one element type."""

    __slots__ = ("element",)
    name = "Array"

    def __init__(self, element: WireType) -> None:
        self.element = element


class StructOf:
    """A nested declared class."""

    __slots__ = ("schema",)
    name = "Struct"

    def __init__(self, schema: Schema) -> None:
        self.schema = schema


WireType: TypeAlias = Fixed | Sized | ArrayOf | StructOf

UUID: Final = Fixed("Uuid", "16s", 16, uuid.UUID(int=0))
STRING: Final = Sized("String", "h", "")
BYTES: Final = Sized("Bytes", "i", b"")
RECORDS: Final = Sized("Records", "i", b"")


class Declaration:
    """The arguments of `ottla.wire.declare.at`, kept until the class is first used."""

    __slots__ = ("default", "flexible", "ignorable", "nullable", "tag", "tagged", "versions")

    def __init__(
        self,
        versions: str = "0+",
        default: Any = REQUIRED,
        tag: int | None = None,
        tagged: str | None = None,
        nullable: str | None = None,
        ignorable: bool = False,
        flexible: str | None = None,
    ) -> None:
        self.versions = versions
        self.default = default
        self.tag = tag
        self.tagged = tagged
        self.nullable = nullable
        self.ignorable = ignorable
        self.flexible = flexible


class Field:
    """One field of a declared class."""

    __slots__ = (
        "always_legacy",
        "default",
        "ignorable",
        "is_required",
        "name",
        "nullable",
        "tag",
        "tagged",
        "type",
        "versions",
    )

    def __init__(self, name: str, type_: WireType, is_nullable: bool, stated: Declaration) -> None:
        self.name = name
        self.type = type_
        #: The versions that have the field.
        self.versions = parse_versions(stated.versions)
        #: The versions in which it may travel as null.
        self.nullable = parse_versions(stated.nullable or ("0+" if is_nullable else "none"))
        self.tag = stated.tag
        #: The versions in which it travels as a tagged field.
        self.tagged = range(0)
        if stated.tag is not None:
            self.tagged = parse_versions(stated.tagged or stated.versions)
        self.ignorable = stated.ignorable
        #: Whether it stays in the old format in flexible versions.
        self.always_legacy = stated.flexible == "none"
        self.is_required = stated.default is REQUIRED
        #: An immutable value; an empty list stands for a new list, a `Schema` for a new struct.
        self.default = self._default(stated.default)

    def _default(self, stated: object) -> object:
        if isinstance(self.type, ArrayOf):
            return None if stated is None else []
        if isinstance(self.type, StructOf):
            return None if stated is None else self.type.schema
        return self.type.zero if stated is REQUIRED else stated


class Schema:
    """A declared class seen as data; `fields` are resolved on first use."""

    __slots__ = ("_annotations", "_fields", "_stated", "cls", "flexible", "key", "versions")

    def __init__(self, cls: type, annotations: dict[str, str], stated: dict[str, Any]) -> None:
        self.cls = cls
        self._annotations = annotations
        self._stated = stated
        self._fields: tuple[Field, ...] | None = None
        #: Of a top-level message: its API key, its versions and the first flexible one.
        self.key: int | None = None
        self.versions = range(0)
        self.flexible: int | None = None

    @property
    def name(self) -> str:
        return self.cls.__name__

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields in wire order."""
        if self._fields is None:
            self._fields = tuple(self._resolve())
        return self._fields

    def field(self, name: str) -> Field:
        """The field of that name; `KeyError` if there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def is_flexible(self, version: int) -> bool:
        return self.flexible is not None and version >= self.flexible

    def _resolve(self) -> Iterator[Field]:
        names = vars(sys.modules[self.cls.__module__])
        for name, annotation in self._annotations.items():
            if not isinstance(annotation, str):
                raise TypeError(f"{names['__name__']} lacks 'from __future__ import annotations'")
            text = annotation.replace(" ", "")
            is_nullable = text.endswith("|None")
            stated = self._stated.get(name, REQUIRED)
            if not isinstance(stated, Declaration):
                stated = Declaration(default=stated)
            type_ = _wire_type(text.removesuffix("|None"), names, f"{self.name}.{name}")
            yield Field(name, type_, is_nullable, stated)


def _wire_type(text: str, names: dict[str, Any], where: str) -> WireType:
    if text.startswith("Array[") and text.endswith("]"):
        return ArrayOf(_wire_type(text[len("Array[") : -1], names, where))
    named = names.get(text)
    schema = getattr(named, "SCHEMA", None)
    if isinstance(schema, Schema):
        return StructOf(schema)
    for hint in getattr(named, "__metadata__", ()):
        if isinstance(hint, Fixed | Sized):
            return hint
    raise TypeError(f"{where}: {text} is no declared struct and no type of the wire")
