"""Dirty corners of transactions and groups: what is refused with which error, while real clients of
the same topic or group go on; and afterwards everything reads as if it had not been tried.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.consumer_member import ConsumerMember
from ottla.testing.plain_messages import Fields, ask, build
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import committed_offset
from ottla.testing.waiting import eventually
from ottla.wire.apis import APIS, declaration
from ottla.wire.errors import ErrorCode as E

MakeTopic = Callable[..., str]
TIMEOUT_S = 20.0
NAME_IS_TRANSACTIONAL_ID = 1


def read_to_end(bootstrap: str, topic: str, level: str = "read_committed") -> list[bytes]:
    """The values of partition 0 at an isolation level."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "judge",
            "isolation.level": level,
            "enable.partition.eof": True,
            "check.crcs": True,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    values: list[bytes] = []

    def is_at_the_end() -> bool:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            values.append(message.value())
        return message is not None and message.error() is not None

    eventually(is_at_the_end, what=f"the end of {topic}")
    consumer.close()
    return values


class Zombie:
    """A transactional producer on the bare protocol, which a successor will fence."""

    def __init__(self, connection: Connection, name: str, topic: str, group: str) -> None:
        self._connection = connection
        self.topic, self._group, self.name = topic, group, name
        keys = {"key_type": NAME_IS_TRANSACTIONAL_ID, "coordinator_keys": [name]}
        ask(connection, 10, 4, keys)
        wanted = {"transactional_id": name, "transaction_timeout_ms": 60_000}

        def initialised() -> Any:
            granted = ask(connection, 22, 4, wanted)
            return granted if granted.error_code == 0 else None

        granted = eventually(initialised, what="a producer")
        self.identity: Fields = {
            "transactional_id": name,
            "producer_id": granted.producer_id,
            "producer_epoch": granted.producer_epoch,
        }

    def initialise_again(self) -> int | None:
        """InitProducerId as one that has an epoch already; None while a transaction is ending."""
        again = {**self.identity, "transaction_timeout_ms": 60_000}
        code = int(ask(self._connection, 22, 5, again).error_code)
        return None if code == E.CONCURRENT_TRANSACTIONS else code

    def add_partition(self, version: int) -> int:
        """AddPartitionsToTxn, up to version 3."""
        fields = {**self.identity, "topics": [{"name": self.topic, "partitions": [0]}]}
        given = {f"v3_and_below_{name}": value for name, value in fields.items()}
        answer = ask(self._connection, 24, version, given)
        [topic] = answer.results_by_topic_v3_and_below
        return int(topic.results_by_partition[0].partition_error_code)

    def produce(self, version: int, value: bytes, sequence: int = 0) -> int:
        """One record in the transaction."""
        batch = encode_batch(
            [Record(0, -1, None, value)],
            producer_id=self.identity["producer_id"],
            producer_epoch=self.identity["producer_epoch"],
            base_sequence=sequence,
            is_transactional=True,
        )
        topic = {"name": self.topic, "partition_data": [{"index": 0, "records": batch}]}
        fields = {"transactional_id": self.name, "acks": -1, "timeout_ms": 10_000}
        answer = ask(self._connection, 0, version, fields | {"topic_data": [topic]})
        return int(answer.responses[0].partition_responses[0].error_code)

    def add_offsets(self, version: int) -> int:
        """AddOffsetsToTxn."""
        fields = self.identity | {"group_id": self._group}
        return int(ask(self._connection, 25, version, fields).error_code)

    def commit_offset(self, version: int, offset: int, **member: Any) -> int:
        """TxnOffsetCommit, from version 3 on as a member of the group."""
        partition = {
            "partition_index": 0,
            "committed_offset": offset,
            "committed_metadata": None,
            "committed_leader_epoch": -1,
        }
        topic = {"name": self.topic, "partitions": [partition]}
        fields = self.identity | {"group_id": self._group, "topics": [topic]} | member
        answer = ask(self._connection, 28, version, fields)
        return int(answer.topics[0].partitions[0].error_code)

    def end(self, version: int, *, commits: bool) -> int:
        """EndTxn."""
        fields = self.identity | {"committed": commits}
        return int(ask(self._connection, 26, version, fields).error_code)


@pytest.fixture
def zombie(
    connection: Connection, new_topic: MakeTopic, group: str, unique: Callable[[str], str]
) -> Zombie:
    """With an open transaction of one record and one offset."""
    made = Zombie(connection, unique("id"), new_topic(), group)
    assert made.add_partition(3) == E.NONE
    assert made.produce(11, b"of the zombie") == E.NONE
    eventually(lambda: made.add_offsets(3) == E.NONE, what="the group's partition")
    assert made.commit_offset(3, 7) == E.NONE
    return made


