"""Requests nobody would send: random instances of every declared request, and damaged ones.

Unlike ``messages`` this needs no hypothesis and makes thousands a second: it is for feeding a
running broker, not for finding the smallest example.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple, cast

from ottla.testing.raw_client import batch_of
from ottla.wire.apis import declaration
from ottla.wire.declare import Message, Struct
from ottla.wire.frames import encode_request
from ottla.wire.schema import ArrayOf, Field, Fixed, Schema, Sized, StructOf, WireType

_LENGTH_BYTES = 4
_INTEGER_BITS = {"b": 8, "h": 16, "i": 32, "q": 64}
_MOST_ELEMENTS = 4
_STRANGE_TEXTS = ("", "é" * 60, "..", "a/b", "\0", "x" * 300)
_HUGE_COUNTS = (0x7FFFFFFF, 0x40000000, 0xFFFFFFFF, 0x80000000, 0x00FFFFFF)
# Requests may ask to be kept waiting: not for longer than a test has time.
_SHORT_TIMES = (0, 1, 20, -1)


class FuzzedRequest(NamedTuple):
    """A request to send as it is."""

    key: int
    version: int
    data: bytes
    """The whole frame with its length."""
    is_damaged: bool


class RequestFuzzer:
    """Makes requests out of random choices.

    Args:
        versions: API key -> (oldest, newest) version, as ApiVersions tells them.
        vocabulary: by the end of a field's name, texts that mean something to the broker.
        topic_ids: ids of topics that there are.
    """

    def __init__(
        self,
        random: Random,
        versions: Mapping[int, tuple[int, int]],
        vocabulary: Mapping[str, Sequence[str]],
        *,
        topic_ids: Sequence[uuid.UUID] = (),
    ) -> None:
        self._random = random
        self._topic_ids = list(topic_ids)
        self._vocabulary = vocabulary
        self._kinds = [
            (key, version)
            for key, (oldest, newest) in sorted(versions.items())
            for version in range(oldest, newest + 1)
            if version in declaration(key)[0].VERSIONS
        ]

    @property
    def kinds(self) -> list[tuple[int, int]]:
        """Every API and version there is to ask."""
        return list(self._kinds)

    def request(self, key: int, version: int, *, damage: bool) -> FuzzedRequest:
        """A request of this kind, damaged or as a client could send it."""
        message = self._struct(declaration(key)[0].SCHEMA, version)
        data = encode_request(
            cast(Message, message),
            version,
            correlation_id=self._random.getrandbits(31),
            client_id=self._random.choice([None, "", "fuzz", "x" * 200]),
        )
        return FuzzedRequest(key, version, self._damaged(data) if damage else data, damage)

    def message(self, kind: type[Message], version: int) -> Message:
        """Any message, as its declaration allows it."""
        return cast("Message", self._struct(kind.SCHEMA, version))

    def _damaged(self, data: bytes) -> bytes:
        random = self._random
        body = bytearray(data[_LENGTH_BYTES:])
        for _ in range(random.choice([1, 1, 2, 5, 20])):
            at = random.randrange(len(body)) if body else 0
            match random.randrange(6):
                case 0 if body:
                    body[at] ^= 1 << random.randrange(8)
                case 1 if body:
                    body[at] = random.choice([0, 1, 0x7F, 0x80, 0xFF])
                case 2:
                    del body[at:]
                case 3:
                    body[at:at] = random.randbytes(random.randrange(1, 40))
                case 4:
                    huge = random.choice(_HUGE_COUNTS)
                    body[at : at + 4] = huge.to_bytes(4, "big")
                case _:
                    del body[at : at + random.randrange(1, 8)]
        return len(body).to_bytes(_LENGTH_BYTES, "big") + bytes(body)

    def _struct(self, schema: Schema, version: int) -> Struct:
        values = {
            field.name: self._value(field, version)
            for field in schema.fields
            if version in field.versions
        }
        values |= {
            field.name: _blank(field)
            for field in schema.fields
            if field.is_required and field.name not in values
        }
        return cast("Struct", schema.cls(**values))

    def _value(self, field: Field, version: int) -> Any:
        if version in field.nullable and self._random.random() < 0.2:
            return None
        is_optional_tag = version in field.tagged and field.default is None
        if is_optional_tag and self._random.random() < 0.7:
            return None
        return self._of_type(field.type, field.name, version)

    def _of_type(self, type_: WireType, name: str, version: int) -> Any:
        random = self._random
        if isinstance(type_, StructOf):
            return self._struct(type_.schema, version)
        if isinstance(type_, ArrayOf):
            count = random.choice([0, 1, 1, 1, 2, _MOST_ELEMENTS])
            return [self._of_type(type_.element, name, version) for _ in range(count)]
        if isinstance(type_, Sized):
            return self._sized(type_, name)
        return self._fixed(type_, name)

    def _sized(self, type_: Sized, name: str) -> str | bytes:
        random = self._random
        if type_.name == "Records":
            return random.choice([b"", random.randbytes(80), batch_of([b"fuzz"] * 3)])
        if type_.name != "String":
            return random.randbytes(random.choice([0, 3, 200]))
        known = [
            text for end, texts in self._vocabulary.items() if name.endswith(end) for text in texts
        ]
        if known and random.random() < 0.8:
            return random.choice(known)
        return random.choice(_STRANGE_TEXTS)

    def _fixed(self, type_: Fixed, name: str) -> Any:
        random = self._random
        if type_.format == "?":
            return random.random() < 0.5
        if type_.format == "d":
            return random.choice([0.0, 1.5, -1.0, float("inf"), float("nan")])
        if type_.format == "16s":
            strange = [uuid.UUID(int=number) for number in (0, 1, random.getrandbits(128))]
            return random.choice([*self._topic_ids, *strange])
        bits = _INTEGER_BITS[type_.format.lower()]
        if type_.format.isupper():
            return random.choice([0, 1, 2**bits - 1])
        if "timeout" in name or "wait" in name:
            return random.choice(_SHORT_TIMES)
        limit = 2 ** (bits - 1)
        return random.choice([0, 0, 1, 1, 2, -1, -2, limit - 1, -limit, random.randrange(100)])


def _blank(field: Field) -> Any:
    if isinstance(field.default, Schema):
        return field.default.cls(
            **{inner.name: _blank(inner) for inner in field.default.fields if inner.is_required}
        )
    return [] if isinstance(field.default, list) else field.default
