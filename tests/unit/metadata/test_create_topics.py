"""CreateTopics: names, counts, replicas, configuration, limits."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.metadata.config.resolve import ConfigSource
from ottla.metadata.controller.create_topics import NewTopic
from ottla.metadata.image import ResourceType
from ottla.wire.errors import ErrorCode, ProtocolError


def test_a_topic_gets_the_defaults_and_is_led_by_the_only_broker(make_cluster: Any) -> None:
    cluster = make_cluster(static={"num.partitions": "3"})
    created = cluster.create(NewTopic("orders"))["orders"]
    topic = cluster.image.topics["orders"]
    assert (created.partition_count, created.replication_factor) == (3, 1)
    assert created.topic_id == topic.topic_id
    assert [(p.replicas, p.isr, p.leader, p.leader_epoch) for p in topic.partitions] == [
        ((1,), (1,), 1, 0)
    ] * 3
    assert cluster.image.topic_by_id(topic.topic_id) is topic
    assert cluster.image.partition_count == 3


@pytest.mark.parametrize(
    ("topic", "code", "message"),
    [
        (NewTopic(""), 17, "Topic name is invalid: the empty string is not allowed"),
        (NewTopic("."), 17, "Topic name is invalid: '.' is not allowed"),
        (NewTopic(".."), 17, "Topic name is invalid: '..' is not allowed"),
        (NewTopic("a b"), 17, "contains one or more characters other than"),
        (NewTopic("größe"), 17, "contains one or more characters other than"),
        (NewTopic("n" * 250), 17, "is longer than the max allowed length 249"),
        (NewTopic("a_b"), 17, "Topic 'a_b' collides with existing topic: a.b"),
        (NewTopic("a.b"), 36, "Topic 'a.b' already exists."),
        (NewTopic("__cluster_metadata"), 42, "Creation of internal topic"),
        (NewTopic("t", 0), 37, "invalid non-positive value"),
        (NewTopic("t", -2), 37, "invalid non-positive value"),
        (NewTopic("t", 1, 0), 38, "Replication factor must be larger than 0"),
        (NewTopic("t", 1, -3), 38, "Replication factor must be larger than 0"),
        (NewTopic("t", 1, 2), 38, "Unable to replicate the partition 2 time(s)"),
        (NewTopic("t", 20_000), 44, "Excessively large number of partitions per request."),
        (NewTopic("t", 2_000_000_000), 44, "max.partitions.per.topic allows"),
        (NewTopic("t", 1, -1, ((0, (1,)),)), 42, "numPartitions was not set to -1"),
        (NewTopic("t", -1, 1, ((0, (1,)),)), 42, "replication factor was not set to -1"),
        (NewTopic("t", assignments=((0, ()),)), 39, "empty replica list"),
        (NewTopic("t", assignments=((0, (7,)),)), 39, "includes broker 7, but no such broker"),
        (NewTopic("t", assignments=((0, (1, 1)),)), 39, "the broker 1 more than once"),
        (NewTopic("t", assignments=((1, (1,)),)), 39, "consecutive 0-based integer sequence"),
        (NewTopic("t", assignments=((0, (1,)), (0, (1,)))), 39, "Found multiple manual"),
        (NewTopic("t", configs=(("retention.ms", None),)), 40, "Null value not supported"),
        (NewTopic("t", configs=(("no.such.key", "1"),)), 40, "Unknown topic config name"),
        (
            NewTopic("t", configs=(("retention.ms", "abc"),)),
            40,
            "Invalid value abc for configuration retention.ms: Not a number of type LONG",
        ),
        (
            NewTopic("t", configs=(("segment.bytes", "10"),)),
            40,
            "Invalid value 10 for configuration segment.bytes: Value must be at least 1048576",
        ),
        (
            NewTopic("t", configs=(("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "2"))),
            40,
            "conflict topic config setting min.compaction.lag.ms (5) > max.compaction.lag.ms (2)",
        ),
        (NewTopic("t", configs=(("remote.storage.enable", "true"),)), 40, "Tiered Storage"),
    ],
)
def test_a_bad_topic_is_refused_in_kafkas_words_and_changes_nothing(
    cluster: Any, topic: NewTopic, code: int, message: str
) -> None:
    cluster.create(NewTopic("a.b"))
    before = cluster.image
    error = cluster.create(topic)[topic.name]
    assert isinstance(error, ProtocolError)
    assert error.code == code
    assert message in error.message
    assert cluster.image == before


def test_one_bad_topic_does_not_fail_the_others(cluster: Any) -> None:
    reply = cluster.create(NewTopic("good"), NewTopic("bad name"), NewTopic("fine", 2))
    assert isinstance(reply["bad name"], ProtocolError)
    assert set(cluster.image.topics) == {"good", "fine"}


def test_names_given_twice_are_refused_once(cluster: Any) -> None:
    reply = cluster.create(NewTopic("twice", 1), NewTopic("once"), NewTopic("twice", 2))
    assert reply["twice"].code is ErrorCode.INVALID_REQUEST
    assert reply["twice"].message == "Duplicate topic name."
    assert set(cluster.image.topics) == {"once"}


def test_names_of_one_request_collide_with_each_other(cluster: Any) -> None:
    reply = cluster.create(NewTopic("x.y"), NewTopic("x_y"))
    assert reply["x_y"].code is ErrorCode.INVALID_TOPIC_EXCEPTION
    assert set(cluster.image.topics) == {"x.y"}


def test_validate_only_answers_but_writes_nothing(cluster: Any) -> None:
    reply = cluster.create(NewTopic("dry", 4), validate_only=True)
    assert reply["dry"].partition_count == 4
    assert len(cluster.image.topics) == 0


def test_the_reply_shows_every_key_and_whence_it_comes(cluster: Any) -> None:
    created = cluster.create(NewTopic("t", configs=(("retention.ms", "99"),)))["t"]
    configs = {each.name: each for each in created.configs}
    assert len(configs) == 33
    assert configs["retention.ms"].value == "99"
    assert configs["retention.ms"].source is ConfigSource.DYNAMIC_TOPIC_CONFIG
    assert configs["segment.ms"].is_default
    assert cluster.image.config(ResourceType.TOPIC, "t") == {"retention.ms": "99"}


def test_manual_assignments_are_kept_as_given(make_cluster: Any) -> None:
    cluster = make_cluster(3)
    cluster.create(NewTopic("t", assignments=((1, (3, 1)), (0, (2, 3)))))
    assert [p.replicas for p in cluster.image.topics["t"].partitions] == [(2, 3), (3, 1)]
    assert [p.leader for p in cluster.image.topics["t"].partitions] == [2, 3]


def test_manual_assignments_must_agree_on_the_replication_factor(make_cluster: Any) -> None:
    reply = make_cluster(3).create(NewTopic("t", assignments=((0, (2, 3)), (1, (3,)))))
    assert reply["t"].code is ErrorCode.INVALID_REPLICA_ASSIGNMENT


def test_internal_topics_are_flagged_and_can_be_kept_from_clients(cluster: Any) -> None:
    cluster.create(NewTopic("__consumer_offsets"), NewTopic("mine"))
    assert cluster.image.topics["__consumer_offsets"].is_internal
    assert not cluster.image.topics["mine"].is_internal
    reply = cluster.create(NewTopic("__transaction_state"), allow_internal=False)
    assert reply["__transaction_state"].code is ErrorCode.INVALID_REQUEST


def test_the_limits_count_all_topics_together(make_cluster: Any) -> None:
    cluster = make_cluster(static={"max.partitions": "5", "max.partitions.per.topic": "4"})
    reply = cluster.create(NewTopic("a", 3), NewTopic("b", 3), NewTopic("c", 2), NewTopic("d", 5))
    assert reply["b"].code is ErrorCode.POLICY_VIOLATION
    assert reply["d"].code is ErrorCode.POLICY_VIOLATION
    assert cluster.image.partition_count == 5
