"""Consumer groups as each client forms them: members join, leave, crash, come back, and mix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from ottla.testing.group_members import partitions_of, produce_values, share_everything
from ottla.testing.waiting import eventually

JAVA = pytest.param("java", marks=pytest.mark.jvm)
KAFKAJS = pytest.param("kafkajs", marks=pytest.mark.node)
EVERY_CLIENT = ["ottla", "confluent-kafka", "kafka-python", "aiokafka", KAFKAJS, JAVA]
WITH_COOPERATIVE_ASSIGNOR = ["ottla", "confluent-kafka", "kafka-python", JAVA]
WITH_STATIC_MEMBERS = ["ottla", "confluent-kafka", "kafka-python", "aiokafka", JAVA]
WITH_PATTERNS = ["ottla", "confluent-kafka", "kafka-python", "aiokafka", JAVA]

StartMember = Callable[..., Any]
Unique = Callable[[str], str]


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

    produce_values(bootstrap, topic, 4, [f"a{number}" for number in range(40)])
    wanted = {f"a{number}" for number in range(40)}
    eventually(lambda: {v for m in everyone for v in m.values} == wanted, what="all is read")

    third.leave()
    eventually(lambda: share_everything([first, second], every_partition), what="after leaving")
    second.crash()
    eventually(lambda: first.assignment == every_partition, what="after the crash")

    produce_values(bootstrap, topic, 4, [f"b{number}" for number in range(40)])
    wanted = {f"b{number}" for number in range(40)}
    eventually(lambda: wanted <= set(first.values), what="one member reads all")


@pytest.mark.parametrize("client", WITH_COOPERATIVE_ASSIGNOR)
def test_a_cooperative_rebalance_leaves_partitions_that_stay(
    client: str, member: StartMember, new_topic: Callable[..., str], unique: Unique
) -> None:
    topic, group = new_topic(4), unique("group")
    settings = {
        "group": group,
        "topics": [topic],
        "assignor": "cooperative-sticky",
        "session_timeout_ms": 20_000,
    }
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
    # Who reads records has told of its assignment for the last time.
    produce_values(bootstrap, topic, 4, [f"u{number}" for number in range(20)])
    eventually(lambda: sum(len(each.values) for each in both) == 20, what="all is read")
    before = len(stays.assignments)
    held = restarts.assignment

    restarts.crash()
    again = member(client, instance_id="restarts", **settings)
    eventually(lambda: again.assignment == held, what="the same partitions come back")
    produce_values(bootstrap, topic, 4, [f"v{number}" for number in range(20)])
    values = {f"v{number}" for number in range(20)}
    eventually(lambda: values <= {*again.values, *stays.values}, what="all is read")
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
    early, late = ({f"{kind}{number}" for number in range(10)} for kind in "ab")
    produce_values(bootstrap, topic, 2, sorted(early))
    settings = {"group": group, "topics": [topic], "session_timeout_ms": 20_000}
    first = member(client, **settings)
    # A client may join again for reasons of its own, and read twice what it hadn't committed yet.
    eventually(lambda: set(first.values) == early, what="the first ten")
    first.leave()
    produce_values(bootstrap, topic, 2, sorted(late))
    second = member(client, **settings)
    eventually(lambda: late <= set(second.values), what="the next ten")
    assert set(second.values) == late


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
    produce_values(bootstrap, late, 2, ["x", "y"])
    eventually(lambda: sorted(reader.values) == ["x", "y"], what="its records")


@pytest.mark.jvm
@pytest.mark.parametrize(
    ("assignor", "protocol", "clients"),
    [
        ("range", "classic", ["java", "ottla", "confluent-kafka", "kafka-python", "aiokafka"]),
        ("roundrobin", "classic", ["java", "ottla", "confluent-kafka", "kafka-python", "aiokafka"]),
        # Ottla leads, and assigns for the others.
        ("cooperative-sticky", "classic", ["ottla", "java", "confluent-kafka", "kafka-python"]),
        ("uniform", "consumer", ["ottla", "java", "confluent-kafka"]),
    ],
)
def test_clients_of_all_kinds_share_one_group(
    assignor: str,
    protocol: str,
    clients: list[str],
    member: StartMember,
    new_topic: Callable[..., str],
    unique: Unique,
    bootstrap: str,
) -> None:
    topic, group = new_topic(8), unique("group")
    settings = {"group": group, "topics": [topic], "assignor": assignor, "protocol": protocol}
    members = [member(clients[0], **settings)]
    eventually(lambda: members[0].assignment == partitions_of(topic, 8), what="the leader")
    members += [member(client, **settings) for client in clients[1:]]
    eventually(
        lambda: share_everything(members, partitions_of(topic, 8)),
        what="all clients share the partitions",
    )
    produce_values(bootstrap, topic, 8, [f"v{number}" for number in range(80)])
    wanted = {f"v{number}" for number in range(80)}
    eventually(lambda: {v for m in members for v in m.values} == wanted, what="all is read")
    # The leader leaves: another client's assignor takes over.
    members[0].leave()
    eventually(
        lambda: share_everything(members[1:], partitions_of(topic, 8)),
        what="the others take over",
    )
