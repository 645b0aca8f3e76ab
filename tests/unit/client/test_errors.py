"""KafkaError and KafkaException: what confluent_kafka's users compare, hash, print and pickle."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import confluent_kafka
import pytest

from ottla.client.error_codes import DESCRIPTIONS, NAMES
from ottla.client.errors import (
    ConcurrentModificationException,
    IllegalStateException,
    KafkaError,
    KafkaException,
)

Ours, Theirs = KafkaError, confluent_kafka.KafkaError
ErrorType = type[KafkaError]


def constants(error_type: type) -> dict[str, int]:
    return {
        name: getattr(error_type, name)
        for name in dir(error_type)
        if isinstance(getattr(error_type, name), int) and not name.startswith("__")
    }


def test_all_188_constants_are_the_same() -> None:
    assert constants(Ours) == constants(Theirs)
    assert len(constants(Ours)) == len(NAMES) == len(DESCRIPTIONS) == 188


@pytest.mark.parametrize("code", [*sorted(NAMES), 98, 101, 134, 99_999, -2, -136, -200, -1000])
def test_every_code_names_and_describes_itself_the_same(code: int) -> None:
    ours, theirs = Ours(code), Theirs(code)
    assert (ours.code(), ours.name(), ours.str()) == (theirs.code(), theirs.name(), theirs.str())
    assert repr(ours) == repr(theirs)
    assert str(ours) == str(theirs)


def observe(action: Callable[[ErrorType], object], error_type: ErrorType) -> tuple[object, ...]:
    """What a user sees: the result, or the exception's type."""
    try:
        return ("returned", action(error_type))
    except Exception as error:
        return ("raised", type(error))


ACTIONS: dict[str, Callable[[ErrorType], object]] = {
    "text": lambda e: e(1, "why").str(),
    "empty text": lambda e: e(1, "").str(),
    "text of None": lambda e: e(1, None).str(),
    "text in unicode": lambda e: repr(e(1, "é✓")),
    "by keywords": lambda e: repr(e(error=5, reason="x", fatal=True)),
    "fatal in repr": lambda e: repr(e(-150, "x", True, True, True)),
    "flags": lambda e: [
        (x.fatal(), x.retriable(), x.txn_requires_abort())
        for x in (e(1), e(1, "", 1), e(1, "", 0, 2), e(1, "", False, False, True))
    ],
    "no code": lambda e: e(),
    "code as text": lambda e: e("1"),
    "code as float": lambda e: e(1.0),
    "code as bool": lambda e: e(True).code(),
    "code beyond 32 bits": lambda e: e(2**31),
    "code below 32 bits": lambda e: e(-(2**31) - 1),
    "reason as bytes": lambda e: e(1, b"x"),
    "reason as number": lambda e: e(1, 2),
    "flag as None": lambda e: e(1, "x", None),
    "flag as text": lambda e: e(1, "x", "yes"),
    "unknown keyword": lambda e: e(code=1),
    "too many": lambda e: e(1, "x", 0, 0, 0, 0),
    "equal to code": lambda e: (e(3) == 3, e(3) == 4, e(3) != 3, e(1) == True),  # noqa: E712
    "equal to error": lambda e: (e(3) == e(3, "other", True), e(3) == e(4), e(3) != e(4)),
    "order": lambda e: (e(3) < 4, e(3) > 4, e(3) <= 3, e(3) >= 4, e(-5) < e(3)),
    "in a tuple": lambda e: (e(3) in (1, 3), e(3) in {3: "x"}, e(3) in [e(3)]),
    "hash": lambda e: (hash(e(3)), hash(e(-150)), len({e(3), e(3), e(4)})),
    "truth": lambda e: (bool(e(0)), bool(e(3)), bool(e(-1))),
    "as an integer": lambda e: int(e(3)),
    "attribute": lambda e: setattr(e(3), "note", 1),
    "length": lambda e: len(e(3)),
    "reduced": lambda e: e(3, "x", True).__reduce__()[1],
    "pickled": lambda e: len(pickle.dumps(e(3, "x", True))) > 0,
    "copied": lambda e: (repr(copy.copy(e(3))), repr(copy.deepcopy(e(3, "x")))),
    "subclassed": lambda e: repr(type("Special", (e,), {})(3)),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_a_kafka_error_behaves_as_confluents(name: str) -> None:
    assert observe(ACTIONS[name], Ours) == observe(ACTIONS[name], Theirs)


def test_huge_integers_compare_instead_of_wrapping_around() -> None:
    assert KafkaError(1) != 2**70
    assert KafkaError(1) < 2**40
    assert hash(KafkaError(-1)) == hash(-1)


def test_the_exception_shows_its_error() -> None:
    for exception, error in (
        (KafkaException, KafkaError),
        (confluent_kafka.KafkaException, confluent_kafka.KafkaError),
    ):
        raised = exception(error(3, "gone"))
        assert raised.args[0].code() == 3
        assert str(raised) == 'KafkaError{code=UNKNOWN_TOPIC_OR_PART,val=3,str="gone"}'
        assert repr(raised) == f"KafkaException({raised})"
        assert exception().args == ()


def test_errors_and_exceptions_can_be_taken_apart_and_built_again() -> None:
    build, arguments = KafkaError(3, "gone", True, False, True).__reduce__()
    again = build(*arguments)
    assert (again.code(), again.str()) == (3, "gone")
    assert (again.fatal(), again.retriable(), again.txn_requires_abort()) == (True, False, True)
    assert copy.copy(KafkaException(KafkaError(3, "gone"))).args[0].str() == "gone"


@pytest.mark.parametrize("other", [None, "3", 3.0, object(), []])
def test_an_error_is_unequal_to_what_is_no_code(other: object) -> None:
    # There the comparison leaves an exception behind that surfaces somewhere later.
    assert KafkaError(3) != other
    assert not KafkaError(3) == other  # noqa: SIM201 - the other operator
    with pytest.raises(TypeError):
        assert KafkaError(3) < other  # type: ignore[operator]


def test_state_exceptions_are_runtime_errors_as_confluents() -> None:
    assert IllegalStateException.__bases__ == confluent_kafka.IllegalStateException.__bases__
    theirs = confluent_kafka.ConcurrentModificationException.__bases__
    assert ConcurrentModificationException.__bases__ == theirs
