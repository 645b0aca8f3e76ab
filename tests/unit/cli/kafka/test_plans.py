"""Plans and descriptions that tools make without asking anybody."""

from __future__ import annotations

import json
import uuid

import pytest

from ottla.cli.kafka import reassignments
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.group_queries import Committed, GroupView, MemberView
from ottla.cli.kafka.group_tables import assignment_text, members_table, offset_rows, offsets_table
from ottla.cli.kafka.latencies import Latencies, total_line, window_line
from ottla.cli.kafka.metadata_versions import features_of_release, metadata_level
from ottla.cli.kafka.properties import for_our_client, parse
from ottla.cli.kafka.topic_description import (
    ChosenPartitions,
    Move,
    PartitionView,
    Setting,
    TopicView,
    describe_topic,
)
from ottla.cli.kafka.topics import parse_assignment, parse_configs
from ottla.cli.kafka.uuids import format_uuid, parse_uuid

TOPIC = TopicView(
    "t",
    uuid.UUID(int=1),
    [
        PartitionView(0, 1, [1, 2], [1, 2], [], []),
        PartitionView(1, 2, [2, 1], [2]),
        PartitionView(2, -1, [1, 2], []),
    ],
)
SETTINGS = [Setting("min.insync.replicas", "2", 5), Setting("retention.ms", "9", 1)]


def lines(chosen: ChosenPartitions, moves: dict[tuple[str, int], Move] | None = None) -> list[str]:
    return list(describe_topic(TOPIC, SETTINGS, moves or {}, chosen))


def test_a_topic_is_described_with_all_its_partitions() -> None:
    head, *partitions = lines(ChosenPartitions())
    assert head.split("\t")[2:] == [
        "PartitionCount: 3", "ReplicationFactor: 2", "Configs: retention.ms=9",
    ]  # fmt: skip
    assert "Elr: \tLastKnownElr: " in partitions[0]
    assert "Elr: N/A" in partitions[1]
    assert "Leader: none" in partitions[2]


@pytest.mark.parametrize(
    ("chosen", "numbers"),
    [
        (ChosenPartitions(under_replicated=True), [1, 2]),
        (ChosenPartitions(unavailable=True, live_brokers=frozenset({1})), [1, 2]),
        (ChosenPartitions(under_min_isr=True), [1, 2]),
        (ChosenPartitions(at_min_isr=True), [0]),
    ],
)
def test_reports_choose_partitions(chosen: ChosenPartitions, numbers: list[int]) -> None:
    found = [int(line.split("\t")[2].removeprefix("Partition: ")) for line in lines(chosen)]
    assert found == numbers


def test_a_partition_that_is_moving_is_not_under_replicated_for_that() -> None:
    moves = {("t", 1): Move([2, 1], [1], [])}
    shown = lines(ChosenPartitions(under_replicated=True), moves)
    assert [line.split("\t")[2] for line in shown] == ["Partition: 2"]


def test_replica_assignments() -> None:
    assert parse_assignment("1:2,2:3") == [[1, 2], [2, 3]]
    assert parse_assignment("") == []
    for wrong in ("1:1", "1:2,3", "a", "1,"):
        with pytest.raises(ValueError, match=r"duplicate|different|input string"):
            parse_assignment(wrong)


def test_topic_settings() -> None:
    assert parse_configs(["a = b", "c=d"]) == {"a": "b", "c": "d"}
    for wrong in (["a"], ["a="], ["a=b=c"]):
        with pytest.raises(ValueError, match="key=val"):
            parse_configs(wrong)


def test_ids_in_base64() -> None:
    found = uuid.UUID("12345678-1234-5678-1234-567812345678")
    assert parse_uuid(format_uuid(found)) == found
    for wrong in ("abc", "x" * 25, "ä" * 22):
        with pytest.raises(ValueError, match=r"base64|bytes"):
            parse_uuid(wrong)


