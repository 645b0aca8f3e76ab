"""What the client works with after its configuration was read."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ottla.client.configuration.build import (
    configure_admin,
    configure_consumer,
    configure_producer,
    configure_share_consumer,
)
from ottla.client.configuration.key import Key
from ottla.client.configuration.objects import (
    SECRETS,
    AdminConfiguration,
    ConsumerConfiguration,
    ProducerConfiguration,
    ShareConsumerConfiguration,
)
from ottla.client.configuration.table import GLOBAL_KEYS, TOPIC_KEYS, VALUE_KINDS, find_key
from ottla.client.errors import KafkaException

ALL_KEYS = [*GLOBAL_KEYS.values(), *TOPIC_KEYS.values()]
NOT_FROM_KEYS = {
    "error_cb", "stats_cb", "throttle_cb", "oauth_cb", "logger", "on_delivery", "on_commit",
    "warnings",
}  # fmt: skip


def producer(**conf: Any) -> ProducerConfiguration:
    return configure_producer(({name.replace("__", "."): v for name, v in conf.items()},), {})


def consumer(conf: dict[str, Any]) -> ConsumerConfiguration:
    return configure_consumer(({"group.id": "g"} | conf,), {})


def annotations(configuration: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for ancestor in configuration.__mro__:
        found |= vars(ancestor).get("__annotations__", {})
    return found


@pytest.mark.parametrize(
    ("kind", "built"),
    [
        (ProducerConfiguration, configure_producer(({},), {})),
        (ConsumerConfiguration, configure_consumer(({"group.id": "g"},), {})),
        (ShareConsumerConfiguration, configure_share_consumer(({"group.id": "g"},), {})),
        (AdminConfiguration, configure_admin(({},), {})),
    ],
)
def test_every_attribute_is_declared_and_has_its_type(kind: type, built: object) -> None:
    declared = annotations(kind)
    assert set(vars(built)) == set(declared)
    for name, annotation in declared.items():
        if name in NOT_FROM_KEYS:
            continue
        value = getattr(built, name)
        base = annotation.removesuffix(" | None").split("[")[0]
        is_optional = value is None and annotation.endswith("| None")
        assert is_optional or type(value).__name__ == base, (name, annotation, value)


def test_every_key_with_an_effect_is_an_attribute_of_some_client() -> None:
    declared = annotations(ProducerConfiguration) | annotations(ShareConsumerConfiguration)
    for key in ALL_KEYS:
        has_effect = key.kind in VALUE_KINDS and not key.is_ignored and not key.unsupported
        # The topic's compression replaces the client's: see the test of it.
        if has_effect and key.field != "topic_compression_type":
            assert key.field in declared, key.name


def test_aliases_mean_keys_that_exist() -> None:
    aliases = 0
    for table in (GLOBAL_KEYS, TOPIC_KEYS):
        for key in table.values():
            if key.kind == "alias":
                aliases += 1
                assert table[key.note].kind in VALUE_KINDS
    assert aliases >= 12
    assert find_key("linger.ms") is GLOBAL_KEYS["queue.buffering.max.ms"]
    assert find_key("topic.acks") is find_key("acks") is TOPIC_KEYS["request.required.acks"]
    assert find_key("no.such.key") is None


def test_defaults_are_librdkafkas() -> None:
    built = producer()
    assert (built.acks, built.linger_ms, built.batch_size) == (-1, 5.0, 1_000_000)
    assert (built.enable_idempotence, built.retries) == (False, 2_147_483_647)
    assert (built.partitioner, built.compression_type) == ("consistent_random", "none")
    assert (built.client_id, built.delivery_timeout_ms) == ("rdkafka", 300_000)
    reader = consumer({})
    assert (reader.auto_offset_reset, reader.isolation_level) == ("latest", "read_committed")
    assert reader.partition_assignment_strategy == ("range", "roundrobin")
    assert (reader.enable_auto_commit, reader.allow_auto_create_topics) == (True, False)


def test_values_have_their_types_and_meanings() -> None:
    built = producer(linger__ms="0x10", retries="12ms", compression__type="ZSTD", acks="all")
    assert (built.linger_ms, built.retries) == (16.0, 12)
    assert (built.compression_type, built.acks) == ("zstd", -1)
    assert producer(debug="broker, msg,-broker").debug == ("msg",)
    assert producer(client__id="  x ").client_id == "x "
    assert producer(client__id=None).client_id == "rdkafka"
    assert producer(message__send__max__retries="010").retries == 8
    assert consumer({"auto.offset.reset": "smallest"}).auto_offset_reset == "earliest"


def test_default_topic_config_overrides_what_stands_beside_it() -> None:
    built = configure_producer(({"default.topic.config": {"acks": 1}, "acks": 0},), {})
    assert built.acks == 1
    assert producer(topic__acks=1).acks == 1


def test_a_compression_of_the_topic_replaces_the_clients() -> None:
    conf = {"compression.type": "gzip", "topic.compression.codec": "lz4"}
    assert configure_producer((conf,), {}).compression_type == "lz4"
    conf["topic.compression.codec"] = "inherit"
    assert configure_producer((conf,), {}).compression_type == "gzip"


def test_transactions_imply_idempotence_and_its_limits() -> None:
    built = producer(transactional__id="t", transaction__timeout__ms=5000)
    assert built.enable_idempotence
    assert (built.max_in_flight, built.acks) == (5, -1)
    assert built.delivery_timeout_ms == 5000
    assert built.socket_timeout_ms == 4900


def test_what_was_left_open_follows_the_rest() -> None:
    built = producer(topic__metadata__refresh__interval__ms=1000, retry__backoff__ms=250)
    assert built.metadata_max_age_ms == 3000
    assert built.topic_metadata_refresh_fast_interval_ms == 250
    assert producer(linger__ms=50).sticky_partitioning_linger_ms == 100
    assert producer(message__timeout__ms=3).linger_ms == pytest.approx(2.9)
    reader = consumer({"fetch.max.bytes": 200_000_000})
    assert reader.receive_message_max_bytes == 200_000_512
    assert consumer({"queued.max.messages.kbytes": 10}).fetch_max_bytes == 1_000_000


def test_callbacks_are_kept() -> None:
    built = configure_producer(({"error_cb": print},), {"on_delivery": repr, "logger": None})
    assert (built.error_cb, built.on_delivery, built.logger) == (print, repr, None)
    assert consumer({"on_commit": print}).on_commit is print


def test_the_given_dictionary_stays_as_it_was() -> None:
    conf: dict[str, Any] = {"default.topic.config": {"acks": 1}, "debug": "all"}
    configure_producer((conf,), {})
    assert conf == {"default.topic.config": {"acks": 1}, "debug": "all"}


def test_a_configuration_does_not_change() -> None:
    built = producer()
    with pytest.raises(AttributeError):
        built.linger_ms = 6.0
    with pytest.raises(AttributeError):
        del built.linger_ms


def test_secrets_are_never_shown() -> None:
    conf = {
        key.name: f"hidden{number}"
        for number, key in enumerate(ALL_KEYS)
        if key.is_secret and not key.unsupported and key.kind in VALUE_KINDS
    }
    assert {"sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password",
            "sasl.oauthbearer.client.secret"} <= set(conf)  # fmt: skip
    shown = repr(configure_producer((conf,), {}))
    assert "hidden" not in shown
    assert shown.count("(REDACTED)") == len(conf)
    assert "sasl_password" in SECRETS


def test_a_refusal_shows_no_secret() -> None:
    conf = {"security.protocol": "sasl_ssl", "sasl.mechanism": "PLAIN", "sasl.password": "hidden"}
    with pytest.raises(KafkaException) as refused:
        configure_producer((conf,), {})
    assert "hidden" not in repr(refused.value)


def test_warnings_say_what_has_no_effect() -> None:
    built = configure_producer(
        ({"group.id": "g", "api.version.request": True, "retry.backoff.ms": 5000},), {}
    )
    assert len(built.warnings) == 3
    assert "group.id is a consumer property" in built.warnings[0]
    assert "api.version.request is deprecated" in built.warnings[1]
    assert "retry.backoff.max.ms" in built.warnings[2]
    assert consumer({"acks": 1}).warnings == (
        "Configuration property request.required.acks is a producer property and will be ignored "
        "by this consumer instance",
    )
    assert producer().warnings == ()


def test_long_refusals_are_cut_as_there() -> None:
    with pytest.raises(KafkaException) as refused:
        producer(**{"x" * 1000: 1})
    assert len(refused.value.args[0].str()) == 255


def test_whatever_is_configured_either_fits_or_is_refused_by_type() -> None:
    chance = random.Random(4)
    values = [None, "", "0", "1", "-1", "all", "true", "zstd", "x" * 300, "9" * 30, 1.5, object()]
    keys: list[Key] = [key for key in ALL_KEYS if key.kind in VALUE_KINDS]
    accepted = 0
    for _ in range(2000):
        conf = {key.name: chance.choice(values) for key in chance.sample(keys, 3)}
        try:
            built = configure_consumer(({"group.id": "g"} | conf,), {})
        except (KafkaException, TypeError):
            continue
        accepted += 1
        assert 1 <= built.fetch_min_bytes <= 100_000_000
        assert built.receive_message_max_bytes >= built.fetch_max_bytes + 512
    assert 20 < accepted < 2000
