"""Every advertised API of transactions and features in every version, well and in error."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import pytest

from ottla.broker.api import ADVERTISED
from ottla.testing.plain_messages import Fields, ask, error_codes
from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually
from ottla.wire.apis import declaration
from ottla.wire.errors import ErrorCode as E

_numbers = itertools.count(1)
NOBODY = {"producer_id": 12345678, "producer_epoch": 0}
# What was refused before PRODUCER_FENCED was known to an API (KIP-588).
FENCED, OLD_EPOCH = {E.PRODUCER_FENCED}, {E.INVALID_PRODUCER_EPOCH}


class World:
    """What requests may name: a topic, and producers with a transactional id."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.prefix = f"transactional-{uuid.uuid4().hex[:8]}"
        self.topic = self.name()
        create = {"name": self.topic, "num_partitions": 2, "replication_factor": 1}
        ask(connection, 19, 7, {"topics": [create | {"assignments": [], "configs": []}]})
        eventually(self._is_ready, what="the coordinator of transactions")

    def _is_ready(self) -> bool:
        # Kafka creates its topics when it is first asked, and takes a while to load them.
        keys = {"key_type": 1, "coordinator_keys": ["any"]}
        group = {"key_type": 0, "coordinator_keys": ["any"]}
        if set(error_codes(ask(self.connection, 10, 4, keys), 4)) != {0}:
            return False
        if set(error_codes(ask(self.connection, 10, 4, group), 4)) != {0}:
            return False
        producer = ask(self.connection, 22, 4, init(self.name()))
        if producer.error_code:
            return False
        added = ask(self.connection, 24, 3, v3(add(self)))
        return 0 in set(error_codes(added, 3))

    def name(self) -> str:
        return f"{self.prefix}-{next(_numbers)}"

    def producer(self) -> Fields:
        """A transactional id with its producer, and no transaction."""
        name = self.name()

        def initialised() -> Any:
            granted = ask(self.connection, 22, 4, init(name))
            return granted if granted.error_code == 0 else None

        granted = eventually(initialised, what="a producer")
        return {
            "transactional_id": name,
            "producer_id": granted.producer_id,
            "producer_epoch": granted.producer_epoch,
        }

    def fenced(self) -> Fields:
        """A producer whose transactional id another has taken."""
        producer = self.producer()
        answer = ask(self.connection, 22, 4, init(producer["transactional_id"]))
        assert answer.error_code == 0
        return producer

    def opened(self) -> Fields:
        """A producer with an open transaction."""
        producer = self.producer()
        added = ask(self.connection, 24, 3, v3(producer | {"topics": [topic(self.topic)]}))
        assert set(error_codes(added, 3)) == {0}
        return producer


def init(transactional_id: str | None, **fields: Any) -> Fields:
    return {"transactional_id": transactional_id, "transaction_timeout_ms": 10_000, **fields}


def topic(name: str, *partitions: int) -> Fields:
    return {"name": name, "partitions": list(partitions or (0,))}


def v3(fields: Fields) -> Fields:
    return {f"v3_and_below_{name}": value for name, value in fields.items()}


def add(world: World, producer: Fields | None = None, name: str | None = None) -> Fields:
    known = world.producer() if producer is None else producer
    return known | {"topics": [topic(name or world.topic)]}


def both(fields: Fields) -> Fields:
    """AddPartitionsToTxn: for one transaction, and from version 4 on for several."""
    return v3(fields) | {"transactions": [fields]}


def verify(fields: Fields) -> Fields:
    return {"transactions": [fields | {"verify_only": True}]}


def offsets(world: World, producer: Fields) -> Fields:
    return producer | {"group_id": world.name()}


def end(producer: Fields, *, committed: bool = True) -> Fields:
    return producer | {"committed": committed}


def feature(name: str, level: int, upgrade_type: int = 1) -> Fields:
    update = {"feature": name, "max_version_level": level, "upgrade_type": upgrade_type}
    return {"timeout_ms": 10_000, "feature_updates": [update], "validate_only": True}


class Case(NamedTuple):
    """A request and the error codes of its answer, from a version on."""

    story: str
    fields: Callable[[World], Fields]
    codes: Callable[[int], AbstractSet[int]]
    first_version: int = 0
    last_version: int = 99


def always(*codes: int) -> Callable[[int], AbstractSet[int]]:
    return lambda version: set(codes)


def since(
    first: int, newer: AbstractSet[int], older: AbstractSet[int]
) -> Callable[[int], AbstractSet[int]]:
    return lambda version: newer if version >= first else older


def in_list(codes: AbstractSet[int]) -> Callable[[int], AbstractSet[int]]:
    """From version 4 on AddPartitionsToTxn has a code for the whole beside those of partitions."""
    return lambda version: codes | {0} if version >= 4 else codes