def test_a_reassignment_is_read_back_as_it_is_written() -> None:
    current = {("a", 0): [1, 2], ("a", 1): [2, 1]}
    plan = reassignments.parse_plan(json.loads(reassignments.format_plan(current)))
    assert plan.replicas == current
    assert plan.directories == {}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "Expected JSON object"),
        ({}, "cannot be empty"),
        ({"version": 2, "partitions": []}, "Not supported version"),
        ({"partitions": [{"topic": "a"}]}, "No such field exists: `partition`"),
        ({"partitions": [{"topic": 1, "partition": 0}]}, "topic is no str"),
        ({"partitions": [{"topic": "a", "partition": True, "replicas": [1]}]}, "no int"),
        ({"partitions": [{"topic": "a", "partition": 0, "replicas": []}]}, "list cannot be empty"),
        ({"partitions": [{"topic": "a", "partition": 0, "replicas": [1, 1]}]}, "duplicate"),
        ({"partitions": [{"topic": "a", "partition": 0, "replicas": ["1"]}]}, "no broker ids"),
        (
            {"partitions": [{"topic": "a", "partition": 0, "replicas": [1], "log_dirs": []}] * 2},
            "duplicate topic partitions: a-0",
        ),
    ],
)
def test_broken_plans_are_refused(document: object, told: str) -> None:
    with pytest.raises(ToolFailure, match=told):
        reassignments.parse_plan(document)


def test_proposals_spread_leaders_and_racks() -> None:
    current = {("a", number): [1, 2] for number in range(8)}
    racks = {1: "x", 2: "x", 3: "y", 4: "y"}
    proposed = reassignments.propose(current, racks)
    leaders = [replicas[0] for replicas in proposed.values()]
    assert {leaders.count(broker) for broker in racks} == {2}
    assert all(racks[a] != racks[b] for a, b in proposed.values())
    with pytest.raises(ToolFailure, match="larger than available brokers"):
        reassignments.propose(current, {1: None})


def test_throttles_name_who_sends_and_who_receives() -> None:
    wanted, current = {("a", 0): [2, 3]}, {("a", 0): [1, 2]}
    assert reassignments.throttled_replicas(wanted, current) == {"a": ("0:1,0:2", "0:3")}


MEMBER = MemberView("m-1", None, "client", "/10.0.0.1", [("b", 0), ("a", 1), ("a", 0)])
GROUP = GroupView("g", "Classic", "Stable", "range", (1, "host", 9092), [MEMBER])


def test_offsets_are_shown_by_member_then_what_nobody_has() -> None:
    committed = {("a", 0): Committed(3, 0, ""), ("z", 0): Committed(9, 0, "")}
    rows = offset_rows(GROUP, committed, {("a", 0): 10, ("a", 1): 5, ("z", 0): 9})
    shown = [(row.topic, row.partition, row.lag) for row in rows]
    assert shown == [("a", 0, 7), ("a", 1, None), ("b", 0, None), ("z", 0, 0)]
    table = list(offsets_table("g", rows, verbose=False))
    assert table[1].split()[:6] == [
        "GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG",
    ]  # fmt: skip
    assert table[2].split()[-1] == "client"
    assert table[5].split()[-3:] == ["-", "-", "-"]


def test_assignments_in_a_cell() -> None:
    assert assignment_text(MEMBER.assigned) == "a:0,1;b:0"
    assert assignment_text([]) == "-"
    assert "a:0,1;b:0" in list(members_table(GROUP, verbose=True))[2]


def test_releases_and_their_features() -> None:
    assert metadata_level("4.0") == 25
    assert features_of_release("4.0-IV2")["transaction.version"] == 2
    with pytest.raises(ToolFailure, match=r"Unknown metadata.version '9.9'"):
        metadata_level("9.9")


def test_properties_as_java_writes_them() -> None:
    text = "# no\n! no\na = b\\\n   c\nd:e\\:f\ng h\n\\u0041\\=x=1\nempty\n"
    assert parse(text) == {"a": "bc", "d": "e:f", "g": "h", "A=x": "1", "empty": ""}


def test_javas_settings_as_our_client_takes_them() -> None:
    jaas = 'o.a.k.PlainLoginModule required username="al\\"x" password=\'p w\' extra=1;'
    ours = for_our_client(
        {"sasl.jaas.config": jaas, "key.serializer": "x", "security.protocol": "SASL_SSL"}
    )
    assert ours == {
        "sasl.username": 'al\\"x',
        "sasl.password": "p w",
        "security.protocol": "SASL_SSL",
    }


def test_latencies_are_summed_up() -> None:
    latencies = Latencies()
    for milliseconds in range(1, 101):
        latencies.add(milliseconds, 1024)
    assert latencies.percentiles((0.5, 0.99)) == [51, 100]
    assert total_line(latencies, 1.0).startswith(
        "100 records sent, 100.000000 records/sec (0.10 MB/sec), 50.50 ms avg latency, 100.00 ms "
        "max latency, 51 ms 50th"
    )
    assert window_line(Latencies(), 5).startswith("0 records sent, 0.0 records/sec")
