"""ConsumerGroupHeartbeat and ConsumerGroupDescribe (keys 68, 69), and consumer groups of clients
that speak KIP-848: confluent-kafka and Java, alone, together, and among members of the old kind.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from ottla.testing.consumer_member import ConsumerMember
from ottla.testing.group_members import partitions_of, produce_values, share_everything
from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually
from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest
from ottla.wire.api.k15_describe_groups import DescribeGroupsRequest
from ottla.wire.api.k16_list_groups import ListGroupsRequest
from ottla.wire.api.k69_consumer_group_describe import ConsumerGroupDescribeRequest
from ottla.wire.errors import ErrorCode

JAVA = pytest.param("java", marks=pytest.mark.jvm)
CLIENTS = ["ottla", "confluent-kafka", JAVA]

StartMember = Callable[..., Any]
Unique = Callable[[str], str]


def beat(connection: Connection, member: ConsumerMember, version: int = 1) -> ErrorCode:
    member.receive(connection.ask(member.request(), version))
    return member.last_error


@pytest.mark.parametrize("version", [0, 1])
def test_a_member_joins_consumes_and_leaves_by_hand(
    version: int,
    connection: Connection,
    group: str,
    new_topic: Callable[..., str],
    topic_id: Callable[[str], uuid.UUID],
) -> None:
    topic = new_topic(3)
    member = ConsumerMember(group, "" if version == 0 else str(uuid.uuid4()), [topic])
    wanted = {(topic_id(topic), index) for index in range(3)}

    def has_all() -> bool:
        assert beat(connection, member, version) is ErrorCode.NONE
        return member.owned == wanted

    eventually(has_all, what="everything is assigned")
    assert member.member_id
    request = ConsumerGroupDescribeRequest(group_ids=[group], include_authorized_operations=True)
    assert beat(connection, member, version) is ErrorCode.NONE
    [described] = connection.ask(request, version).groups
    assert described.error_code == ErrorCode.NONE
    assert described.group_state == "Stable"
    assert described.assignor_name == "uniform"
    assert described.group_epoch == described.assignment_epoch == member.epoch
    assert described.authorized_operations > 0
    [shown] = described.members
    assert shown.member_id == member.member_id
    assert shown.subscribed_topic_names == [topic]
    assert [each.topic_name for each in shown.assignment.topic_partitions] == [topic]
    assert sorted(shown.target_assignment.topic_partitions[0].partitions) == [0, 1, 2]
    if version == 1:
        assert shown.member_type == 1

    member.epoch += 1
    assert beat(connection, member, version) is ErrorCode.FENCED_MEMBER_EPOCH
    left = connection.ask(member.leave(), version)
    assert (left.error_code, left.member_epoch) == (ErrorCode.NONE, -1)
    [described] = connection.ask(request, version).groups
    assert (described.group_state, described.members) == ("Empty", [])


def test_a_consumer_group_among_the_others(
    connection: Connection, group: str, new_topic: Callable[..., str], unique: Unique
) -> None:
    member = ConsumerMember(group, str(uuid.uuid4()), [new_topic(1)])
    assert beat(connection, member) is ErrorCode.NONE

    def listed(**filters: list[str]) -> dict[str, Any]:
        values: dict[str, list[str]] = {"states_filter": [], "types_filter": []} | filters
        answer = connection.ask(ListGroupsRequest(**values), 5)
        return {each.group_id: each for each in answer.groups}

    found = listed(types_filter=["Consumer"])[group]
    assert (found.group_type.lower(), found.protocol_type) == ("consumer", "consumer")
    assert group in listed()
    assert group in listed(states_filter=[found.group_state])
    assert group not in listed(types_filter=["classic"])
    assert group not in listed(states_filter=["Dead"])
    [described] = connection.ask(DescribeGroupsRequest(groups=[group]), 6).groups
    assert described.error_code == ErrorCode.GROUP_ID_NOT_FOUND
    stranger = unique("nobody")
    request = ConsumerGroupDescribeRequest(
        group_ids=[stranger], include_authorized_operations=False
    )
    [described] = connection.ask(request, 1).groups
    assert described.error_code == ErrorCode.GROUP_ID_NOT_FOUND
    connection.ask(member.leave(), 1)


def test_a_bad_pattern_is_refused(connection: Connection, group: str) -> None:
    member = ConsumerMember(group, str(uuid.uuid4()), [], regex="(")
    assert beat(connection, member) is ErrorCode.INVALID_REGULAR_EXPRESSION


@pytest.mark.parametrize("client", CLIENTS)
def test_partitions_move_when_members_join_and_leave(
    client: str,
    member: StartMember,
    new_topic: Callable[..., str],
    unique: Unique,
    bootstrap: str,
) -> None:
    topic, group = new_topic(4), unique("group")
    every_partition = partitions_of(topic, 4)
    settings = {"group": group, "topics": [topic], "protocol": "consumer"}
    first = member(client, **settings)
    eventually(lambda: first.assignment == every_partition, what="one member holds all")
    second = member(client, **settings)
    both = [first, second]
    eventually(lambda: share_everything(both, every_partition), what="two members")
    produce_values(bootstrap, topic, 4, [f"a{number}" for number in range(40)])
    wanted = {f"a{number}" for number in range(40)}
    eventually(lambda: {v for m in both for v in m.values} == wanted, what="all is read")
    second.leave()
    eventually(lambda: first.assignment == every_partition, what="after leaving")
    produce_values(bootstrap, topic, 4, [f"b{number}" for number in range(40)])
    wanted = {f"b{number}" for number in range(40)}
    eventually(lambda: wanted <= set(first.values), what="one member reads all")
    assert len([value for value in first.values if value.startswith("b")]) == 40


@pytest.mark.parametrize("client", CLIENTS)
def test_a_static_member_restarts_without_a_rebalance(
    client: str,
    member: StartMember,
    new_topic: Callable[..., str],
    unique: Unique,
    connection: Connection,
) -> None:
    topic, group = new_topic(4), unique("group")
    settings = {"group": group, "topics": [topic], "protocol": "consumer"}
    stays = member(client, instance_id="stays", **settings)
    restarts = member(client, instance_id="restarts", **settings)
    both = [stays, restarts]
    eventually(
        lambda: share_everything(both, partitions_of(topic, 4)),
        what="two members",
    )
    request = ConsumerGroupDescribeRequest(group_ids=[group], include_authorized_operations=False)

    def epoch() -> int:
        [described] = connection.ask(request, 1).groups
        return int(described.group_epoch)

    before, held = epoch(), restarts.assignment
    restarts.leave()
    again = member(client, instance_id="restarts", **settings)
    eventually(lambda: again.assignment == held, what="the same partitions come back")
    assert epoch() == before


@pytest.mark.parametrize("client", CLIENTS)
def test_a_pattern_matched_by_the_broker_finds_a_topic_created_later(
    client: str,
    member: StartMember,
    new_topic: Callable[..., str],
    unique: Unique,
    bootstrap: str,
    admin: AdminClient,
) -> None:
    early = new_topic(1)
    # Not those that the same test made for another client: names are numbered.
    stem, number = early.rsplit("-", 1)
    numbers = "|".join(str(int(number) + step) for step in range(6))
    reader = member(
        client, group=unique("group"), pattern=f"^{stem}-({numbers})$", protocol="consumer"
    )
    eventually(lambda: reader.assignment == {f"{early}-0"}, what="the early topic")
    late = new_topic(2)
    wanted = {f"{early}-0", *partitions_of(late, 2)}
    eventually(lambda: reader.assignment == wanted, what="the late topic")
    produce_values(bootstrap, late, 2, ["x", "y"])
    eventually(lambda: sorted(reader.values) == ["x", "y"], what="its records")


@pytest.mark.jvm
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("java", "confluent-kafka"),
        ("confluent-kafka", "java"),
        ("ottla", "java"),
        ("java", "ottla"),
    ],
)
def test_a_group_is_upgraded_and_downgraded_with_its_members_at_work(
    old: str,
    new: str,
    member: StartMember,
    new_topic: Callable[..., str],
    unique: Unique,
    bootstrap: str,
    connection: Connection,
) -> None:
    topic, group = new_topic(4), unique("group")
    every_partition = partitions_of(topic, 4)
    settings = {"group": group, "topics": [topic], "session_timeout_ms": 10_000}

    def kind() -> str:
        answer = connection.ask(ListGroupsRequest(states_filter=[], types_filter=[]), 5)
        [found] = [each for each in answer.groups if each.group_id == group]
        return str(found.group_type).lower()

    first = member(old, **settings)
    eventually(lambda: first.assignment == every_partition, what="the classic member holds all")
    assert kind() == "classic"
    second = member(new, protocol="consumer", **settings)
    both = [first, second]
    eventually(lambda: share_everything(both, every_partition), what="a mixed group")
    assert kind() == "consumer"
    produce_values(bootstrap, topic, 4, [f"a{number}" for number in range(40)])
    wanted = {f"a{number}" for number in range(40)}
    eventually(lambda: {v for m in both for v in m.values} == wanted, what="all is read")

    second.leave()
    eventually(lambda: first.assignment == every_partition, what="the old one alone")
    assert kind() == "classic"
    third = member(new, protocol="consumer", **settings)
    both = [first, third]
    eventually(lambda: share_everything(both, every_partition), what="mixed again")
    first.leave()
    eventually(lambda: third.assignment == every_partition, what="the new one alone")
    assert kind() == "consumer"
    produce_values(bootstrap, topic, 4, [f"b{number}" for number in range(40)])
    wanted = {f"b{number}" for number in range(40)}
    eventually(lambda: wanted <= set(third.values), what="it reads all")


def test_members_and_offsets_survive_a_restart_of_the_broker(
    own_broker: Callable[..., Any], unique: Unique
) -> None:
    """Not for foreign clients only: their members are the same before and after."""
    broker = own_broker()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic("t", 3, 1)])["t"].result(20)
    member = ConsumerMember("g", str(uuid.uuid4()), ["t"])

    def has_all() -> bool:
        with Connection(broker.bootstrap_servers) as connection:
            # Kafka makes __consumer_offsets when it is first asked for.
            connection.ask(FindCoordinatorRequest(coordinator_keys=["g"]), 4)
            beat(connection, member)
        return len(member.owned) == 3

    eventually(has_all, what="everything is assigned")
    epoch = member.epoch
    broker.stop()
    broker.start()

    def goes_on() -> bool:
        with Connection(broker.bootstrap_servers) as connection:
            return beat(connection, member) is ErrorCode.NONE

    eventually(goes_on, what="the coordinator is back")
    assert (member.epoch, len(member.owned)) == (epoch, 3)


def test_a_broker_can_be_told_to_serve_classic_groups_only(
    own_broker: Callable[..., Any],
) -> None:
    broker = own_broker({"group.coordinator.rebalance.protocols": "classic"})
    member = ConsumerMember("g", str(uuid.uuid4()), ["t"])
    with Connection(broker.bootstrap_servers) as connection:
        assert beat(connection, member) is ErrorCode.UNSUPPORTED_VERSION