def test_a_zombie_is_refused_everything_while_its_successor_works(
    zombie: Zombie, bootstrap: str, connection: Connection, group: str
) -> None:
    """reliability.md: zombies; EndTxn from a zombie."""
    topic = zombie.topic
    successor = Producer({"bootstrap.servers": bootstrap, "transactional.id": zombie.name})
    successor.init_transactions(TIMEOUT_S)
    successor.begin_transaction()
    successor.produce(topic, b"of the successor", partition=0)
    assert successor.flush(TIMEOUT_S) == 0
    for version in APIS[26].versions:
        fenced = E.PRODUCER_FENCED if version >= 2 else E.INVALID_PRODUCER_EPOCH
        for commits in (True, False):
            assert zombie.end(version, commits=commits) == fenced
    for version in range(4):
        fenced = E.PRODUCER_FENCED if version >= 2 else E.INVALID_PRODUCER_EPOCH
        assert zombie.add_partition(version) == fenced
        assert zombie.add_offsets(version) == fenced
    for version in range(3, 13):
        assert zombie.produce(version, b"late", sequence=1) == E.INVALID_PRODUCER_EPOCH
    for version in APIS[28].versions:
        assert zombie.commit_offset(version, 9) == E.INVALID_PRODUCER_EPOCH
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    successor.send_offsets_to_transaction(
        [TopicPartition(topic, 0, 2)], consumer.consumer_group_metadata(), TIMEOUT_S
    )
    successor.commit_transaction(TIMEOUT_S)
    consumer.close()
    # In the middle of a transaction it would abort that, as in Kafka, before it is refused.
    refused = eventually(zombie.initialise_again, what="an answer")
    assert refused == E.PRODUCER_FENCED
    assert read_to_end(bootstrap, topic) == [b"of the successor"]
    everything = [b"of the zombie", b"of the successor"]
    assert read_to_end(bootstrap, topic, "read_uncommitted") == everything
    eventually(lambda: committed_offset(connection, group, topic, 0) == 2, what="its offset")


def test_wrong_sequences_and_epochs_leave_the_transaction_as_it_is(
    zombie: Zombie, bootstrap: str, connection: Connection, group: str
) -> None:
    """reliability.md: idempotence. Nobody fences this one."""
    known = dict(zombie.identity)
    for version in range(3, 13):
        assert zombie.produce(version, b"gap", sequence=5) == E.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert zombie.produce(12, b"of the zombie", sequence=0) == E.NONE  # a retry
    zombie.identity["producer_epoch"] += 1
    assert zombie.produce(11, b"from the future", sequence=1) == E.INVALID_PRODUCER_EPOCH
    assert zombie.end(3, commits=True) == E.PRODUCER_FENCED
    assert zombie.commit_offset(3, 9) != E.NONE
    zombie.identity["producer_id"] += 1_000_000
    assert zombie.end(3, commits=True) == E.INVALID_PRODUCER_ID_MAPPING
    zombie.identity = known
    assert zombie.produce(11, b"the next", sequence=1) == E.NONE
    assert zombie.end(3, commits=True) == E.NONE
    eventually(
        lambda: read_to_end(bootstrap, zombie.topic) == [b"of the zombie", b"the next"],
        what="what was committed",
    )
    eventually(lambda: committed_offset(connection, group, zombie.topic, 0) == 7, what="offset")


