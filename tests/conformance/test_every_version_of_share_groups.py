"""Every advertised API of share groups in every version, well and in error."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import pytest

from ottla.broker.api import ADVERTISED
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.plain_messages import Fields, ask, error_codes
from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually
from ottla.wire.apis import declaration
from ottla.wire.errors import ErrorCode as E

_numbers = itertools.count(1)
UNKNOWN_ID = uuid.UUID(int=7)
RECORDS = 3


class Member:
    """A member of a group, with the session on its own connection."""

    def __init__(self, world: World, group: str) -> None:
        self.world, self.group, self.id = world, group, str(uuid.uuid4())
        self.connection = Connection(world.bootstrap)
        self.epoch = 0
        self.beat({"subscribed_topic_names": [world.topic]})

    def beat(self, fields: Fields | None = None) -> None:
        response = ask(self.connection, 76, 1, heartbeat(self.group, self.id, self.epoch, fields))
        assert response.error_code == 0
        self.epoch = response.member_epoch

    def acquire(self) -> None:
        """Opens a session and holds every record of the topic."""
        epochs = itertools.count()

        def acquired() -> bool:
            fields = share_fetch(self.world, self.group, self.id, next(epochs))
            if fields["share_session_epoch"]:
                fields["topics"] = []
            response = ask(self.connection, 78, 1, fields)
            assert response.error_code == 0
            return any(
                each.acquired_records for topic in response.responses for each in topic.partitions
            )

        eventually(acquired, what="records")
        self.next_session_epoch = next(epochs)


class World:
    """What requests may name: a topic with records, and share groups."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.connection = Connection(bootstrap)
        self.prefix = f"every-share-{uuid.uuid4().hex[:8]}"
        self.topic = self.name()
        create = {"name": self.topic, "num_partitions": 1, "replication_factor": 1}
        ask(self.connection, 19, 7, {"topics": [create | {"assignments": [], "configs": []}]})
        described = ask(self.connection, 3, 12, {"topics": [{"name": self.topic}]})
        self.topic_id = described.topics[0].topic_id
        data = encode_batch([Record(n, 1_700_000_000_000, b"k", b"v", ()) for n in range(RECORDS)])
        partition = {"index": 0, "records": data}
        topic = {"name": self.topic, "partition_data": [partition]}
        produce = {"acks": -1, "timeout_ms": 10_000, "topic_data": [topic]}
        eventually(
            lambda: set(error_codes(ask(self.connection, 0, 8, produce), 8)) == {0},
            what="the first records",
        )
        eventually(self._is_ready, what="the coordinators")

    def _is_ready(self) -> bool:
        # Kafka creates its topics when it is first asked, and takes a while to load them.
        group = {"key_type": 0, "coordinator_keys": ["any"]}
        if set(error_codes(ask(self.connection, 10, 6, group), 6)) != {0}:
            return False
        joined = ask(self.connection, 76, 1, heartbeat(self.name(), "m", 0, subscribed(self)))
        return bool(joined.error_code == 0)

    def name(self) -> str:
        return f"{self.prefix}-{next(_numbers)}"

    def new_group(self) -> str:
        """The name of a group that begins at the start of topics."""
        name = self.name()
        config = {"name": "share.auto.offset.reset", "config_operation": 0, "value": "earliest"}
        resource = {"resource_type": 32, "resource_name": name, "configs": [config]}
        altered = ask(self.connection, 44, 1, {"resources": [resource], "validate_only": False})
        assert set(error_codes(altered, 1)) == {0}
        return name

    def member(self) -> Member:
        """A member of a new group."""
        return Member(self, self.new_group())

    def holder(self) -> Member:
        """A member that holds every record."""
        member = self.member()
        member.acquire()
        return member

    def empty_group(self) -> str:
        """A group that has state, and no members any more."""
        member = self.holder()
        member.epoch = -1
        member.beat()
        member.connection.close()
        return member.group

    def initialized(self) -> str:
        """A group of which share coordinators know."""
        group = self.name()
        for key in (83, 84):
            fields = state(self, group, state_epoch=1, leader_epoch=1, start_offset=0)
            assert set(error_codes(ask(self.connection, key, 0, fields), 0)) == {0}
        return group


def subscribed(world: World) -> Fields:
    return {"subscribed_topic_names": [world.topic]}


def heartbeat(group: str, member: str, epoch: int, fields: Fields | None = None) -> Fields:
    return {"group_id": group, "member_id": member, "member_epoch": epoch, **(fields or {})}


def share_fetch(world: World, group: str, member: str, epoch: int, **fields: Any) -> Fields:
    partition = {"partition_index": 0, "acknowledgement_batches": []}
    return {
        "group_id": group,
        "member_id": member,
        "share_session_epoch": epoch,
        "max_wait_ms": 100,
        "min_bytes": 1,
        "max_bytes": 1 << 20,
        "max_records": 100,
        "batch_size": 100,
        "topics": [{"topic_id": world.topic_id, "partitions": [partition]}],
        "forgotten_topics_data": [],
        **fields,
    }


