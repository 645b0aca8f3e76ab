"""Our declarations, field by field, against the message definitions in Kafka's own jars.

``make peers`` fetches the jars; ``OTTLA_KAFKA_CLIENTS_JAR`` names one lying elsewhere.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
import uuid
import zipfile
from typing import Any

import pytest

from ottla.testing.messages import declared_messages
from ottla.wire.declare import Message
from ottla.wire.schema import (
    MAX_VERSION,
    ArrayOf,
    Field,
    Schema,
    StructOf,
    WireType,
    parse_versions,
)

PEERS = pathlib.Path(__file__).parents[2] / ".cache" / "peers"
TYPES = {
    "bool": "Bool",
    "bytes": "Bytes",
    "float64": "Float64",
    "int8": "Int8",
    "int16": "Int16",
    "int32": "Int32",
    "int64": "Int64",
    "records": "Records",
    "string": "String",
    "uint16": "Uint16",
    "uint32": "Uint32",
    "uuid": "Uuid",
}
# Version 6 serves two-phase commit and is still unstable (KIP-939).
UNSTABLE = {"InitProducerIdRequest": 6, "InitProducerIdResponse": 6}

EMPTY_STRUCT = "a struct of defaults"

Definition = dict[str, Any]


def _jars() -> list[pathlib.Path]:
    named = os.environ.get("OTTLA_KAFKA_CLIENTS_JAR")
    return [pathlib.Path(named)] if named else sorted(PEERS.glob("**/kafka-*.jar"))


@functools.cache
def _definitions() -> dict[str, Definition]:
    found = {}
    for jar in _jars():
        with zipfile.ZipFile(jar) as archive:
            for name in archive.namelist():
                if name.startswith("common/message/") and name.endswith(".json"):
                    text = archive.read(name).decode()
                    definition = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
                    found[definition["name"]] = definition
    return found


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _default(definition: Definition) -> object:
    """The stated default, or the one Kafka's generator assumes."""
    type_, stated = definition["type"], definition.get("default")
    if stated == "null":
        return None
    if type_[0].isupper():
        return EMPTY_STRUCT
    if type_.startswith("[]"):
        return []
    if type_ == "bool":
        return str(stated).lower() == "true"
    if type_ == "string":
        return stated or ""
    if type_ in ("bytes", "records"):
        return b""
    if type_ == "uuid":
        return uuid.UUID(int=0)
    return float(stated or 0) if type_ == "float64" else int(str(stated or 0), 0)


def _versions(field: Definition) -> range:
    """The versions that have a field; one that is tagged in all of them states only that."""
    return parse_versions(field.get("versions") or field["taggedVersions"])


