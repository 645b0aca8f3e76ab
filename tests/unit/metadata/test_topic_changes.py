"""DeleteTopics, CreatePartitions, ElectLeaders, producer ids, registration."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from ottla.metadata.controller.brokers import decide_bootstrap
from ottla.metadata.controller.create_partitions import NewPartitions, decide_create_partitions
from ottla.metadata.controller.create_topics import NewTopic
from ottla.metadata.controller.delete_topics import (
    TopicReference,
    decide_delete_topics,
    decide_purge_topic,
)
from ottla.metadata.controller.elect_leaders import ElectionType, decide_elect_leaders
from ottla.metadata.controller.producer_ids import decide_allocate_producer_ids
from ottla.metadata.image import NO_LEADER, ConfigResource, ResourceType
from ottla.metadata.records import PartitionChanged, ProducerIdsAllocated
from ottla.wire.errors import ErrorCode, ProtocolError


def _delete(cluster: Any, *references: TopicReference) -> list[tuple[str | None, int]]:
    reply = cluster.run(decide_delete_topics(cluster.image, cluster.resolver, references))
    return [(each.name, each.error.code if each.error else 0) for each in reply]


def test_deleting_by_name_or_id_forgets_the_topic_but_not_its_logs(cluster: Any) -> None:
    cluster.create(
        NewTopic("a.b", 2, configs=(("retention.ms", "5"),)), NewTopic("c"), NewTopic("d")
    )
    first, second = cluster.image.topics["a.b"].topic_id, cluster.image.topics["c"].topic_id
    assert _delete(cluster, TopicReference("a.b"), TopicReference(None, second)) == [
        ("a.b", 0),
        ("c", 0),
    ]
    assert list(cluster.image.topics) == ["d"]
    assert ConfigResource(ResourceType.TOPIC, "a.b") not in cluster.image.configs
    assert cluster.image.partition_count == 1
    assert cluster.image.deleted_topics[first].partition_count == 2
    assert not isinstance(cluster.create(NewTopic("a_b"))["a_b"], ProtocolError)
    cluster.run(decide_purge_topic(cluster.image, first))
    assert set(cluster.image.deleted_topics) == {second}
    assert decide_purge_topic(cluster.image, first).records == ()


def test_deletions_that_make_no_sense_are_refused_one_by_one(cluster: Any) -> None:
    cluster.create(NewTopic("a"), NewTopic("b"))
    topic_id = cluster.image.topics["a"].topic_id
    unknown = uuid.UUID(int=12345)
    answers = _delete(
        cluster,
        TopicReference("nope"),
        TopicReference(None, unknown),
        TopicReference(None),
        TopicReference("a", topic_id),
        TopicReference("b"),
        TopicReference("b"),
        TopicReference("a"),
        TopicReference(None, topic_id),
    )
    assert [code for _, code in answers] == [3, 100, 42, 42, 42, 0, 42]
    assert list(cluster.image.topics) == ["b"]


def test_deletion_can_be_disabled(make_cluster: Any) -> None:
    cluster = make_cluster(static={"delete.topic.enable": "false"})
    with pytest.raises(ProtocolError) as raised:
        decide_delete_topics(cluster.image, cluster.resolver, [TopicReference("a")])
    assert raised.value.code is ErrorCode.TOPIC_DELETION_DISABLED


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (NewPartitions("nope", 3), 3, ""),
        (NewPartitions("t", 2), 37, "Topic already has 2 partition(s)."),
        (NewPartitions("t", 1), 37, "1 would not be an increase."),
        (NewPartitions("t", -1), 37, "-1 would not be an increase."),
        (NewPartitions("t", 4, ((1,),)), 39, "Attempted to add 2 additional partition(s)"),
        (NewPartitions("t", 3, ((9,),)), 39, "no such broker is registered"),
        (NewPartitions("t", 3, ((),)), 39, "empty replica list"),
        (NewPartitions("t", 3, ((1, 1),)), 39, "more than once"),
        (NewPartitions("t", 20_003), 44, "Excessively large number of partitions per request."),
        (NewPartitions("t", 2**31 - 1), 44, "max.partitions.per.topic allows"),
    ],
)
def test_partitions_that_cannot_be_are_refused(
    cluster: Any, request_: NewPartitions, code: int, message: str
) -> None:
    cluster.create(NewTopic("t", 2))
    before = cluster.image
    ((name, error),) = cluster.run(
        decide_create_partitions(cluster.image, cluster.resolver, [request_], cluster.entropy)
    )
    assert (name, error.code) == (request_.topic, code)
    assert message in error.message
    assert cluster.image == before


def test_a_topic_grows_and_keeps_the_partitions_it_had(make_cluster: Any) -> None:
    cluster = make_cluster(3)
    cluster.create(NewTopic("t", 2, 2), NewTopic("u", 1))
    old = cluster.image.topics["t"].partitions
    requests = [
        NewPartitions("t", 4, ((2, 3), (3, 1))),
        NewPartitions("u", 2),
        NewPartitions("u", 3),
    ]
    decision = decide_create_partitions(cluster.image, cluster.resolver, requests, cluster.entropy)
    reply = dict(cluster.run(decision))
    assert reply["t"] is None
    assert reply["u"].message == "Duplicate topic name."
    partitions = cluster.image.topics["t"].partitions
    assert partitions[:2] == old
    assert [each.replicas for each in partitions[2:]] == [(2, 3), (3, 1)]
    dry = decide_create_partitions(
        cluster.image,
        cluster.resolver,
        [NewPartitions("u", 9)],
        cluster.entropy,
        validate_only=True,
    )
    assert dry.records == ()
    assert dry.reply == [("u", None)]


def _set(cluster: Any, **changes: Any) -> None:
    topic = cluster.image.topics["t"]
    partition = topic.partitions[0]._replace(**changes)
    cluster.image = cluster.image.apply([PartitionChanged(topic.topic_id, 0, partition)])


def _elect(cluster: Any, kind: int, partitions: Any) -> list[int]:
    reply = cluster.run(decide_elect_leaders(cluster.image, kind, partitions))
    return [error.code if error else 0 for _, _, error in reply]


def test_the_preferred_leader_leads_again_under_a_new_epoch(make_cluster: Any) -> None:
    cluster = make_cluster(3)
    cluster.create(NewTopic("t", assignments=((0, (1, 2, 3)),)))
    assert _elect(cluster, ElectionType.PREFERRED, [("t", 0)]) == [ErrorCode.ELECTION_NOT_NEEDED]
    assert _elect(cluster, ElectionType.PREFERRED, None) == []
    _set(cluster, leader=2)
    assert _elect(cluster, ElectionType.PREFERRED, None) == [0]
    partition = cluster.image.topics["t"].partitions[0]
    assert (partition.leader, partition.leader_epoch, partition.partition_epoch) == (1, 1, 1)
    _set(cluster, leader=2, isr=(2, 3))
    assert _elect(cluster, ElectionType.PREFERRED, [("t", 0)]) == [
        ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
    ]


def test_an_unclean_election_takes_whoever_is_left(make_cluster: Any) -> None:
    cluster = make_cluster(2)
    cluster.create(NewTopic("t", assignments=((0, (1, 2)),)))
    assert _elect(cluster, ElectionType.UNCLEAN, [("t", 0)]) == [ErrorCode.ELECTION_NOT_NEEDED]
    _set(cluster, leader=NO_LEADER, isr=())
    assert _elect(cluster, ElectionType.UNCLEAN, [("t", 0), ("t", 9), ("x", 0)]) == [0, 3, 3]
    partition = cluster.image.topics["t"].partitions[0]
    assert (partition.leader, partition.isr) == (1, (1,))
    with pytest.raises(ProtocolError):
        decide_elect_leaders(cluster.image, 5, None)


def test_producer_ids_are_handed_out_once_in_blocks(make_cluster: Any) -> None:
    cluster = make_cluster(2)
    blocks = [cluster.run(decide_allocate_producer_ids(cluster.image, each)) for each in (1, 2, 1)]
    assert [block.ids() for block in blocks] == [
        range(1000),
        range(1000, 2000),
        range(2000, 3000),
    ]
    with pytest.raises(ProtocolError):
        decide_allocate_producer_ids(cluster.image, 99)
    cluster.image = cluster.image.apply([ProducerIdsAllocated(1, 2**63 - 500)])
    with pytest.raises(ProtocolError, match="Exhausted"):
        decide_allocate_producer_ids(cluster.image, 1)


def test_a_returning_broker_leads_what_had_no_leader(cluster: Any) -> None:
    cluster.create(NewTopic("t"))
    _set(cluster, leader=NO_LEADER)
    cluster.register(1)
    partition = cluster.image.topics["t"].partitions[0]
    assert (partition.leader, partition.leader_epoch) == (1, 1)
    assert cluster.image.brokers[1].epoch == 1


def test_metadata_of_another_cluster_is_refused(cluster: Any) -> None:
    with pytest.raises(ProtocolError) as raised:
        decide_bootstrap(cluster.image, "another", 1, 2)
    assert raised.value.code is ErrorCode.INCONSISTENT_CLUSTER_ID
    again = decide_bootstrap(cluster.image, cluster.image.cluster_id, 1, 2)
    assert cluster.image.apply(again.records).controller_epoch == 2
