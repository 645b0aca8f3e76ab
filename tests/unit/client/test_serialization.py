"""Serializers beside confluent_kafka's."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import confluent_kafka.error
import confluent_kafka.serialization
import pytest

import ottla.error
import ottla.serialization

OURS, THEIRS = ottla.serialization, confluent_kafka.serialization
CASES: list[tuple[str, Any]] = [
    ("String", "ключ"), ("String", ""), ("String", None), ("String", "\ud800"),
    ("Integer", 5), ("Integer", -(2**31)), ("Integer", 2**31), ("Integer", None), ("Integer", "x"),
    ("Double", 1.5), ("Double", None), ("Double", "x"),
]  # fmt: skip


def outcome(module: ModuleType, kind: str, given: Any) -> Any:
    try:
        return getattr(module, kind)()(given, None)
    except module.SerializationError as error:
        return type(error).__name__


@pytest.mark.parametrize(("kind", "given"), CASES)
def test_both_libraries_make_the_same_bytes(kind: str, given: Any) -> None:
    ours = outcome(OURS, f"{kind}Serializer", given)
    assert ours == outcome(THEIRS, f"{kind}Serializer", given)
    if isinstance(ours, bytes):
        assert OURS.__dict__[f"{kind}Deserializer"]()(ours) == given


@pytest.mark.parametrize("kind", ["String", "Integer", "Double"])
@pytest.mark.parametrize("given", [None, b"", b"\xff", b"\0\0\0\1", b"\0" * 8])
def test_both_libraries_read_the_same(kind: str, given: bytes | None) -> None:
    name = f"{kind}Deserializer"
    assert outcome(OURS, name, given) == outcome(THEIRS, name, given)


def test_errors_tell_what_failed() -> None:
    for module in (ottla.error, confluent_kafka.error):
        error = module.KeySerializationError(ValueError("bad"))
        assert (error.code, error.name) == (-162, "_KEY_SERIALIZATION")
        assert str(error.exception) == "bad"
        assert error.args[0].str() == "bad"
        consumed = module.ValueDeserializationError(ValueError("bad"), "message")
        assert (consumed.name, consumed.kafka_message) == ("_VALUE_DESERIALIZATION", "message")


def test_the_context_names_the_part() -> None:
    context = OURS.SerializationContext("t", OURS.MessageField.KEY, [("a", b"b")])
    assert (context.topic, str(context.field), context.headers) == ("t", "key", [("a", b"b")])


def test_a_serializing_producer_serializes_key_and_value() -> None:
    seen: list[tuple[str, str]] = []

    def serialize(obj: Any, context: ottla.serialization.SerializationContext) -> bytes:
        seen.append((context.topic, str(context.field)))
        if obj == "bad":
            raise ValueError("bad")
        return str(obj).encode()

    producer = ottla.SerializingProducer(
        {
            "bootstrap.servers": "127.0.0.1:1",
            "log_level": 0,
            "key.serializer": serialize,
            "value.serializer": serialize,
        }
    )
    told: list[Any] = []
    producer.produce("t", 1, 2, on_delivery=lambda _, message: told.append(message))
    with pytest.raises(ottla.error.KeySerializationError):
        producer.produce("t", "bad", 2)
    with pytest.raises(ottla.error.ValueSerializationError):
        producer.produce("t", 1, "bad")
    producer.purge()
    producer.close()
    assert [(message.key(), message.value()) for message in told] == [(b"1", b"2")]
    assert seen[:2] == [("t", "key"), ("t", "value")]