def subscription(topics: tuple[str, ...]) -> bytes:
    """What a consumer says of itself when it joins: version 0, topics, no user data."""
    names = b"".join(struct.pack(">h", len(each)) + each.encode() for each in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


class ClassicMember:
    """A member of a classic group on the bare protocol."""

    def __init__(self, bootstrap: str, group: str, *topics: str, timeout_ms: int = 10_000) -> None:
        self._connection = Connection(bootstrap)
        self._wish: Fields = {
            "group_id": group,
            "protocol_type": "consumer",
            "protocols": [{"name": "range", "metadata": subscription(topics)}],
            "session_timeout_ms": timeout_ms,
            "rebalance_timeout_ms": timeout_ms,
        }
        self.member_id, self.generation = "", -1

    def close(self) -> None:
        self._connection.close()

    def send_join(self) -> None:
        """JoinGroup, whose answer may wait for others; a first one is granted its id before."""
        if not self.member_id:
            refused = ask(self._connection, 11, 9, self._wish | {"member_id": ""})
            assert refused.error_code == E.MEMBER_ID_REQUIRED
            self.member_id = refused.member_id
        schema = declaration(11)[0].SCHEMA
        wish = self._wish | {"member_id": self.member_id}
        self._connection.send(build(schema, 9, wish), 9)

    def joined(self) -> int:
        """The answer's error code."""
        answer = self._connection.receive()
        self.generation = answer.generation_id
        return int(answer.error_code)

    def _identity(self, generation: int) -> Fields:
        return {
            "group_id": self._wish["group_id"],
            "member_id": self.member_id,
            "generation_id": generation,
            "generation_id_or_member_epoch": generation,
        }

    def sync(self) -> int:
        """SyncGroup, as a leader that assigns nothing."""
        wanted = {"protocol_type": "consumer", "protocol_name": "range", "assignments": []}
        fields = self._identity(self.generation) | wanted
        return int(ask(self._connection, 14, 5, fields).error_code)

    def beat(self) -> int:
        """Heartbeat."""
        return int(ask(self._connection, 12, 4, self._identity(self.generation)).error_code)

    def commit(self, topic: str, offset: int, generation: int) -> int:
        """OffsetCommit of partition 0."""
        partition = {
            "partition_index": 0,
            "committed_offset": offset,
            "committed_metadata": None,
            "committed_leader_epoch": -1,
        }
        topics = {"topics": [{"name": topic, "partitions": [partition]}]}
        answer = ask(self._connection, 8, 8, self._identity(generation) | topics)
        return int(answer.topics[0].partitions[0].error_code)


@pytest.fixture
def classic_member(bootstrap: str, group: str) -> Iterator[Callable[..., ClassicMember]]:
    """Makes members; their connections end with the test."""
    made: list[ClassicMember] = []

    def make(*topics: str, **timeouts: int) -> ClassicMember:
        made.append(ClassicMember(bootstrap, group, *topics, **timeouts))
        return made[-1]

    yield make
    for member in made:
        member.close()


def test_commits_during_a_rebalance(
    connection: Connection,
    zombie: Zombie,
    classic_member: Callable[..., ClassicMember],
    group: str,
) -> None:
    """Good until the member has joined again; after that it has to sync first, though not for
    transactions, of which the generation alone is asked (KIP-447)."""
    topic = zombie.topic
    assert zombie.end(3, commits=False) == E.NONE
    first, second = classic_member(), classic_member()
    first.send_join()
    assert first.joined() == E.NONE
    assert first.sync() == E.NONE
    old = first.generation
    assert first.commit(topic, 1, old) == E.NONE
    second.send_join()
    eventually(lambda: first.beat() == E.REBALANCE_IN_PROGRESS, what="the rebalance")
    assert first.commit(topic, 2, old) == E.NONE
    assert first.commit(topic, 90, old + 1) == E.ILLEGAL_GENERATION
    first.send_join()
    assert (first.joined(), second.joined()) == (E.NONE, E.NONE)
    new = first.generation
    assert new > old
    assert first.commit(topic, 91, new) == E.REBALANCE_IN_PROGRESS
    assert first.commit(topic, 92, old) == E.ILLEGAL_GENERATION
    eventually(lambda: zombie.add_offsets(3) == E.NONE, what="the next transaction")
    late = {"member_id": first.member_id, "generation_id": old}
    assert zombie.commit_offset(3, 93, **late) == E.ILLEGAL_GENERATION
    stranger = {"member_id": "nobody", "generation_id": new}
    assert zombie.commit_offset(3, 94, **stranger) == E.UNKNOWN_MEMBER_ID
    known = {"member_id": first.member_id, "generation_id": new}
    assert zombie.commit_offset(3, 95, **known) == E.NONE
    assert zombie.end(3, commits=False) == E.NONE
    assert committed_offset(connection, group, topic, 0) == 2
    assert first.sync() == E.NONE
    assert second.sync() == E.NONE
    assert second.commit(topic, 3, new) == E.NONE
    assert committed_offset(connection, group, topic, 0) == 3


def test_a_member_that_never_syncs_holds_nobody_up_for_long(
    bootstrap: str,
    connection: Connection,
    classic_member: Callable[..., ClassicMember],
    member: Callable[..., Any],
    new_topic: MakeTopic,
    group: str,
) -> None:
    """A real client's group gets over a member that joins, and is never heard of again."""
    topic = new_topic(2)
    real = member("confluent-kafka", group=group, topics=[topic], session_timeout_ms=6000)
    everything = {f"{topic}-0", f"{topic}-1"}
    eventually(lambda: real.assignment == everything, what="the first assignment")
    silent = classic_member(topic, timeout_ms=1500)
    silent.send_join()
    assert silent.joined() == E.NONE
    eventually(lambda: len(real.assignment) == 1, what="its part of the assignment")
    eventually(lambda: real.assignment == everything, what="the last assignment")
    assert silent.beat() == E.UNKNOWN_MEMBER_ID
    assert silent.sync() == E.UNKNOWN_MEMBER_ID
    assert silent.commit(topic, 90, silent.generation) == E.UNKNOWN_MEMBER_ID
    produce(bootstrap, topic, b"after it went")
    eventually(lambda: committed_offset(connection, group, topic, 0) == 1, what="the commit")
    assert real.values == ["after it went"]


def produce(bootstrap: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, value, partition=0)
    assert producer.flush(TIMEOUT_S) == 0


def commit_as(connection: Connection, group: str, topic: str, member: Fields, version: int) -> int:
    """OffsetCommit of offset 90 by somebody who may not."""
    partition = {"partition_index": 0, "committed_offset": 90, "committed_metadata": None}
    topics = {"topics": [{"name": topic, "partitions": [partition]}]}
    answer = ask(connection, 8, version, {"group_id": group} | member | topics)
    return int(answer.topics[0].partitions[0].error_code)


def test_wrong_member_epochs_change_nothing_for_a_real_member(
    bootstrap: str,
    connection: Connection,
    member: Callable[..., Any],
    new_topic: MakeTopic,
    group: str,
) -> None:
    """reliability.md: offsets; KIP-848's fencing by member epoch."""
    topic = new_topic(2)
    real = member("confluent-kafka", group=group, topics=[topic], protocol="consumer")
    eventually(lambda: len(real.assignment) == 2, what="the assignment")
    produce(bootstrap, topic, b"first")
    eventually(lambda: committed_offset(connection, group, topic, 0) == 1, what="its commit")
    [described] = ask(connection, 69, 0, {"group_ids": [group]}).groups
    [shown] = described.members
    for epoch, code in (
        (shown.member_epoch + 1, E.STALE_MEMBER_EPOCH),
        (shown.member_epoch - 1, E.STALE_MEMBER_EPOCH),
    ):
        claim = {"member_id": shown.member_id, "generation_id_or_member_epoch": epoch}
        assert commit_as(connection, group, topic, claim, 9) == code
    stranger = {"member_id": str(uuid.uuid4()), "generation_id_or_member_epoch": 1}
    assert commit_as(connection, group, topic, stranger, 9) == E.UNKNOWN_MEMBER_ID
    nobody = {"member_id": "", "generation_id_or_member_epoch": -1}
    assert commit_as(connection, group, topic, nobody, 9) == E.UNKNOWN_MEMBER_ID
    beats = ConsumerMember(group, shown.member_id, [topic])
    beats.epoch = shown.member_epoch + 1
    assert connection.ask(beats.request(), 1).error_code == E.FENCED_MEMBER_EPOCH
    beats = ConsumerMember(group, str(uuid.uuid4()), [topic])
    beats.epoch = 1
    assert connection.ask(beats.request(), 1).error_code == E.UNKNOWN_MEMBER_ID
    produce(bootstrap, topic, b"second")
    eventually(lambda: committed_offset(connection, group, topic, 0) == 2, what="its next commit")
    assert real.values == ["first", "second"]
    assert len(real.assignments) == 1


@pytest.mark.jvm
def test_a_pattern_made_to_hang_hangs_nobody(
    bootstrap: str,
    admin: AdminClient,
    member: Callable[..., Any],
    unique: Callable[[str], str],
) -> None:
    """A backtracking matcher would need longer than the universe has had for these names."""
    wanted, trap = unique("wanted"), "a" * 200 + "-" + uuid.uuid4().hex[:8]
    for created in admin.create_topics([NewTopic(wanted, 1, 1), NewTopic(trap, 1, 1)]).values():
        created.result(TIMEOUT_S)
    produce(bootstrap, wanted, b"read in time")
    pattern = f"((a|aa)+)+|{wanted}"
    java = member("java", group=unique("g"), pattern=pattern, protocol="consumer")
    confluent = member(
        "confluent-kafka", group=unique("g"), pattern=f"^{pattern}", protocol="consumer"
    )
    for client in (java, confluent):
        eventually(lambda one=client: one.values == ["read in time"], what="the record")
        assert client.assignment == {f"{wanted}-0"}
