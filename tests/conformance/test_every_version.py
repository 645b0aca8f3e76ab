"""Every advertised API in every advertised version, once well and once in error.

An answer that says in a version what only another can carry would close the connection instead.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import pytest

from ottla.broker.api import ADVERTISED
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.plain_messages import Fields, ask, build, error_codes
from ottla.testing.protocol import Connection
from ottla.wire.api.k03_metadata import MetadataRequest, TopicToDescribe
from ottla.wire.api.k08_offset_commit import OffsetCommitRequest
from ottla.wire.api.k11_join_group import JoinGroupRequest
from ottla.wire.api.k14_sync_group import SyncGroupRequest
from ottla.wire.apis import declaration
from ottla.wire.errors import ErrorCode as E

DAY_MS = 86_400_000
UNKNOWN_ID = uuid.UUID(int=7)
# Tried in files with worlds of their own: test_every_version_of_{transactions,share_groups}.py,
# test_k27_write_txn_markers.py and test_k68_consumer_group_heartbeat.py.
SHARED = {*range(76, 80), *range(83, 88), *range(90, 93)}
ELSEWHERE = SHARED | {24, 25, 26, 27, 28, 57, 65, 66, 68, 69}
_numbers = itertools.count(1)


class World:
    """What requests may name: a topic with one record, and groups."""

    def __init__(self, connection: Connection, topic: str, topic_id: uuid.UUID) -> None:
        self.connection = connection
        self.topic = topic
        self.topic_id = topic_id
        self.prefix = f"every-version-{uuid.uuid4().hex[:8]}"

    def name(self, kind: str) -> str:
        return f"{self.prefix}-{kind}-{next(_numbers)}"

    def new_topic(self) -> str:
        name = self.name("topic")
        create = {"name": name, "num_partitions": 1, "replication_factor": 1}
        ask(self.connection, 19, 7, {"topics": [create | {"assignments": [], "configs": []}]})
        return name

    def new_group(self) -> Fields:
        """A group with one member: its id, generation and member."""
        group = self.name("group")
        fields = join(group)
        request = build(JoinGroupRequest.SCHEMA, 3, fields)
        joined = self.connection.ask(request, 3)
        me = {
            "group_id": group,
            "generation_id": joined.generation_id,
            "member_id": joined.member_id,
        }
        assignments = [{"member_id": joined.member_id, "assignment": b"a"}]
        sync = build(SyncGroupRequest.SCHEMA, 3, me | {"assignments": assignments})
        assert self.connection.ask(sync, 3).error_code == 0
        return me

    def new_offsets(self) -> str:
        """A group without members that has committed an offset."""
        group = self.name("group")
        fields = commit(self) | {"group_id": group}
        [topic] = self.connection.ask(build(OffsetCommitRequest.SCHEMA, 8, fields), 8).topics
        assert topic.partitions[0].error_code == 0
        return group


class Case(NamedTuple):
    """A request and the error codes of its answer, from a version on."""

    story: str
    fields: Callable[[World], Fields]
    codes: Callable[[int], AbstractSet[int]]
    first_version: int = 0


def always(*codes: int) -> Callable[[int], AbstractSet[int]]:
    return lambda version: set(codes)


def since(
    first: int, newer: AbstractSet[int], older: AbstractSet[int]
) -> Callable[[int], AbstractSet[int]]:
    return lambda version: newer if version >= first else older


def batch(timestamp_ms: int = 1_700_000_000_000) -> bytes:
    return encode_batch([Record(0, timestamp_ms, b"k", b"v", ())])


def produce(world: World, **fields: Any) -> Fields:
    partition = {"index": 0, "records": batch(fields.pop("timestamp_ms", int(time.time() * 1000)))}
    topic = {"name": world.topic, "topic_id": world.topic_id, "partition_data": [partition]}
    topic |= fields.pop("topic", {})
    return {"acks": -1, "timeout_ms": 10_000, "topic_data": [topic], **fields}


def fetch(world: World, *, partition: Fields | None = None, **fields: Any) -> Fields:
    wanted = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1 << 20}
    topic = {"topic": world.topic, "topic_id": world.topic_id}
    topic |= fields.pop("topic", {}) | {"partitions": [wanted | (partition or {})]}
    return {"max_wait_ms": 10, "min_bytes": 1, "max_bytes": 1 << 20, "topics": [topic], **fields}


def list_offsets(topic: str, **fields: Any) -> Fields:
    partition = {"partition_index": 0, "timestamp": -1, **fields}
    return {"replica_id": -1, "topics": [{"name": topic, "partitions": [partition]}]}


def commit(world: World, **fields: Any) -> Fields:
    partition = {"partition_index": 0, "committed_offset": 1, "committed_metadata": "m"}
    topic = {"name": world.topic, "topic_id": world.topic_id, "partitions": [partition]}
    topic |= fields.pop("topic", {})
    return {"group_id": world.name("group"), "topics": [topic], **fields}


def offset_fetch(world: World, group: str) -> Fields:
    topic = {"name": world.topic, "topic_id": world.topic_id, "partition_indexes": [0]}
    one = {"group_id": group, "topics": [topic]}
    return {"group_id": group, "topics": [topic], "groups": [one]}


def join(group: str, **fields: Any) -> Fields:
    return {
        "group_id": group,
        "session_timeout_ms": 10_000,
        "rebalance_timeout_ms": 10_000,
        "member_id": "",
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": b"m"}],
        "reason": "a test",
        **fields,
    }


def sync(me: Fields, **fields: Any) -> Fields:
    assignments = [{"member_id": me["member_id"], "assignment": b"a"}]
    names = {"protocol_type": "consumer", "protocol_name": "range"}
    return me | names | {"assignments": assignments} | fields


def leave(me: Fields) -> Fields:
    member = {"member_id": me["member_id"], "reason": "a test"}
    return {"group_id": me["group_id"], "member_id": me["member_id"], "members": [member]}


def nobody(group: str) -> Fields:
    return {"group_id": group, "generation_id": 1, "member_id": "nobody"}


def create(name: str, **fields: Any) -> Fields:
    topic = {"name": name, "num_partitions": 1, "replication_factor": 1, "assignments": []}
    topic |= {"configs": [{"name": "retention.ms", "value": "1000000"}]} | fields
    return {"topics": [topic]}


def delete(name: str | None, topic_id: uuid.UUID = UNKNOWN_ID) -> Fields:
    by_id = {"name": name, "topic_id": uuid.UUID(int=0) if name else topic_id}
    return {"topics": [by_id], "topic_names": [name], "timeout_ms": 10_000}


def trim(topic: str, offset: int) -> Fields:
    partitions = [{"partition_index": 0, "offset": offset}]
    return {"topics": [{"name": topic, "partitions": partitions}], "timeout_ms": 10_000}


def epoch_end(topic: str, **fields: Any) -> Fields:
    partition = {"partition": 0, "leader_epoch": 0, **fields}
    return {"replica_id": -1, "topics": [{"topic": topic, "partitions": [partition]}]}


def describe_configs(kind: int, name: str) -> Fields:
    resource = {"resource_type": kind, "resource_name": name, "configuration_keys": None}
    return {
        "resources": [resource],
        "include_synonyms": True,
        "include_documentation": True,
    }


def alter(topic: str, value: str) -> Fields:
    config = {"name": "retention.ms", "value": value}
    resource = {"resource_type": 2, "resource_name": topic, "configs": [config]}
    return {"resources": [resource], "validate_only": False}


def alter_incrementally(topic: str, value: str) -> Fields:
    fields = alter(topic, value)
    fields["resources"][0]["configs"][0]["config_operation"] = 0
    return fields


def grow(topic: str, count: int) -> Fields:
    wanted = {"name": topic, "count": count, "assignments": None}
    return {"topics": [wanted], "timeout_ms": 10_000, "validate_only": False}


def elect(topic: str) -> Fields:
    return {"topic_partitions": [{"topic": topic, "partitions": [0]}]}


def forget(topic: str, group: str) -> Fields:
    partitions = [{"partition_index": 0}]
    return {"group_id": group, "topics": [{"name": topic, "partitions": partitions}]}


def inspect(topic: str) -> Fields:
    return {"topics": [{"name": topic, "partition_indexes": [0]}]}


def fetch_no_topic(version: int) -> AbstractSet[int]:
    return (NO_TOPIC_ID if version >= 13 else NO_TOPIC) | ({0} if version >= 7 else set())


NOWHERE = {"name": "nowhere", "topic": "nowhere", "topic_id": UNKNOWN_ID}
NO_TOPIC = {E.UNKNOWN_TOPIC_OR_PARTITION}
NO_TOPIC_ID = {E.UNKNOWN_TOPIC_ID}


def nowhere(*names: str) -> Fields:
    return {name: NOWHERE[name] for name in names}


CASES: dict[int, list[Case]] = {
    0: [
        Case("well", produce, always(0)),
        Case(
            "unknown topic",
            lambda world: produce(world, topic=nowhere("name", "topic_id")),
            since(13, NO_TOPIC_ID, NO_TOPIC),
        ),
        Case("odd acks", lambda world: produce(world, acks=7), always(E.INVALID_REQUIRED_ACKS)),
        Case(
            "from the future",
            lambda world: produce(world, timestamp_ms=int(time.time() * 1000) + 9 * DAY_MS),
            always(E.INVALID_TIMESTAMP),
        ),
    ],
    1: [
        Case("well", fetch, always(0)),
        Case("committed only", lambda world: fetch(world, isolation_level=1), always(0)),
        Case("in a session", lambda world: fetch(world, session_epoch=0), always(0)),
        Case(
            "unknown topic",
            lambda world: fetch(world, topic=nowhere("topic", "topic_id")),
            fetch_no_topic,
        ),
        Case(
            "out of range",
            lambda world: fetch(world, partition={"fetch_offset": 1 << 40}),
            since(7, {0, E.OFFSET_OUT_OF_RANGE}, {E.OFFSET_OUT_OF_RANGE}),
        ),
        Case(
            "epoch of the future",
            lambda world: fetch(world, partition={"current_leader_epoch": 1000}),
            always(0, E.UNKNOWN_LEADER_EPOCH),
            9,
        ),
        Case(
            "no such session",
            lambda world: fetch(world, session_id=12345, session_epoch=9),
            always(E.FETCH_SESSION_ID_NOT_FOUND),
            7,
        ),
    ],
    2: [
        Case("well", lambda world: list_offsets(world.topic), always(0)),
        Case("earliest", lambda world: list_offsets(world.topic, timestamp=-2), always(0)),
        Case("by time", lambda world: list_offsets(world.topic, timestamp=5), always(0)),
        Case("unknown topic", lambda world: list_offsets("nowhere"), always(*NO_TOPIC)),
        Case(
            "epoch of the future",
            lambda world: list_offsets(world.topic, current_leader_epoch=1000),
            always(E.UNKNOWN_LEADER_EPOCH),
            4,
        ),
    ],
    3: [
        Case(
            "well",
            lambda world: {
                "topics": [{"name": world.topic}],
                "include_cluster_authorized_operations": True,
                "include_topic_authorized_operations": True,
            },
            always(0),
        ),
        Case(
            "illegal name",
            lambda world: {"topics": [{"name": "no topic!"}]},
            since(13, {0, E.INVALID_TOPIC_EXCEPTION}, {E.INVALID_TOPIC_EXCEPTION}),
        ),
        Case(
            "unknown topic",
            lambda world: {"topics": [{"name": "nowhere"}], "allow_auto_topic_creation": False},
            since(13, {0} | NO_TOPIC, NO_TOPIC),
            4,
        ),
        Case(
            "unknown id",
            lambda world: {"topics": [{"name": None, "topic_id": UNKNOWN_ID}]},
            since(13, {0} | NO_TOPIC_ID, NO_TOPIC_ID),
            12,
        ),
    ],
    8: [
        Case("well", commit, always(0)),
        Case(
            "unknown topic",
            lambda world: commit(world, topic=nowhere("name", "topic_id")),
            since(10, NO_TOPIC_ID, NO_TOPIC),
        ),
        Case(
            "unknown generation",
            lambda world: commit(world, generation_id_or_member_epoch=5, member_id="nobody"),
            since(9, {E.GROUP_ID_NOT_FOUND}, {E.ILLEGAL_GENERATION}),
        ),
    ],
    9: [
        Case("well", lambda world: offset_fetch(world, world.new_offsets()), always(0)),
        Case("no group", lambda world: offset_fetch(world, world.name("group")), always(0)),
    ],
    10: [
        Case("well", lambda world: {"key": "g", "coordinator_keys": ["g"]}, always(0)),
        Case(
            "no such type",
            lambda world: {"key": "g", "coordinator_keys": ["g"], "key_type": 9},
            always(E.INVALID_REQUEST),
            1,
        ),
    ],
    11: [
        Case(
            "well",
            lambda world: join(world.name("group")),
            since(4, {E.MEMBER_ID_REQUIRED}, {0}),
        ),
        Case(
            "static",
            lambda world: join(world.name("group"), group_instance_id="i"),
            always(0),
            5,
        ),
        Case(
            "impatient",
            lambda world: join(world.name("group"), session_timeout_ms=1),
            always(E.INVALID_SESSION_TIMEOUT),
        ),
        Case(
            "unknown member",
            lambda world: join(world.name("group"), member_id="nobody"),
            always(E.UNKNOWN_MEMBER_ID),
        ),
    ],
    12: [
        Case("well", World.new_group, always(0)),
        Case("nobody", lambda world: nobody(world.name("group")), always(E.UNKNOWN_MEMBER_ID)),
    ],
    13: [
        Case("well", lambda world: leave(world.new_group()), always(0)),
        Case(
            "nobody",
            lambda world: leave(nobody(world.new_group()["group_id"])),
            since(3, {0, E.UNKNOWN_MEMBER_ID}, {E.UNKNOWN_MEMBER_ID}),
        ),
    ],
    14: [
        Case("well", lambda world: sync(world.new_group()), always(0)),
        Case(
            "nobody",
            lambda world: sync(nobody(world.name("group"))),
            always(E.UNKNOWN_MEMBER_ID),
        ),
        Case(
            "another protocol",
            lambda world: sync(world.new_group(), protocol_name="other"),
            always(E.INCONSISTENT_GROUP_PROTOCOL),
            5,
        ),
    ],
    15: [
        Case(
            "well",
            lambda world: {
                "groups": [world.new_group()["group_id"]],
                "include_authorized_operations": True,
            },
            always(0),
        ),
        Case(
            "no group",
            lambda world: {"groups": [world.name("group")]},
            since(6, {E.GROUP_ID_NOT_FOUND}, {0}),
        ),
    ],
    16: [
        Case(
            "well",
            lambda world: {"states_filter": ["Stable"], "types_filter": ["classic"]},
            always(0),
        ),
    ],
    18: [
        Case(
            "well",
            lambda world: {"client_software_name": "ottla", "client_software_version": "1"},
            always(0),
        ),
        Case(
            "odd name",
            lambda world: {"client_software_name": "!", "client_software_version": "1"},
            always(E.INVALID_REQUEST),
            3,
        ),
    ],
    19: [
        Case("well", lambda world: create(world.name("topic")), always(0)),
        Case("exists", lambda world: create(world.topic), always(E.TOPIC_ALREADY_EXISTS)),
        Case(
            "no such setting",
            lambda world: create(world.name("t"), configs=[{"name": "nonsense", "value": "1"}]),
            always(E.INVALID_CONFIG),
        ),
    ],
    20: [
        Case("well", lambda world: delete(world.new_topic()), always(0)),
        Case("unknown topic", lambda world: delete("nowhere"), always(*NO_TOPIC)),
        Case("unknown id", lambda world: delete(None), always(*NO_TOPIC_ID), 6),
    ],
    21: [
        Case("well", lambda world: trim(world.new_topic(), 0), always(0)),
        Case(
            "out of range",
            lambda world: trim(world.topic, 1 << 40),
            always(E.OFFSET_OUT_OF_RANGE),
        ),
        Case("unknown topic", lambda world: trim("nowhere", 0), always(*NO_TOPIC)),
    ],
    22: [
        Case(
            "well",
            lambda world: {"transactional_id": None, "transaction_timeout_ms": 1000},
            always(0),
        ),
        Case(
            "empty id",
            lambda world: {"transactional_id": "", "transaction_timeout_ms": 1000},
            always(E.INVALID_REQUEST),
        ),
    ],
    23: [
        Case("well", lambda world: epoch_end(world.topic), always(0)),
        Case("unknown topic", lambda world: epoch_end("nowhere"), always(*NO_TOPIC)),
        Case(
            "epoch of the future",
            lambda world: epoch_end(world.topic, current_leader_epoch=1000),
            always(E.UNKNOWN_LEADER_EPOCH),
        ),
    ],
    32: [
        Case("a topic", lambda world: describe_configs(2, world.topic), always(0)),
        Case("the broker", lambda world: describe_configs(4, "1"), always(0)),
        Case("unknown topic", lambda world: describe_configs(2, "nowhere"), always(*NO_TOPIC)),
    ],
    33: [
        Case("well", lambda world: alter(world.new_topic(), "1000000"), always(0)),
        Case("no number", lambda world: alter(world.topic, "soon"), always(E.INVALID_CONFIG)),
    ],
    35: [
        Case("all", lambda world: {"topics": None}, always(0)),
        Case(
            "unknown topic",
            lambda world: {"topics": [{"topic": "nowhere", "partitions": [0]}]},
            always(0),
        ),
    ],
    37: [
        Case("well", lambda world: grow(world.new_topic(), 2), always(0)),
        Case("shrinking", lambda world: grow(world.topic, 1), always(E.INVALID_PARTITIONS)),
        Case("unknown topic", lambda world: grow("nowhere", 2), always(*NO_TOPIC)),
    ],
    42: [
        Case("well", lambda world: {"groups_names": [world.new_offsets()]}, always(0)),
        Case(
            "no group",
            lambda world: {"groups_names": [world.name("group")]},
            always(E.GROUP_ID_NOT_FOUND),
        ),
    ],
    43: [
        Case(
            "not needed",
            lambda world: elect(world.topic),
            since(1, {0, E.ELECTION_NOT_NEEDED}, {E.ELECTION_NOT_NEEDED}),
        ),
        Case("unknown topic", lambda world: elect("nowhere"), since(1, {0} | NO_TOPIC, NO_TOPIC)),
    ],
    44: [
        Case("well", lambda world: alter_incrementally(world.new_topic(), "1000000"), always(0)),
        Case(
            "no number",
            lambda world: alter_incrementally(world.topic, "soon"),
            always(E.INVALID_CONFIG),
        ),
    ],
    46: [Case("well", lambda world: {"topics": None}, always(0))],
    47: [
        Case("well", lambda world: forget(world.topic, world.new_offsets()), always(0)),
        Case(
            "no group",
            lambda world: forget(world.topic, world.name("group")),
            always(E.GROUP_ID_NOT_FOUND),
        ),
    ],
    60: [
        Case("well", lambda world: {"include_cluster_authorized_operations": True}, always(0)),
        Case(
            "controllers",
            lambda world: {"include_cluster_authorized_operations": False, "endpoint_type": 2},
            always(E.MISMATCHED_ENDPOINT_TYPE),
            1,
        ),
    ],
    61: [
        Case("well", lambda world: inspect(world.topic), always(0)),
        Case("unknown topic", lambda world: inspect("nowhere"), always(*NO_TOPIC)),
    ],
    74: [
        Case("well", lambda world: {"resource_types": [2]}, always(0)),
        Case(
            "no such type",
            lambda world: {"resource_types": [99]},
            always(E.UNSUPPORTED_VERSION),
            1,
        ),
    ],
    75: [
        Case("well", lambda world: {"topics": [{"name": world.topic}]}, always(0)),
        Case("unknown topic", lambda world: {"topics": [{"name": "nowhere"}]}, always(*NO_TOPIC)),
    ],
}


@pytest.fixture(scope="module")
def world(connection: Connection) -> World:
    made = World(connection, "", UNKNOWN_ID)
    made.topic = made.name("topic")
    ask(connection, 19, 7, create(made.topic))
    request = MetadataRequest(topics=[TopicToDescribe(name=made.topic)])
    [described] = connection.ask(request, 12).topics
    made.topic_id = described.topic_id
    # Kafka answers before its broker half knows the topic, and coordinators take a while to load.
    deadline = time.monotonic() + 30
    coordinator = {"coordinator_keys": ["g"]}
    probes = [(0, 12, produce(made)), (10, 4, coordinator), (37, 3, grow(made.topic, 2))]
    producer_id = {"transactional_id": None, "transaction_timeout_ms": 1000}
    probes.append((22, 4, producer_id))
    # A group on each of the 50 partitions of __consumer_offsets.
    probes += [(8, 8, commit(made) | {"group_id": f"every-version-{n}"}) for n in range(200)]
    for key, version, fields in probes:
        while set(error_codes(ask(connection, key, version, fields), version)) != {0}:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    return made


def cases() -> Iterator[Any]:
    for key in CASES:
        oldest, newest = ADVERTISED[key]
        request, _ = declaration(key)
        for version in range(max(oldest, request.SCHEMA.versions.start), newest + 1):
            for case in CASES[key]:
                if version >= case.first_version:
                    name = f"{request.__name__.removesuffix('Request')}-{version}-{case.story}"
                    yield pytest.param(key, version, case, id=name.replace(" ", "-"))


def test_every_advertised_api_is_tried() -> None:
    assert set(CASES) | ELSEWHERE == set(ADVERTISED)


@pytest.mark.parametrize(("key", "version", "case"), list(cases()))
def test_every_version(key: int, version: int, case: Case, world: World, bootstrap: str) -> None:
    fields = case.fields(world)
    with Connection(bootstrap) as connection:
        response = ask(connection, key, version, fields)
    assert set(error_codes(response, version)) == case.codes(version)
