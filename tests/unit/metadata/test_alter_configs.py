"""AlterConfigs and IncrementalAlterConfigs on topics, brokers and groups."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.metadata.controller.alter_configs import (
    MAX_KEYS_PER_RESOURCE,
    AlterConfigsItem,
    ConfigOperation,
    ConfigOperationType,
    IncrementalAlterConfigsItem,
    decide_alter_configs,
    decide_incremental_alter_configs,
)
from ottla.metadata.controller.create_topics import NewTopic
from ottla.metadata.image import ResourceType

TOPIC, BROKER, GROUP = ResourceType.TOPIC, ResourceType.BROKER, ResourceType.GROUP
SET, DELETE = ConfigOperationType.SET, ConfigOperationType.DELETE
APPEND, SUBTRACT = ConfigOperationType.APPEND, ConfigOperationType.SUBTRACT


def _edit(
    cluster: Any,
    kind: int,
    name: str,
    *operations: tuple[str, int, str | None],
    validate_only: bool = False,
) -> tuple[int, str]:
    item = IncrementalAlterConfigsItem(
        kind, name, tuple(ConfigOperation(*each) for each in operations)
    )
    decision = decide_incremental_alter_configs(
        cluster.image, cluster.resolver, [item], validate_only=validate_only
    )
    ((_, _, error),) = cluster.run(decision)
    return (error.code, error.message) if error else (0, "")


def _replace(cluster: Any, kind: int, name: str, **values: str | None) -> tuple[int, str]:
    pairs = tuple((key.replace("_", "."), value) for key, value in values.items())
    item = AlterConfigsItem(kind, name, pairs)
    decision = decide_alter_configs(cluster.image, cluster.resolver, [item])
    ((_, _, error),) = cluster.run(decision)
    return (error.code, error.message) if error else (0, "")


def test_incremental_changes_keep_what_they_do_not_name(cluster: Any) -> None:
    cluster.create(NewTopic("t", configs=(("retention.ms", "5"), ("segment.ms", "6"))))
    result = _edit(cluster, TOPIC, "t", ("segment.ms", DELETE, None), ("flush.ms", SET, "7"))
    assert result == (0, "")
    assert cluster.image.config(TOPIC, "t") == {"retention.ms": "5", "flush.ms": "7"}


def test_legacy_changes_replace_everything(cluster: Any) -> None:
    cluster.create(NewTopic("t", configs=(("retention.ms", "5"), ("segment.ms", "6"))))
    assert _replace(cluster, TOPIC, "t", flush_ms="7") == (0, "")
    assert cluster.image.config(TOPIC, "t") == {"flush.ms": "7"}
    assert _replace(cluster, TOPIC, "t") == (0, "")
    assert len(cluster.image.configs) == 0


def test_lists_grow_from_their_default_and_shrink(cluster: Any) -> None:
    cluster.create(NewTopic("t"))
    _edit(cluster, TOPIC, "t", ("cleanup.policy", APPEND, "compact,delete"))
    assert cluster.image.config(TOPIC, "t") == {"cleanup.policy": "delete,compact"}
    _edit(cluster, TOPIC, "t", ("cleanup.policy", SUBTRACT, "delete"))
    assert cluster.image.config(TOPIC, "t") == {"cleanup.policy": "compact"}


@pytest.mark.parametrize(
    ("kind", "name", "operation", "code", "message"),
    [
        (TOPIC, "t", ("retention.ms", SET, "-7"), 40, "Value must be at least -1"),
        (TOPIC, "t", ("retention.ms", APPEND, "1"), 40, "Can't APPEND to key retention.ms because"),
        (TOPIC, "t", ("nope", SUBTRACT, "1"), 40, "Can't SUBTRACT to key nope because"),
        (TOPIC, "t", ("nope", SET, "1"), 40, "Unknown topic config name: nope"),
        (TOPIC, "t", ("retention.ms", SET, None), 42, "Null value not supported for : retention"),
        (TOPIC, "t", ("retention.ms", 9, "1"), 42, "Unknown operations type 9"),
        (TOPIC, "x", ("retention.ms", SET, "1"), 3, "The topic 'x' does not exist."),
        (TOPIC, "", ("retention.ms", SET, "1"), 42, "Default topic resources are not allowed."),
        (TOPIC, "a b", ("retention.ms", SET, "1"), 17, "Topic name is invalid"),
        (BROKER, "1", ("log.dirs", SET, "/x"), 42, "Cannot update these configs dynamically: [lo"),
        (BROKER, "", ("log.retention.hours", SET, "5"), 42, "Cannot update these configs dynamic"),
        (BROKER, "", ("listeners", SET, "X://:1"), 42, "broker id must be specified: [listeners]"),
        (BROKER, "", ("listener.name.x.ssl.keystore.type", SET, "PEM"), 42, "broker id must be"),
        (BROKER, "1", ("ssl.keystore.location", SET, "/x"), 42, "only per-listener using the"),
        (BROKER, "1", ("log.retention.ms", SET, "abc"), 42, "Not a number of type LONG"),
        (BROKER, "", ("compression.type", SET, "x"), 42, "String must be one of: uncompressed"),
        (BROKER, "", ("num.io.threads", APPEND, "5"), 40, "Config value append is not allowed"),
        (BROKER, "", ("foo.bar", APPEND, "5"), 40, "Unknown config name: foo.bar"),
        (BROKER, "7", ("log.retention.ms", SET, "5"), 42, "Unexpected broker id, expected 1"),
        (BROKER, "x", ("log.retention.ms", SET, "5"), 42, "Node id must be an integer, but it is"),
        (GROUP, "", ("consumer.session.timeout.ms", SET, "5"), 42, "Default group resources"),
        (GROUP, "g", ("foo", SET, "5"), 40, "Unknown group config name: foo"),
        (GROUP, "g", ("consumer.session.timeout.ms", SET, "x"), 40, "Not a number of type INT"),
        (
            GROUP,
            "g",
            ("consumer.session.timeout.ms", SET, "5"),
            40,
            "consumer.session.timeout.ms must be greater than or equal to "
            "group.consumer.min.session.timeout.ms",
        ),
        (
            GROUP,
            "g",
            ("consumer.heartbeat.interval.ms", SET, "50000"),
            40,
            "consumer.heartbeat.interval.ms must be less than or equal to "
            "group.consumer.max.heartbeat.interval.ms",
        ),
        (0, "q", ("a", SET, "b"), 42, "Unknown resource type 0"),
        (16, "q", ("a", SET, "b"), 42, "Unknown resource type 16"),
        (99, "q", ("a", SET, "b"), 42, "Unknown resource type 99"),
    ],
)
def test_a_bad_change_is_refused_in_kafkas_words_and_changes_nothing(
    cluster: Any, kind: int, name: str, operation: Any, code: int, message: str
) -> None:
    cluster.create(NewTopic("t"))
    before = cluster.image
    found_code, found_message = _edit(cluster, kind, name, operation)
    assert found_code == code
    assert message in found_message
    assert cluster.image == before


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("", ("log.retention.ms", SET, "6000")),
        ("1", ("log.retention.ms", SET, "5000")),
        ("", ("listener.name.x.max.connections", SET, "2")),
        ("1", ("listener.name.x.ssl.keystore.type", SET, "PEM")),
        ("", ("some.plugin.key", SET, "anything")),
        ("", ("node.id", DELETE, None)),
    ],
)
def test_what_a_running_broker_may_be_given(cluster: Any, name: str, operation: Any) -> None:
    assert _edit(cluster, BROKER, name, operation) == (0, "")
    if operation[1] is SET:
        assert cluster.image.config(BROKER, name) == {operation[0]: operation[2]}


def test_a_session_must_outlast_a_heartbeat(make_cluster: Any) -> None:
    cluster = make_cluster(static={"group.consumer.min.session.timeout.ms": "1"})
    code, message = _edit(cluster, GROUP, "g", ("consumer.session.timeout.ms", SET, "5000"))
    assert code == 40
    assert "consumer.session.timeout.ms must be greater than consumer.heartbeat" in message


def test_keys_and_resources_given_twice_are_refused(cluster: Any) -> None:
    cluster.create(NewTopic("t"))
    code, message = _edit(cluster, TOPIC, "t", ("flush.ms", SET, "1"), ("flush.ms", SET, "2"))
    assert (code, message) == (42, "Error due to duplicate config keys")
    items = [AlterConfigsItem(TOPIC, "t", (("flush.ms", "1"),))] * 2
    reply = decide_alter_configs(cluster.image, cluster.resolver, items).reply
    assert [error.message for _, _, error in reply if error] == [
        "Each resource must appear at most once."
    ] * 2
    assert _replace(cluster, TOPIC, "t", flush_ms=None)[0] == 42


def test_validate_only_and_changes_that_change_nothing_write_nothing(cluster: Any) -> None:
    cluster.create(NewTopic("t", configs=(("flush.ms", "1"),)))
    written = len(cluster.records)
    assert _edit(cluster, TOPIC, "t", ("flush.ms", SET, "2"), validate_only=True) == (0, "")
    assert _edit(cluster, TOPIC, "t", ("flush.ms", SET, "1")) == (0, "")
    assert len(cluster.records) == written


def test_a_broker_cannot_be_flooded_with_unknown_keys(cluster: Any) -> None:
    operations = [(f"plugin.{number}", SET, "x") for number in range(MAX_KEYS_PER_RESOURCE + 1)]
    assert _edit(cluster, BROKER, "", *operations)[0] == 44