def acknowledging(world: World, kind: int, last_offset: int = RECORDS - 1) -> Fields:
    batch = {"first_offset": 0, "last_offset": last_offset, "acknowledge_types": [kind]}
    partition = {"partition_index": 0, "acknowledgement_batches": [batch]}
    return {"topics": [{"topic_id": world.topic_id, "partitions": [partition]}]}


def fetch_on(world: World, member: Member, kind: int, last_offset: int = RECORDS - 1) -> Fields:
    epoch = member.next_session_epoch
    fields = acknowledging(world, kind, last_offset)
    return share_fetch(world, member.group, member.id, epoch, **fields)


def acknowledge(
    world: World, member: Member, kind: int, epoch: int | None = None, **fields: Any
) -> Fields:
    return {
        "group_id": member.group,
        "member_id": member.id,
        "share_session_epoch": member.next_session_epoch if epoch is None else epoch,
        **acknowledging(world, kind, **fields),
    }


def state(world: World, group: str, topic_id: uuid.UUID | None = None, **fields: int) -> Fields:
    """For any request to share coordinators: each takes what it knows."""
    batch = {"first_offset": 1, "last_offset": 2, "delivery_state": 2, "delivery_count": 1}
    partition = {"partition": 0, "state_batches": [batch], **fields}
    topic = {"topic_id": topic_id or world.topic_id, "partitions": [partition]}
    return {"group_id": group, "topics": [topic]}


def offsets(world: World, group: str, name: str | None = None) -> Fields:
    """For any request about a group's offsets."""
    partition = {"partition_index": 0, "start_offset": 1}
    topic = {"topic_name": name or world.topic, "partitions": [partition]}
    return {"group_id": group, "topics": [topic]}


def described(world: World, group: str, *, all_topics: bool = False) -> Fields:
    topic = {"topic_name": world.topic, "partitions": [0]}
    return {"groups": [{"group_id": group, "topics": None if all_topics else [topic]}]}


class Case(NamedTuple):
    """A request and the error codes of its answer, from a version on.

    ``by`` makes the member on whose connection it is sent; ``fields`` takes the world and it.
    """

    story: str
    fields: Callable[..., Fields]
    codes: AbstractSet[int]
    by: Callable[[World], Member] | None = None
    first_version: int = 0


