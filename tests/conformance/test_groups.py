"""Consumer groups as each client forms them: members join, leave, crash, come back, and mix."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from ottla.testing.waiting import eventually

JAVA = pytest.param("java", marks=pytest.mark.jvm)
KAFKAJS = pytest.param("kafkajs", marks=pytest.mark.node)
EVERY_CLIENT = ["confluent-kafka", "kafka-python", "aiokafka", KAFKAJS, JAVA]
WITH_COOPERATIVE_ASSIGNOR = ["confluent-kafka", "kafka-python", JAVA]
WITH_STATIC_MEMBERS = ["confluent-kafka", "kafka-python", "aiokafka", JAVA]
WITH_PATTERNS = ["confluent-kafka", "kafka-python", "aiokafka", JAVA]

StartMember = Callable[..., Any]
Unique = Callable[[str], str]


def partitions_of(topic: str, count: int) -> set[str]:
    return {f"{topic}-{number}" for number in range(count)}


def share_everything(members: Iterable[Any], wanted: set[str]) -> bool:
    """Every member holds something, none the same, together all."""
    held = [member.assignment for member in members]
    return all(held) and sum(map(len, held)) == len(wanted) and set().union(*held) == wanted


def produce(bootstrap: str, topic: str, partitions: int, values: Iterable[str]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    for number, value in enumerate(values):
        producer.produce(topic, value.encode(), partition=number % partitions)
    assert producer.flush(20) == 0


@pytest.mark.slow
@pytest.mark.parametrize("client", EVERY_CLIENT)
def test_partitions_move_when_members_join_leave_and_crash(
    client: str,
    member: StartMember,
    new_topic: Callable[..., str],
    unique: Unique,
    bootstrap: str,
) -> None:
    topic, group = new_topic(4), unique("group")
    every_partition = partitions_of(topic, 4)
    settings = {"group": group, "topics": [topic], "session_timeout_ms": 2000}

    first = member(client, **settings)
    eventually(lambda: first.assignment == every_partition, what="one member holds all")
    second = member(client, **settings)
    eventually(lambda: share_everything([first, second], every_partition), what="two members")
    third = member(client, **settings)
    everyone = [first, second, third]
    eventually(lambda: share_everything(everyone, every_partition), what="three members")

    produce(bootstrap, topic, 4, [f"a{number}" for number in range(40)])
    wanted = {f"a{number}" for number in range(40)}
    eventually(lambda: {v for m in everyone for v in m.values} == wanted, what="all is read")

    third.leave()
    eventually(lambda: share_everything([first, second], every_partition), what="after leaving")
    second.crash()
    eventually(lambda: first.assignment == every_partition, what="after the crash")

    produce(bootstrap, topic, 4, [f"b{number}" for number in range(40)])
    wanted = {f"b{number}" for number in range(40)}
    eventually(lambda: wanted <= set(first.values), what="one member reads all")


@pytest.mark.parametrize("client", WITH_COOPERATIVE_ASSIGNOR)
def test_a_cooperative_rebalance_leaves_partitions_that_stay(
    client: str, member: StartMember, new_topic: Callable[..., str], unique: Unique
) -> None:
    topic, group = new_topic(4), unique("group")
    settings = {"group": group, "topics": [topic], "assignor": "cooperative-sticky"}
    first = member(client, **settings)
    eventually(lambda: first.assignment == partitions_of(topic, 4), what="one member holds all")
    before = len(first.assignments)
    second = member(client, **settings)
    both = [first, second]
    eventually(lambda: share_everything(both, partitions_of(topic, 4)), what="two members")
    # Eager protocols give up everything at each rebalance; this one never went below its half.
    assert all(len(held) >= 2 for held in first.assignments[before:])
    second.leave()
    eventually(lambda: first.assignment == partitions_of(topic, 4), what="after leaving")


@pytest.mark.parametrize("client", WITH_STATIC_MEMBERS)
def test_a_static_member_restarts_without_a_rebalance(
    client: str,
    member: StartMember,
    new_topic: Callable[..., str],
    unique: Unique,
    bootstrap: str,
) -> None:
    topic, group = new_topic(4), unique("group")
    settings = {"group": group, "topics": [topic], "session_timeout_ms": 20_000}
    stays = member(client, instance_id="stays", **settings)
    eventually(lambda: stays.assignment == partitions_of(topic, 4), what="one member holds all")
    restarts = member(client, instance_id="restarts", **settings)
    both = [stays, restarts]
    eventually(lambda: share_everything(both, partitions_of(topic, 4)), what="two members")
    before = len(stays.assignments)
    held = restarts.assignment

    restarts.crash()
    again = member(client, instance_id="restarts", **settings)
    eventually(lambda: again.assignment == held, what="the same partitions come back")
    produce(bootstrap, topic, 4, [f"v{number}" for number in range(20)])
    values = {f"v{number}" for number in range(20)}
    eventually(lambda: {*again.values, *stays.values} == values, what="all is read")
    assert len(stays.assignments) == before, "the other member saw a rebalance"


@pytest.mark.parametrize("client", EVERY_CLIENT)
def test_a_new_member_goes_on_where_the_last_one_committed(
    client: str,
    member: StartMember,
    new_topic: Callable[..., str],
    unique: Unique,
    bootstrap: str,
) -> None:
    topic, group = new_topic(2), unique("group")
    produce(bootstrap, topic, 2, [f"a{number}" for number in range(10)])
    first = member(client, group=group, topics=[topic])
    eventually(lambda: len(first.values) == 10, what="the first ten")
    first.leave()
    produce(bootstrap, topic, 2, [f"b{number}" for number in range(10)])
    second = member(client, group=group, topics=[topic])
    eventually(lambda: len(second.values) >= 10, what="the next ten")
    assert sorted(second.values) == sorted(f"b{number}" for number in range(10))


@pytest.mark.parametrize("client", WITH_PATTERNS)
def test_a_pattern_finds_a_topic_created_later(
    client: str,
    member: StartMember,
    new_topic: Callable[..., str],
    unique: Unique,
    bootstrap: str,
    admin: AdminClient,
) -> None:
    # new_topic names its topics after the test; one of them is there before the subscription.
    early = new_topic(1)
    stem = early.rsplit("-", 1)[0]
    reader = member(client, group=unique("group"), pattern=f"^{stem}-.*", metadata_max_age_ms=500)
    eventually(lambda: reader.assignment == {f"{early}-0"}, what="the early topic")
    late = new_topic(2)
    wanted = {f"{early}-0", *partitions_of(late, 2)}
    eventually(lambda: reader.assignment == wanted, what="the late topic")
    produce(bootstrap, late, 2, ["x", "y"])
    eventually(lambda: sorted(reader.values) == ["x", "y"], what="its records")


@pytest.mark.jvm
@pytest.mark.parametrize("assignor", ["range", "roundrobin"])
def test_clients_of_four_kinds_share_one_group(
    assignor: str,
    member: StartMember,
    new_topic: Callable[..., str],
    unique: Unique,
    bootstrap: str,
) -> None:
    topic, group = new_topic(8), unique("group")
    clients = ["java", "confluent-kafka", "kafka-python", "aiokafka"]
    members = [member(client, group=group, topics=[topic], assignor=assignor) for client in clients]
    eventually(
        lambda: share_everything(members, partitions_of(topic, 8)),
        timeout_seconds=30,
        what="four clients share the partitions",
    )
    produce(bootstrap, topic, 8, [f"v{number}" for number in range(80)])
    wanted = {f"v{number}" for number in range(80)}
    eventually(lambda: {v for m in members for v in m.values} == wanted, what="all is read")
    # The leader leaves: another client's assignor takes over.
    members[0].leave()
    eventually(
        lambda: share_everything(members[1:], partitions_of(topic, 8)),
        timeout_seconds=30,
        what="the others take over",
    )
