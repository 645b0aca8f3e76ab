"""Message, compared with confluent_kafka's, action by action."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import confluent_kafka
import pytest

GETTERS = (
    "topic", "partition", "offset", "key", "value", "headers", "timestamp", "latency",
    "leader_epoch", "delivery_count", "deserialized_key", "deserialized_value", "error",
)  # fmt: skip
FULL = ("t", 1, 2, b"k", b"v", [("a", b"1")], None, (1, 2), 0.5, 3, 9)


def fields(message: Any) -> list[object]:
    return [getattr(message, name)() for name in GETTERS]


def changed(message_type: Any, index: int, value: object) -> Any:
    arguments = list(FULL)
    arguments[index] = value
    return message_type(*arguments)


def unpickled(message: Any) -> Any:
    return pickle.Unpickler(io.BytesIO(pickle.dumps(message))).load()


def after(message: Any, setter: str, value: object) -> object:
    returned = getattr(message, setter)(value)
    return returned, fields(message)


ACTIONS: dict[str, Callable[[Any], object]] = {
    "defaults": lambda m: fields(m()),
    "all": lambda m: fields(m(*FULL)),
    "keywords": lambda m: fields(m(topic="t", value=b"v", delivery_count=2, leader_epoch=0)),
    "unknown keyword": lambda m: m(zzz=1),
    "too many": lambda m: m(*FULL, 1),
    "again": lambda m: [(x := m(*FULL)).__init__("q"), fields(x)],
    "lengths": lambda m: [len(m(value=v)) for v in (None, b"", b"abc", "é", {"a": 1})],
    "truth": lambda m: [bool(m(value=v)) for v in (None, b"", b"a")],
    "length of number": lambda m: len(m(value=1)),
    "hash": lambda m: hash(m()),
    "equal": lambda m: [m() == m(), m(*FULL) == m(*FULL), m() != m(), m("a") != m("b")],
    "equal to others": lambda m: [m() == 1, m() is None, m() != 1, m("t") == "t"],
    "equal field by field": lambda m: [
        m(*FULL) == changed(m, index, value)
        for index, value in enumerate(("u", 2, 3, b"", b"", [], 5, (2, 2), 0.6, 4, 8))
    ],
    "order": lambda m: m() < m(),
    "pickle": lambda m: fields(unpickled(m(*FULL))),
    "copy": lambda m: [copy.copy(m(*FULL)) == m(*FULL), fields(copy.deepcopy(m(*FULL)))],
    "reduced": lambda m: m(*FULL).__reduce__()[1],
    "attribute": lambda m: setattr(m(), "x", 1),
    "set without value": lambda m: m().set_value(),
    "set by keyword": lambda m: m().set_value(value=1),
    "get with argument": lambda m: m().value(1),
    "subclass": lambda m: fields(type("Sub", (m,), {})("t")),
    "timestamp list": lambda m: m(timestamp=[1, 5]),
    "timestamp short": lambda m: m(timestamp=(1,)),
    "timestamp long": lambda m: m(timestamp=(1, 2, 3)),
}
for _name, _values in {
    "partition": (-2, -1, 0, 5, None, "x", 2**31, 1.5, True),
    "offset": (-1001, -1, 0, 5, None, "x", 2**63, 1.5),
    "leader_epoch": (-1, 0, 5, None, 2**31),
    "delivery_count": (-1, 0, 5, None, 2**15, 2**31),
    "latency": (-1.0, 0, 0.5, None, "x"),
    "timestamp": ((1, 5), (5, 5), (0, 7), (-1, -1), None),
    "topic": (1, b"t", None, "a\0b"),
    "headers": (1, "s", None, [], {"a": b"b"}, (("a", b"1"),)),
    "error": (1, "s", None),
}.items():
    for _value in _values:
        ACTIONS[f"{_name} {_value!r}"] = lambda m, n=_name, v=_value: fields(m(**{n: v}))
for _setter in ("set_topic", "set_key", "set_value", "set_headers", "set_error"):
    for _value in (1, "s", None, b"x", [("a", b"b")], {"a": 1}):
        ACTIONS[f"{_setter} {_value!r}"] = lambda m, n=_setter, v=_value: after(m(*FULL), n, v)


def observe(action: Callable[[Any], object], message_type: Any) -> tuple[str, object]:
    try:
        return "returned", action(message_type)
    except Exception as error:
        return "raised", type(error)


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_a_message_behaves_as_confluent_kafkas(
    twin: ModuleType, action: Callable[[Any], object]
) -> None:
    assert observe(action, twin.Message) == observe(action, confluent_kafka.Message)


def test_a_message_may_be_parametrised_for_type_checkers(twin: ModuleType) -> None:
    assert twin.Message[str, int]("t").topic() == "t"


@pytest.mark.parametrize("name", ["murmur2", "consistent", "fnv1a"])
def test_partitioners_choose_as_confluent_kafkas(twin: ModuleType, name: str) -> None:
    ours, theirs = getattr(twin, name), getattr(confluent_kafka, name)
    for size in range(40):
        key = bytes((size * 31 + position * 97) % 256 for position in range(size))
        for count in (1, 7, 1000, 2**31 - 1):
            assert ours(key, count) == theirs(key, count)
    for arguments in (("s", 10), (None, 10), (b"a", 0), (b"a", -1), (b"a",), (b"a", 2**31)):
        with pytest.raises((TypeError, ValueError, OverflowError)) as raised:
            theirs(*arguments)
        with pytest.raises(raised.type):
            ours(*arguments)