class Comparison:
    """Collects what differs between a declaration and Kafka's definition of it."""

    def __init__(self, cls: type[Message], definition: Definition) -> None:
        self.problems: list[str] = []
        self._versions = cls.VERSIONS
        self._commons = {common["name"]: common for common in definition.get("commonStructs", [])}
        self._compare_head(cls, definition)
        for version in cls.VERSIONS:
            flexible = cls.SCHEMA.is_flexible(version)
            self._compare_structs(cls.SCHEMA, definition["fields"], version, flexible, cls.__name__)

    def _compare_head(self, cls: type[Message], definition: Definition) -> None:
        if definition["type"] in ("request", "response"):
            self._expect("API key", cls.API_KEY, definition["apiKey"])
        stable = [
            version
            for version in parse_versions(definition["validVersions"])
            if version != UNSTABLE.get(cls.__name__)
        ]
        self._expect("versions", list(cls.VERSIONS), stable)
        flexible = parse_versions(definition["flexibleVersions"])
        for version in cls.VERSIONS:
            ours = cls.SCHEMA.is_flexible(version)
            self._expect(f"flexible in v{version}", ours, version in flexible)

    def _expect(self, what: str, ours: object, theirs: object) -> None:
        if ours != theirs:
            self.problems.append(f"{what}: ours is {ours!r}, Kafka's {theirs!r}")

    def _compare_structs(
        self, schema: Schema, theirs: list[Definition], version: int, flexible: bool, where: str
    ) -> None:
        present = [field for field in theirs if version in _versions(field)]
        ours = [field for field in schema.fields if version in field.versions]
        names = [_snake(field["name"]) for field in present]
        self._expect(f"{where} v{version} fields", [field.name for field in ours], names)
        for field, definition in zip(ours, present, strict=False):
            self._compare_fields(field, definition, version, flexible, f"{where}.{field.name}")

    def _compare_fields(
        self, ours: Field, theirs: Definition, version: int, flexible: bool, where: str
    ) -> None:
        spot = f"{where} v{version}"
        is_tagged = version in parse_versions(theirs.get("taggedVersions", "none"))
        self._expect(f"{spot} tagged", version in ours.tagged, is_tagged)
        if is_tagged:
            self._expect(f"{spot} tag", ours.tag, theirs["tag"])
        is_nullable = version in parse_versions(theirs.get("nullableVersions", "none"))
        self._expect(f"{spot} nullable", version in ours.nullable, is_nullable)
        is_old = theirs.get("flexibleVersions") == "none"
        self._expect(f"{spot} always in the old format", ours.always_legacy, is_old)
        self._compare_types(ours.type, theirs, theirs["type"], version, flexible, where)
        self._compare_defaults(ours, theirs, spot)

    def _compare_types(
        self,
        ours: WireType,
        theirs: Definition,
        name: str,
        version: int,
        flexible: bool,
        where: str,
    ) -> None:
        if name.startswith("[]") and isinstance(ours, ArrayOf):
            self._compare_types(ours.element, theirs, name[2:], version, flexible, where)
        elif name[0].isupper() and isinstance(ours, StructOf):
            fields = theirs.get("fields") or self._commons[name]["fields"]
            self._compare_structs(ours.schema, fields, version, flexible, where)
        else:
            self._expect(f"{where} v{version} type", ours.name, TYPES.get(name, name))

    def _compare_defaults(self, ours: Field, theirs: Definition, spot: str) -> None:
        """Defaults matter where a field may be absent, and wherever both sides state one."""
        may_be_absent = ours.tag is not None or any(
            version not in ours.versions for version in self._versions
        )
        both_state = "default" in theirs and not ours.is_required
        if not may_be_absent and not both_state:
            return
        default = ours.default
        # Where a tagged struct can't be null, None stands for one that isn't sent.
        if isinstance(ours.type, StructOf) and (default is not None or not ours.nullable):
            default = EMPTY_STRUCT
        self._expect(f"{spot} default", default, _default(theirs))
        if may_be_absent and ours.tag is None:
            self._expect(f"{spot} ignorable", ours.ignorable, theirs.get("ignorable", False))


@pytest.mark.skipif(not _jars(), reason="Kafka's jars aren't there (make peers)")
@pytest.mark.parametrize("cls", declared_messages(), ids=lambda cls: cls.__name__)
def test_a_declaration_is_kafkas_definition(cls: type[Message]) -> None:
    definition = _definitions().get(cls.__name__)
    if definition is None:
        pytest.skip(f"no jar here defines {cls.__name__}")
    assert Comparison(cls, definition).problems == []


@pytest.mark.skipif(not _jars(), reason="Kafka's jars aren't there (make peers)")
def test_every_api_of_the_broker_is_declared() -> None:
    theirs = {
        (definition["apiKey"], definition["name"].removesuffix("Request"))
        for definition in _definitions().values()
        if definition["type"] == "request" and "broker" in definition.get("listeners", [])
    }
    ours = {
        (cls.API_KEY, cls.__name__.removesuffix("Request"))
        for cls in declared_messages()
        if cls.API_KEY is not None and cls.__name__.endswith("Request")
    }
    assert ours == theirs


def test_open_ranges_reach_every_version() -> None:
    assert parse_versions("4+")[-1] == MAX_VERSION