CASES: dict[int, list[Case]] = {
    76: [
        Case("joining", lambda w: heartbeat(w.name(), "m", 0, subscribed(w)), {0}),
        Case("staying", lambda w, m: heartbeat(m.group, m.id, m.epoch), {0}, World.member),
        Case("leaving", lambda w, m: heartbeat(m.group, m.id, -1), {0}, World.member),
        Case("no topics", lambda w: heartbeat(w.name(), "m", 0), {E.INVALID_REQUEST}),
        Case("no group", lambda w: heartbeat(w.name(), "m", 5), {E.GROUP_ID_NOT_FOUND}),
        Case(
            "a stranger",
            lambda w, m: heartbeat(m.group, "x", 1),
            {E.UNKNOWN_MEMBER_ID},
            World.member,
        ),
        Case(
            "another epoch",
            lambda w, m: heartbeat(m.group, m.id, 99),
            {E.FENCED_MEMBER_EPOCH},
            World.member,
        ),
    ],
    77: [
        Case("well", lambda w, m: {"group_ids": [m.group]}, {0}, World.member),
        Case("no group", lambda w: {"group_ids": [w.name()]}, {E.GROUP_ID_NOT_FOUND}),
    ],
    78: [
        Case("well", lambda w, m: share_fetch(w, m.group, m.id, 0), {0}, World.member),
        Case("accepting", lambda w, m: fetch_on(w, m, 1), {0}, World.holder),
        Case(
            "accepting too much",
            lambda w, m: fetch_on(w, m, 1, 9),
            {0, E.INVALID_REQUEST},
            World.holder,
        ),
        Case("unknown type", lambda w, m: fetch_on(w, m, 9), {0, E.INVALID_REQUEST}, World.holder),
        Case(
            "no session",
            lambda w, m: share_fetch(w, m.group, m.id, 5),
            {E.SHARE_SESSION_NOT_FOUND},
            World.member,
        ),
        Case(
            "another session epoch",
            lambda w, m: share_fetch(w, m.group, m.id, 99),
            {E.INVALID_SHARE_SESSION_EPOCH},
            World.holder,
        ),
        Case(
            "acknowledging at first",
            lambda w, m: share_fetch(w, m.group, m.id, 0, **acknowledging(w, 1)),
            {E.INVALID_REQUEST},
            World.member,
        ),
        Case(
            "strictly limited",
            lambda w, m: share_fetch(w, m.group, m.id, 0, share_acquire_mode=1, max_records=1),
            {0},
            World.member,
            2,
        ),
    ],
    79: [
        Case("accepting", lambda w, m: acknowledge(w, m, 1), {0}, World.holder),
        Case("at last", lambda w, m: acknowledge(w, m, 2, -1), {0}, World.holder),
        Case(
            "renewing",
            lambda w, m: acknowledge(w, m, 4) | {"is_renew_ack": True},
            {0},
            World.holder,
            2,
        ),
        Case(
            "too much",
            lambda w, m: acknowledge(w, m, 1, last_offset=9),
            {0, E.INVALID_REQUEST},
            World.holder,
        ),
        Case(
            "another session epoch",
            lambda w, m: acknowledge(w, m, 1, 99),
            {E.INVALID_SHARE_SESSION_EPOCH},
            World.holder,
        ),
        Case(
            "no session",
            lambda w, m: acknowledge(w, m, 1, 5),
            {E.SHARE_SESSION_NOT_FOUND},
            World.member,
        ),
    ],
    83: [
        Case("well", lambda w: state(w, w.name(), state_epoch=1, start_offset=0), {0}),
        Case(
            "fenced",
            lambda w: state(w, w.initialized(), state_epoch=0, start_offset=0),
            {E.FENCED_STATE_EPOCH},
        ),
        Case(
            "no topic",
            lambda w: state(w, w.name(), UNKNOWN_ID, state_epoch=1, start_offset=0),
            {E.UNKNOWN_TOPIC_OR_PARTITION},
        ),
    ],
    84: [
        Case("well", lambda w: state(w, w.initialized(), leader_epoch=1), {0}),
        Case(
            "fenced", lambda w: state(w, w.initialized(), leader_epoch=0), {E.FENCED_LEADER_EPOCH}
        ),
        Case("no state", lambda w: state(w, w.name(), leader_epoch=0), {E.INVALID_REQUEST}),
    ],
    85: [
        Case(
            "well",
            lambda w: state(w, w.initialized(), state_epoch=1, leader_epoch=1, start_offset=1),
            {0},
        ),
        Case(
            "fenced",
            lambda w: state(w, w.initialized(), state_epoch=0, leader_epoch=1, start_offset=1),
            {E.FENCED_STATE_EPOCH},
        ),
        Case(
            "no state",
            lambda w: state(w, w.name(), state_epoch=0, leader_epoch=1, start_offset=1),
            {E.INVALID_REQUEST},
        ),
    ],
    86: [
        Case("well", lambda w: state(w, w.initialized()), {0}),
        Case("no state", lambda w: state(w, w.name()), {0}),
        Case("no topic", lambda w: state(w, w.name(), UNKNOWN_ID), {E.UNKNOWN_TOPIC_OR_PARTITION}),
    ],
    87: [
        Case("well", lambda w: state(w, w.initialized(), leader_epoch=1), {0}),
        Case("no state", lambda w: state(w, w.name(), leader_epoch=1), {0}),
        Case(
            "no topic",
            lambda w: state(w, w.name(), UNKNOWN_ID, leader_epoch=1),
            {E.UNKNOWN_TOPIC_OR_PARTITION},
        ),
    ],
    90: [
        Case("well", lambda w: described(w, w.empty_group()), {0}),
        Case("all topics", lambda w: described(w, w.empty_group(), all_topics=True), {0}),
        Case(
            "no group",
            lambda w: described(w, w.name(), all_topics=True),
            {0},
        ),
    ],
    91: [
        Case("well", lambda w: offsets(w, w.empty_group()), {0}),
        Case("not empty", lambda w, m: offsets(w, m.group), {E.NON_EMPTY_GROUP}, World.member),
        Case("a new group", lambda w: offsets(w, w.name()), {0}),
        Case(
            "no topic",
            lambda w: offsets(w, w.empty_group(), "nowhere"),
            {0, E.UNKNOWN_TOPIC_OR_PARTITION},
        ),
    ],
    92: [
        Case("well", lambda w: offsets(w, w.empty_group()), {0}),
        Case("not empty", lambda w, m: offsets(w, m.group), {E.NON_EMPTY_GROUP}, World.member),
        Case("no group", lambda w: offsets(w, w.name()), {E.GROUP_ID_NOT_FOUND}),
        Case(
            "no topic",
            lambda w: offsets(w, w.empty_group(), "nowhere"),
            {0, E.UNKNOWN_TOPIC_OR_PARTITION},
        ),
    ],
}


@pytest.fixture(scope="module")
def world(bootstrap: str) -> Iterator[World]:
    made = World(bootstrap)
    yield made
    made.connection.close()


def cases() -> Iterator[Any]:
    for key in CASES:
        oldest, newest = ADVERTISED[key]
        request, _ = declaration(key)
        for version in range(oldest, newest + 1):
            for case in CASES[key]:
                if version >= case.first_version:
                    name = f"{request.__name__.removesuffix('Request')}-{version}-{case.story}"
                    yield pytest.param(key, version, case, id=name.replace(" ", "-"))


@pytest.mark.parametrize(("key", "version", "case"), list(cases()))
def test_every_version(key: int, version: int, case: Case, world: World, bootstrap: str) -> None:
    if case.by is None:
        with Connection(bootstrap) as connection:
            response = ask(connection, key, version, case.fields(world))
    else:
        member = case.by(world)
        with member.connection:
            response = ask(member.connection, key, version, case.fields(world, member))
    assert set(error_codes(response, version)) == case.codes
