"""Random instances of any declared message, for property tests with hypothesis.

@given(messages(FetchRequest, 12))
def test_round_trip(request): ...
"""

from __future__ import annotations

import importlib
import pkgutil
import uuid
from collections.abc import Callable
from typing import Any, TypeVar, cast

from hypothesis import strategies as st

import ottla.wire
from ottla.wire.declare import Message, Struct
from ottla.wire.schema import ArrayOf, Field, Fixed, Schema, Sized, StructOf, WireType

_Message = TypeVar("_Message", bound=Message)

#: Given a field, the strategy for its values, or None for the usual one.
Override = Callable[[Field], "st.SearchStrategy[Any] | None"]

_INTEGER_BITS = {"b": 8, "h": 16, "i": 32, "q": 64}
_MOST_ELEMENTS = 3
# Lengths of one and of two varint bytes.
_STRINGS = st.one_of(st.text(max_size=8), st.text(max_size=4).map(lambda text: text + "é" * 90))
_BYTES = st.one_of(st.binary(max_size=8), st.binary(max_size=8).map(lambda data: data * 40))
_UUIDS = st.binary(min_size=16, max_size=16).map(lambda raw: uuid.UUID(bytes=raw))
_UNKNOWN_TAGS = st.dictionaries(
    st.integers(min_value=100, max_value=2**32 - 1), st.binary(max_size=200), max_size=2
).map(lambda fields: tuple(sorted(fields.items())))


def declared_messages() -> list[type[Message]]:
    """Every message that is declared anywhere: of the APIs, of embedded protocols, of records."""
    found: dict[str, type[Message]] = {}
    for module_info in pkgutil.walk_packages(ottla.wire.__path__, "ottla.wire."):
        for declared in vars(importlib.import_module(module_info.name)).values():
            # Only a declared class has versions of its own; what lies between is a mere base.
            if isinstance(declared, type) and "VERSIONS" in vars(declared):
                found[f"{declared.__module__}.{declared.__name__}"] = declared
    return [found[name] for name in sorted(found)]


def messages(
    cls: type[_Message],
    version: int,
    *,
    unknown_tags: bool = False,
    override: Override | None = None,
) -> st.SearchStrategy[_Message]:
    """Instances of ``cls`` that ``version`` can carry: fields it lacks keep their defaults.

    unknown_tags: whether flexible versions also get tagged fields that nobody declared.
    override: gives chosen fields values of another strategy.
    """
    flexible = cls.SCHEMA.is_flexible(version)
    made = _structs(cls.SCHEMA, version, unknown_tags and flexible, override)
    return cast("st.SearchStrategy[_Message]", made)


def _structs(
    schema: Schema, version: int, unknown_tags: bool, override: Override | None
) -> st.SearchStrategy[Any]:
    values = {
        field.name: _values(field, version, unknown_tags, override)
        for field in schema.fields
        if version in field.versions
    }
    tags = _UNKNOWN_TAGS if unknown_tags else st.just(())

    def build(arguments: tuple[dict[str, Any], tuple[tuple[int, bytes], ...]]) -> Struct:
        given, unknown = arguments
        absent = {
            field.name: _blank(field)
            for field in schema.fields
            if field.is_required and field.name not in given
        }
        made = cast("Struct", schema.cls(**given, **absent))
        made.unknown_tagged_fields = unknown
        return made

    return st.tuples(st.fixed_dictionaries(values), tags).map(build)


def _blank(field: Field) -> Any:
    if isinstance(field.default, Schema):
        return field.default.cls(
            **{inner.name: _blank(inner) for inner in field.default.fields if inner.is_required}
        )
    return [] if isinstance(field.default, list) else field.default


def _values(
    field: Field, version: int, unknown_tags: bool, override: Override | None
) -> st.SearchStrategy[Any]:
    chosen = override(field) if override else None
    made = _of_type(field.type, version, unknown_tags, override) if chosen is None else chosen
    if version in field.nullable:
        return st.one_of(st.none(), made)
    if version in field.tagged and field.default is None:
        # None stands for a struct that isn't sent, and so does a struct of nothing but defaults,
        # which other codecs leave out.
        return st.one_of(st.none(), made.filter(_says_something))
    return made


def _says_something(value: Struct) -> bool:
    return any(getattr(value, field.name) != _blank(field) for field in value.SCHEMA.fields)


def _of_type(
    type_: WireType, version: int, unknown_tags: bool, override: Override | None
) -> st.SearchStrategy[Any]:
    if isinstance(type_, StructOf):
        return _structs(type_.schema, version, unknown_tags, override)
    if isinstance(type_, ArrayOf):
        elements = _of_type(type_.element, version, unknown_tags, override)
        return st.lists(elements, max_size=_MOST_ELEMENTS)
    if isinstance(type_, Sized):
        return _STRINGS if type_.name == "String" else _BYTES
    return _of_fixed(type_)


def _of_fixed(type_: Fixed) -> st.SearchStrategy[Any]:
    if type_.format == "?":
        return st.booleans()
    if type_.format == "d":
        return st.floats(allow_nan=False)
    if type_.format == "16s":
        return _UUIDS
    bits = _INTEGER_BITS[type_.format.lower()]
    if type_.format.isupper():
        return st.integers(min_value=0, max_value=2**bits - 1)
    return st.integers(min_value=-(2 ** (bits - 1)), max_value=2 ** (bits - 1) - 1)