CASES: dict[int, list[Case]] = {
    22: [
        Case("well", lambda world: init(world.name()), always(0)),
        Case(
            "too patient",
            lambda world: init(world.name()) | {"transaction_timeout_ms": 1 << 30},
            always(E.INVALID_TRANSACTION_TIMEOUT),
        ),
        Case("recovering", lambda world: init(None) | world.producer(), always(0), 3),
        Case(
            "fenced",
            lambda world: init(None) | world.fenced(),
            since(4, FENCED, OLD_EPOCH),
            3,
        ),
        Case(
            "half known",
            lambda world: init(world.name(), producer_id=5),
            always(E.INVALID_REQUEST),
            3,
        ),
    ],
    24: [
        Case("well", lambda world: both(add(world)), always(0)),
        Case(
            "unknown topic",
            lambda world: both(add(world, name="nowhere")),
            in_list({E.UNKNOWN_TOPIC_OR_PARTITION}),
        ),
        Case(
            "unknown producer",
            lambda world: both(add(world, world.producer() | NOBODY)),
            in_list({E.INVALID_PRODUCER_ID_MAPPING}),
        ),
        Case(
            "fenced",
            lambda world: both(add(world, world.fenced())),
            lambda version: in_list(FENCED if version >= 2 else OLD_EPOCH)(version),
        ),
        Case("verified", lambda world: verify(add(world, world.opened())), always(0), 4),
        Case(
            "not begun",
            lambda world: verify(add(world)),
            in_list({E.TRANSACTION_ABORTABLE}),
            4,
        ),
    ],
    25: [
        Case("well", lambda world: offsets(world, world.producer()), always(0)),
        Case(
            "unknown producer",
            lambda world: offsets(world, world.producer() | NOBODY),
            always(E.INVALID_PRODUCER_ID_MAPPING),
        ),
        Case(
            "fenced",
            lambda world: offsets(world, world.fenced()),
            since(2, FENCED, OLD_EPOCH),
        ),
    ],
    26: [
        Case("commit", lambda world: end(world.opened()), always(0)),
        Case("abort", lambda world: end(world.opened(), committed=False), always(0)),
        Case("nothing begun", lambda world: end(world.producer()), always(E.INVALID_TXN_STATE)),
        Case(
            "nothing to abort",
            lambda world: end(world.producer(), committed=False),
            since(5, {0}, {E.INVALID_TXN_STATE}),
        ),
        Case(
            "unknown producer",
            lambda world: end(world.opened() | NOBODY),
            always(E.INVALID_PRODUCER_ID_MAPPING),
        ),
        Case("fenced", lambda world: end(world.fenced()), since(2, FENCED, OLD_EPOCH)),
    ],
    57: [
        Case("well", lambda world: feature("transaction.version", 2), always(0), 1),
        Case(
            "unsafe",
            lambda world: feature("transaction.version", 1, 3),
            always(0),
            1,
        ),
        Case(
            "downgrade by the way",
            lambda world: feature("transaction.version", 1),
            always(E.INVALID_UPDATE_VERSION),
            1,
        ),
        Case(
            "downgrade",
            lambda world: feature("no.such.feature", 1),
            since(2, {E.INVALID_UPDATE_VERSION}, {E.INVALID_UPDATE_VERSION}),
        ),
    ],
    65: [
        Case(
            "well",
            lambda world: {"transactional_ids": [world.opened()["transactional_id"]]},
            always(0),
        ),
        Case(
            "unknown id",
            lambda world: {"transactional_ids": [world.name()]},
            always(E.TRANSACTIONAL_ID_NOT_FOUND),
        ),
    ],
    66: [
        Case(
            "well",
            lambda world: {
                "state_filters": ["Ongoing"],
                "producer_id_filters": [5],
                "duration_filter": 1000,
            },
            always(0),
        ),
        Case("unknown state", lambda world: {"state_filters": ["Sleeping"]}, always(0)),
        Case(
            "no pattern",
            lambda world: {"transactional_id_pattern": "(unclosed"},
            always(E.INVALID_REGULAR_EXPRESSION),
            2,
        ),
    ],
}


@pytest.fixture(scope="module")
def world(connection: Connection) -> World:
    return World(connection)


def cases() -> Iterator[Any]:
    for key in CASES:
        oldest, newest = ADVERTISED[key]
        request, _ = declaration(key)
        for version in range(oldest, newest + 1):
            for case in CASES[key]:
                if case.first_version <= version <= case.last_version:
                    name = f"{request.__name__.removesuffix('Request')}-{version}-{case.story}"
                    yield pytest.param(key, version, case, id=name.replace(" ", "-"))


@pytest.mark.parametrize(("key", "version", "case"), list(cases()))
def test_every_version(key: int, version: int, case: Case, world: World, bootstrap: str) -> None:
    fields = case.fields(world)
    with Connection(bootstrap) as connection:
        response = ask(connection, key, version, fields)
    assert set(error_codes(response, version)) == case.codes(version)
