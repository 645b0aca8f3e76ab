"""Images share what did not change, and refuse records that do not fit."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.metadata.controller.create_topics import NewTopic
from ottla.metadata.controller.delete_topics import TopicReference, decide_delete_topics
from ottla.metadata.image import (
    EMPTY_IMAGE,
    BrokerRegistration,
    ClusterImage,
    ConfigResource,
    InconsistentMetadataError,
    PartitionImage,
    ResourceType,
)
from ottla.metadata.persistent_map import PersistentMap
from ottla.metadata.placement import place_replicas
from ottla.metadata.records import (
    ConfigChanged,
    ControllerChanged,
    FeatureChanged,
    PartitionChanged,
    ProducerIdsAllocated,
    TopicCreated,
    TopicRemoved,
)
from ottla.metadata.uuids import format_uuid, parse_uuid
from ottla.ports.entropy import SeededEntropy
from ottla.wire.errors import ErrorCode, ProtocolError

PARTITION = PartitionImage((1,), (1,), 1, 0, 0, (uuid.UUID(int=7),))


def _with_topics(count: int) -> ClusterImage:
    records: list[Any] = []
    for number in range(count):
        topic_id = uuid.UUID(int=1000 + number)
        records += [TopicCreated(f"t{number}", topic_id), PartitionChanged(topic_id, 0, PARTITION)]
    return EMPTY_IMAGE.apply(records)


def test_changing_one_topic_shares_the_other_ten_thousand() -> None:
    image = _with_topics(10_000)
    topic_id = image.topics["t5"].topic_id
    changed = image.apply([PartitionChanged(topic_id, 0, PARTITION._replace(leader_epoch=1))])
    assert changed.topics._base is image.topics._base
    assert len(changed.topics._overlay) == 1
    assert changed.configs is image.configs
    assert image.topics["t5"].partitions[0].leader_epoch == 0
    assert changed.topics["t5"].partitions[0].leader_epoch == 1
    assert changed.topics["t6"] is image.topics["t6"]


def test_collisions_are_forgotten_with_their_topic(cluster: Any) -> None:
    cluster.create(NewTopic("a.b"))
    assert cluster.image.colliding_names["a_b"] == ("a.b",)
    cluster.run(decide_delete_topics(cluster.image, cluster.resolver, [TopicReference("a.b")]))
    assert "a_b" not in cluster.image.colliding_names


@pytest.mark.parametrize(
    "records",
    [
        [TopicCreated("t0", uuid.UUID(int=5))],
        [TopicCreated("other", uuid.UUID(int=1000))],
        [PartitionChanged(uuid.UUID(int=5), 0, PARTITION)],
        [PartitionChanged(uuid.UUID(int=1000), 2, PARTITION)],
        [TopicRemoved("t9", uuid.UUID(int=5), 1)],
        [ProducerIdsAllocated(1, 5000), ProducerIdsAllocated(1, 4000)],
        [ControllerChanged(1, 5), ControllerChanged(2, 4)],
    ],
)
def test_records_that_do_not_fit_are_refused(records: list[Any]) -> None:
    image = _with_topics(2)
    with pytest.raises(InconsistentMetadataError):
        image.apply(records)
    assert image == _with_topics(2)


def test_partitions_are_found_by_number_only() -> None:
    image = _with_topics(1)
    assert image.partition("t0", 0) == PARTITION
    assert image.partition("t0", 1) is None
    assert image.partition("t0", -1) is None
    assert image.partition("nope", 0) is None


def test_disabled_features_and_emptied_configurations_are_gone() -> None:
    resource = ConfigResource(ResourceType.BROKER, "")
    image = EMPTY_IMAGE.apply([FeatureChanged("x", 1), ConfigChanged(resource, {"a": "b"})])
    assert image.features["x"] == 1
    image = image.apply([FeatureChanged("x", 0), ConfigChanged(resource, {})])
    assert image == EMPTY_IMAGE


@given(st.lists(st.dictionaries(st.integers(0, 40), st.none() | st.integers(), max_size=8)))
def test_a_persistent_map_is_a_dict_at_every_step(
    steps: list[dict[int, int | None]],
) -> None:
    current: PersistentMap[int, int] = PersistentMap()
    expected: dict[int, int] = {}
    history = []
    for step in steps:
        history.append((current, dict(expected)))
        current = current.changed(step)
        for key, value in step.items():
            if value is None:
                expected.pop(key, None)
            else:
                expected[key] = value
        assert dict(current.items()) == expected
        assert len(current) == len(expected)
        assert [current.get(key) for key in range(41)] == [expected.get(key) for key in range(41)]
        assert [key for key in range(41) if key in current] == sorted(expected)
    assert all(dict(old.items()) == then for old, then in history)


@given(st.uuids())
def test_ids_survive_their_text_form(value: uuid.UUID) -> None:
    assert parse_uuid(format_uuid(value)) == value
    assert len(format_uuid(value)) == 22


@pytest.mark.parametrize("text", ["", "x" * 21, "x" * 23, "!" * 22, "é" * 22, "_" * 21 + "B"])
def test_text_that_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_uuid(text)


def _brokers(*racks: str | None, fenced: tuple[int, ...] = ()) -> list[BrokerRegistration]:
    return [
        BrokerRegistration(number, 0, rack, (), (), number in fenced)
        for number, rack in enumerate(racks, 1)
    ]


def test_leaders_and_racks_are_spread_evenly() -> None:
    brokers = _brokers("a", "b", "c", "a", "b", "c")
    placed = place_replicas(brokers, 60, 3, SeededEntropy(1))
    rack_of = {broker.broker_id: broker.rack for broker in brokers}
    assert all({rack_of[each] for each in replicas} == {"a", "b", "c"} for replicas in placed)
    leaders = [replicas[0] for replicas in placed]
    assert {leaders.count(broker.broker_id) for broker in brokers} == {10}


def test_without_racks_replicas_go_round_the_brokers() -> None:
    placed = place_replicas(_brokers(None, None, None), 9, 2, SeededEntropy(3))
    assert all(len(set(replicas)) == 2 for replicas in placed)
    for position in (0, 1):
        held = [replicas[position] for replicas in placed]
        assert {held.count(broker_id) for broker_id in (1, 2, 3)} == {3}


def test_fenced_brokers_follow_but_never_lead() -> None:
    placed = place_replicas(_brokers("a", "b", fenced=(2,)), 4, 2, SeededEntropy(3))
    assert placed == [(1, 2)] * 4


@pytest.mark.parametrize(
    ("brokers", "factor", "message"),
    [
        (_brokers("a", "b"), 3, "only 2 broker(s) are registered"),
        (_brokers("a", fenced=(1,)), 1, "All brokers are currently fenced."),
        ([], 1, "All brokers are currently fenced."),
        (_brokers("a"), 0, "must be positive"),
    ],
)
def test_too_few_brokers_are_refused(
    brokers: list[BrokerRegistration], factor: int, message: str
) -> None:
    with pytest.raises(ProtocolError, match="Unable to replicate the partition") as raised:
        place_replicas(brokers, 1, factor, SeededEntropy(1))
    assert raised.value.code is ErrorCode.INVALID_REPLICATION_FACTOR
    assert message in raised.value.message
