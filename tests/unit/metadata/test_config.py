"""Keys, values, sources: what Kafka 4.3 has, and which value applies."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.metadata.config.broker_keys import BROKER_KEYS
from ottla.metadata.config.describe import describe_config
from ottla.metadata.config.group_keys import GROUP_KEYS, GROUP_SYNONYMS
from ottla.metadata.config.keys import ConfigValueError
from ottla.metadata.config.resolve import (
    ConfigResolver,
    ConfigSource,
    TopicConfig,
    static_problems,
    unknown_keys,
)
from ottla.metadata.config.topic_keys import TOPIC_KEYS, TOPIC_SYNONYMS
from ottla.metadata.controller.create_topics import NewTopic
from ottla.metadata.image import EMPTY_IMAGE, ConfigResource, ResourceType
from ottla.metadata.records import ConfigChanged
from ottla.wire.errors import ErrorCode, ProtocolError

BROKER = ResourceType.BROKER
TOPIC = ResourceType.TOPIC
MAX_LONG = 2**63 - 1

# The topic configurations of Apache Kafka 4.3.1 and their defaults, as its LogConfig gives them.
KAFKA_TOPIC_DEFAULTS: dict[str, Any] = {
    "cleanup.policy": ("delete",),
    "compression.gzip.level": -1,
    "compression.lz4.level": 9,
    "compression.type": "producer",
    "compression.zstd.level": 3,
    "delete.retention.ms": 86_400_000,
    "file.delete.delay.ms": 60_000,
    "flush.messages": MAX_LONG,
    "flush.ms": MAX_LONG,
    "follower.replication.throttled.replicas": (),
    "index.interval.bytes": 4096,
    "leader.replication.throttled.replicas": (),
    "local.retention.bytes": -2,
    "local.retention.ms": -2,
    "max.compaction.lag.ms": MAX_LONG,
    "max.message.bytes": 1_048_588,
    "message.timestamp.after.max.ms": 3_600_000,
    "message.timestamp.before.max.ms": MAX_LONG,
    "message.timestamp.type": "CreateTime",
    "min.cleanable.dirty.ratio": 0.5,
    "min.compaction.lag.ms": 0,
    "min.insync.replicas": 1,
    "preallocate": False,
    "remote.log.copy.disable": False,
    "remote.log.delete.on.disable": False,
    "remote.storage.enable": False,
    "retention.bytes": -1,
    "retention.ms": 604_800_000,
    "segment.bytes": 1_073_741_824,
    "segment.index.bytes": 10_485_760,
    "segment.jitter.ms": 0,
    "segment.ms": 604_800_000,
    "unclean.leader.election.enable": False,
}


def test_the_topic_keys_and_defaults_are_kafkas() -> None:
    assert {name: key.default_value() for name, key in TOPIC_KEYS.items()} == KAFKA_TOPIC_DEFAULTS


def test_what_applies_without_any_setting_is_the_default_of_every_key() -> None:
    resolved = ConfigResolver({}, 1).topic(EMPTY_IMAGE, "t")
    fields = {name.replace("_", "."): value for name, value in resolved._asdict().items()}
    assert fields == KAFKA_TOPIC_DEFAULTS
    assert set(TopicConfig._fields) == {name.replace(".", "_") for name in TOPIC_KEYS}


@pytest.mark.parametrize("keys", [TOPIC_KEYS, BROKER_KEYS, GROUP_KEYS])
def test_every_key_is_documented_and_accepts_its_own_default(keys: Any) -> None:
    for name, key in keys.items():
        assert key.name == name
        assert key.documentation.endswith(".")
        key.default_value()


def test_synonyms_name_keys_that_exist() -> None:
    for name, synonyms in TOPIC_SYNONYMS.items():
        assert name in TOPIC_KEYS
        assert all(synonym.name in BROKER_KEYS for synonym in synonyms)
    assert all(name in BROKER_KEYS for name in GROUP_SYNONYMS.values())


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("retention.ms", " 5 ", 5),
        ("retention.ms", "+5", 5),
        ("cleanup.policy", "compact , delete", ("compact", "delete")),
        ("cleanup.policy", "compact,compact", ("compact",)),
        ("cleanup.policy", "", ()),
        ("preallocate", "TRUE", True),
        ("min.cleanable.dirty.ratio", "1e-1", 0.1),
        ("follower.replication.throttled.replicas", "*", ("*",)),
        ("follower.replication.throttled.replicas", "0:1,1:2", ("0:1", "1:2")),
    ],
)
def test_values_are_read_as_kafka_reads_them(name: str, text: str, value: Any) -> None:
    assert TOPIC_KEYS[name].parse(text) == value


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("retention.ms", "abc", "Not a number of type LONG"),
        ("retention.ms", "", "Not a number of type LONG"),
        ("retention.ms", "1_0", "Not a number of type LONG"),
        ("retention.ms", "1e3", "Not a number of type LONG"),
        ("retention.ms", "+-1", "Not a number of type LONG"),
        ("retention.ms", "٣", "Not a number of type LONG"),
        ("retention.ms", "9" * 5000, "Not a number of type LONG"),
        ("retention.ms", "-2", "Value must be at least -1"),
        ("segment.bytes", "4294967296", "Not a number of type INT"),
        ("compression.lz4.level", "99", "Value must be no more than 17"),
        ("compression.gzip.level", "0", "Value must be between 1 and 9 or equal to -1"),
        ("compression.type", "GZIP", "String must be one of: uncompressed, zstd, lz4, snappy"),
        ("cleanup.policy", "foo", "String must be one of: compact, delete"),
        ("cleanup.policy", "compact,", "values must not be empty"),
        ("preallocate", "yes", "Expected value to be either true or false"),
        ("min.cleanable.dirty.ratio", "nan", "Not a number of type DOUBLE"),
        ("min.cleanable.dirty.ratio", "inf", "Not a number of type DOUBLE"),
        ("min.cleanable.dirty.ratio", "2", "Value must be no more than 1"),
        ("leader.replication.throttled.replicas", "x", "must be the literal '*' or a list"),
    ],
)
def test_bad_values_are_refused_in_kafkas_words(name: str, text: str, problem: str) -> None:
    with pytest.raises(ConfigValueError) as raised:
        TOPIC_KEYS[name].parse(text)
    assert problem in str(raised.value)
    assert name in str(raised.value)


@pytest.mark.parametrize("length", [5000, 1_000_000])
def test_an_endless_value_is_not_repeated(length: int) -> None:
    with pytest.raises(ConfigValueError) as raised:
        TOPIC_KEYS["retention.ms"].parse("x" * length)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("value", "valid"),
    [("earliest", True), ("by_duration:PT1H", True), ("by_duration:-PT1H", False), ("x", False)],
)
def test_where_a_share_group_starts(value: str, valid: bool) -> None:
    if valid:
        assert GROUP_KEYS["share.auto.offset.reset"].parse(value) == value
    else:
        with pytest.raises(ConfigValueError):
            GROUP_KEYS["share.auto.offset.reset"].parse(value)


def _image(**values: dict[str, str]) -> Any:
    resources = {
        "topic": ConfigResource(TOPIC, "t"),
        "broker": ConfigResource(BROKER, "1"),
        "default": ConfigResource(BROKER, ""),
    }
    return EMPTY_IMAGE.apply(
        [ConfigChanged(resources[name], each) for name, each in values.items()]
    )


@pytest.mark.parametrize(
    ("static", "dynamic", "retention_ms"),
    [
        ({"log.retention.hours": "2"}, {}, 7_200_000),
        ({"log.retention.hours": "2", "log.retention.minutes": "3"}, {}, 180_000),
        ({"log.retention.minutes": "3", "log.retention.ms": "4"}, {}, 4),
        ({"log.retention.hours": "-1"}, {}, -1),
        ({"log.retention.ms": "4"}, {"default": {"log.retention.ms": "5"}}, 5),
        ({}, {"default": {"log.retention.ms": "5"}, "broker": {"log.retention.ms": "6"}}, 6),
        ({}, {"broker": {"log.retention.ms": "6"}, "topic": {"retention.ms": "7"}}, 7),
    ],
)
def test_the_strongest_setting_applies(
    static: dict[str, str], dynamic: dict[str, dict[str, str]], retention_ms: int
) -> None:
    assert ConfigResolver(static, 1).topic(_image(**dynamic), "t").retention_ms == retention_ms


def test_resolution_follows_the_image_and_is_done_once_for_each_change() -> None:
    resolver = ConfigResolver({}, 1)
    image = _image(topic={"segment.bytes": "2000000"})
    first = resolver.topic(image, "t")
    assert resolver.topic(image, "t") is first
    unrelated = image.apply([ConfigChanged(ConfigResource(TOPIC, "u"), {"retention.ms": "1"})])
    assert resolver.topic(unrelated, "t") is first
    changed = unrelated.apply(
        [ConfigChanged(ConfigResource(BROKER, ""), {"log.retention.ms": "9"})]
    )
    assert resolver.topic(changed, "t") == first._replace(retention_ms=9)
    assert resolver.topic(changed, "other").retention_ms == 9
    removed = changed.apply([ConfigChanged(ConfigResource(TOPIC, "t"), {})])
    assert resolver.topic(removed, "t").segment_bytes == 1_073_741_824


def test_a_brokers_values_are_typed() -> None:
    broker = ConfigResolver({"log.dirs": "a, b", "delete.topic.enable": "false"}, 1).broker(
        EMPTY_IMAGE
    )
    assert broker.items("log.dirs") == ("a", "b")
    assert broker.boolean("delete.topic.enable") is False
    assert broker.integer("group.initial.rebalance.delay.ms") == 3000
    assert broker.optional_integer("log.retention.ms") is None
    assert broker.text("log.flush.policy") == "group"
    assert broker.number("log.cleaner.io.buffer.load.factor") == 0.9
    with pytest.raises(KeyError):
        broker.value("no.such.key")


def test_problems_of_a_properties_file_are_named_all_at_once() -> None:
    static = {"num.partitions": "x", "log.flush.policy": "maybe", "my.plugin": "1"}
    problems = static_problems(static)
    assert len(problems) == 2
    assert "Invalid value x for configuration num.partitions" in problems[0]
    assert unknown_keys(static) == ["my.plugin"]


def _described(resolver: ConfigResolver, image: Any, resource: ConfigResource) -> dict[str, Any]:
    return {each.name: each for each in describe_config(resolver, image, resource)}


def test_a_described_topic_shows_all_values_that_compete(cluster: Any) -> None:
    cluster.create(NewTopic("t", configs=(("retention.ms", "777"),)))
    image = cluster.image.apply(
        [
            ConfigChanged(ConfigResource(BROKER, "1"), {"log.retention.ms": "5000"}),
            ConfigChanged(ConfigResource(BROKER, ""), {"log.retention.ms": "6000"}),
        ]
    )
    resolver = ConfigResolver({"log.retention.hours": "100"}, 1)
    retention = _described(resolver, image, ConfigResource(TOPIC, "t"))["retention.ms"]
    assert (retention.value, retention.source) == ("777", ConfigSource.DYNAMIC_TOPIC_CONFIG)
    assert [(each.name, each.value, each.source) for each in retention.synonyms] == [
        ("retention.ms", "777", ConfigSource.DYNAMIC_TOPIC_CONFIG),
        ("log.retention.ms", "5000", ConfigSource.DYNAMIC_BROKER_CONFIG),
        ("log.retention.ms", "6000", ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG),
        ("log.retention.hours", "100", ConfigSource.STATIC_BROKER_CONFIG),
        ("log.retention.hours", "168", ConfigSource.DEFAULT_CONFIG),
    ]
    some = describe_config(resolver, image, ConfigResource(TOPIC, "t"), ["segment.ms", "nope"])
    assert [each.name for each in some] == ["segment.ms"]


def test_a_described_broker_hides_secrets_and_what_it_does_not_know() -> None:
    static = {"node.id": "1", "ssl.key.password": "hush", "my.plugin.token": "hush"}
    shown = _described(ConfigResolver(static, 1), EMPTY_IMAGE, ConfigResource(BROKER, "1"))
    for name in ("ssl.key.password", "my.plugin.token"):
        assert shown[name].value is None
        assert shown[name].is_sensitive
        assert all(each.value is None for each in shown[name].synonyms)
    assert shown["node.id"].is_read_only
    assert not shown["log.retention.ms"].is_read_only
    assert (shown["num.partitions"].value, shown["num.partitions"].is_default) == ("1", True)


def test_the_cluster_default_shows_only_what_was_set() -> None:
    image = _image(default={"log.retention.ms": "5"}, broker={"log.segment.bytes": "2000000"})
    shown = _described(ConfigResolver({}, 1), image, ConfigResource(BROKER, ""))
    assert [(each.name, each.value) for each in shown.values()] == [("log.retention.ms", "5")]


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (ConfigResource(TOPIC, "nope"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (ConfigResource(TOPIC, "a b"), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (ConfigResource(BROKER, "2"), ErrorCode.INVALID_REQUEST),
        (ConfigResource(BROKER, "x"), ErrorCode.INVALID_REQUEST),
        (ConfigResource(ResourceType.GROUP, ""), ErrorCode.INVALID_REQUEST),
        (ConfigResource(ResourceType.UNKNOWN, "x"), ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_cannot_be_described_is_refused(resource: ConfigResource, code: ErrorCode) -> None:
    with pytest.raises(ProtocolError) as raised:
        describe_config(ConfigResolver({}, 1), EMPTY_IMAGE, resource)
    assert raised.value.code is code


def test_a_group_falls_back_to_its_broker_key() -> None:
    resource = ConfigResource(ResourceType.GROUP, "g")
    image = EMPTY_IMAGE.apply([ConfigChanged(resource, {"consumer.session.timeout.ms": "50000"})])
    resolver = ConfigResolver({"group.consumer.heartbeat.interval.ms": "6000"}, 1)
    shown = _described(resolver, image, resource)
    assert shown["consumer.session.timeout.ms"].source is ConfigSource.DYNAMIC_GROUP_CONFIG
    assert shown["consumer.heartbeat.interval.ms"].value == "6000"
    assert shown["share.isolation.level"].value == "read_uncommitted"
    assert resolver.group(image, "g", "consumer.session.timeout.ms") == 50_000
    assert resolver.group(image, "h", "consumer.session.timeout.ms") == 45_000
    assert resolver.group(image, "h", "share.isolation.level") == "read_uncommitted"
