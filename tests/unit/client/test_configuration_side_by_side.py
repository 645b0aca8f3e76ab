"""The same configurations for both libraries: what one refuses, the other refuses in its words."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import Any

import confluent_kafka
import confluent_kafka.admin
import pytest

from ottla.client.configuration import (
    common_keys,
    consumer_keys,
    producer_keys,
    security_keys,
)
from ottla.client.configuration.build import (
    configure_admin,
    configure_consumer,
    configure_producer,
    configure_share_consumer,
)
from ottla.client.configuration.key import Key
from ottla.client.errors import KafkaException

Conf = dict[Any, Any]
SILENT = logging.getLogger("silent")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False

KEYS = [
    *common_keys.KEYS, *security_keys.KEYS, *consumer_keys.KEYS, *producer_keys.KEYS,
]  # fmt: skip
# What ours refuses on purpose although the other library can do it.
OURS_ALONE = {key.name for key in KEYS if key.unsupported} - {"ssl.ca.certificate.stores"}
# How a text begins that goes on differently: with a link there, with what the regular expression
# compiler says.
HINTS = (
    "Java TrustStores are not supported",
    "Java JAAS configuration is not supported",
    "Failed to parse pattern",
)
# Values that start a real thing there: files that are read, plugins, other processes.
NOT_TRIED = {"https.ca.location", "log.queue", "enable_sasl_queue", "group.protocol.type"}

VALUES: list[object] = [
    None, "", " ", "abc", "true", "True", "t", "f", "FALSE", "0", "1", "5", " 7", "12ms", "0x10",
    "010", "1.5", "1e3", "-1", "-2", "99999999999", "4294967297", "2147483648", "all", "none",
    "a,b", "a b", "+all", "-abc", True, False, 3, 2.5,
]  # fmt: skip


def outcome(create: Callable[[], object], exception: type[Exception]) -> tuple[str, ...]:
    """The exception in full, or that there was none."""
    try:
        create()
    except exception as error:
        text = error.args[0].str()
        hint = next((hint for hint in HINTS if text.startswith(hint)), None)
        return "kafka", error.args[0].name(), hint or text
    except Exception as error:
        return type(error).__name__, str(error)
    return ("accepted",)


def theirs(kind: str, conf: Conf, **keywords: object) -> tuple[str, ...]:
    def create() -> None:
        quiet = {"logger": SILENT} | conf if type(conf) is dict and conf else conf
        if kind == "producer":
            confluent_kafka.Producer(quiet, **keywords)
        elif kind == "consumer":
            confluent_kafka.Consumer(quiet, **keywords).close()
        elif kind == "share":
            confluent_kafka.ShareConsumer(quiet, **keywords).close()
        else:
            confluent_kafka.admin.AdminClient(quiet, **keywords)

    return outcome(create, confluent_kafka.KafkaException)


def ours(kind: str, conf: Conf, **keywords: object) -> tuple[str, ...]:
    configure: dict[str, Callable[[tuple[object, ...], Conf], object]] = {
        "producer": configure_producer, "consumer": configure_consumer, "admin": configure_admin,
        "share": configure_share_consumer,
    }  # fmt: skip
    return outcome(lambda: configure[kind]((conf,), keywords), KafkaException)


def same(kind: str, conf: Conf, **keywords: object) -> tuple[str, ...]:
    result = ours(kind, conf, **keywords)
    assert result == theirs(kind, conf, **keywords), conf
    return result


@pytest.fixture(autouse=True, scope="module")
def _no_garbage() -> Any:
    """Clients of the other library end their threads when they are collected, in time."""
    yield
    gc.collect()


COMPARED = [
    key for key in KEYS if key.name not in OURS_ALONE | NOT_TRIED and not key.unsupported_choices
]


@pytest.mark.parametrize("key", COMPARED, ids=lambda key: key.name)
def test_every_key_takes_and_refuses_the_same_values(key: Key) -> None:
    accepted = False
    for value in VALUES:
        # Once a value is accepted, it takes a client with threads to learn so: one is enough.
        if accepted and ours("producer", {key.name: value}) == ("accepted",):
            continue
        accepted |= same("producer", {key.name: value}) == ("accepted",)


BAD_EVERYWHERE: list[Conf] = [
    {"buffer.memory": 5}, {"key.serializer": "x"}, {"max.block.ms": 1}, {"partitioner.class": "x"},
    {"zookeeper.connect": "x"}, {"fetch.max.wait.ms": 5}, {"bootstrap_servers": "h"}, {"": "x"},
    {"topic.nonsense": 1}, {5: 6}, {None: 1}, {"Client.Id": "x"}, {" client.id": "x"},
    {"ssl.truststore.location": "/x"}, {"sasl.jaas.config": "x"}, {"log_cb": print},
    {"socket_cb": None}, {"interceptors": "x"}, {"ssl_key": "x"},
    {"error_cb": 5}, {"error_cb": None}, {"throttle_cb": 5}, {"stats_cb": "x"}, {"oauth_cb": 1},
    {"default.topic.config": {"acks": 5000}}, {"default.topic.config": {"nonsense": 5}},
    {"default.topic.config": {"linger.ms": -1}, "linger.ms": 5},
    {"security.protocol": "tls"}, {"security.protocol": "sasl_plaintext", "sasl.mechanism": "X"},
    {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"},
    {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "u"},
    {"security.protocol": "sasl_plaintext", "sasl.mechanism": "SCRAM-SHA-256"},
    {"security.protocol": "sasl_plaintext", "sasl.mechanism": "SCRAM-SHA-999",
     "sasl.username": "u", "sasl.password": "p"},
    {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "",
     "sasl.password": "p"},
    {"sasl.mechanism": "PLAIN,GSSAPI"}, {"sasl.mechanisms": "a b"},
    {"ssl.keystore.location": "/x"},
    {"sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc"},
    {"sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc",
     "sasl.oauthbearer.token.endpoint.url": "http://x"},
    {"sasl.mechanism": "oauthbearer", "sasl.oauthbearer.method": "oidc",
     "sasl.oauthbearer.token.endpoint.url": "http://x", "sasl.oauthbearer.client.id": "c"},
    {"sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc",
     "sasl.oauthbearer.token.endpoint.url": "http://x", "sasl.oauthbearer.client.id": "c",
     "sasl.oauthbearer.client.secret": "s", "sasl.oauthbearer.sub.claim.name": " "},
    {"sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc",
     "enable.sasl.oauthbearer.unsecure.jwt": True},
    {"sasl.mechanism": "OAUTHBEARER", "oauth_cb": print,
     "enable.sasl.oauthbearer.unsecure.jwt": True},
    {"reconnect.backoff.ms": 500, "reconnect.backoff.max.ms": 100},
    {"reconnect.backoff.ms": 20000}, {"partition.assignment.strategy": "sticky"},
    {"partition.assignment.strategy": "range,cooperative-sticky"},
    {"partition.assignment.strategy": "range, nonsense"},
    {"topic.blacklist": "^("}, {"debug": "all,nonsense"}, {"debug": None}, {"log_level": 9},
    {"compression.codec": "lzma"}, {"compression.type": "lzma"}, {"topic.acks": 2000},
    {"topic.compression.codec": "brotli"}, {"acks": "most"}, {"retries": -1},
    {"max.in.flight": 0}, {"delivery.timeout.ms": -1}, {"max.partition.fetch.bytes": 0},
    {"unknown": 1, "acks": 5000}, {"acks": 5000, "unknown": 1},
]  # fmt: skip

GOOD_EVERYWHERE: list[Conf] = [
    {}, {"bootstrap.servers": None}, {"client.id": None}, {"acks": "ALL"}, {"acks": "0x1"},
    {"topic.acks": 1}, {"debug": "-all"}, {"topic.compression.type": "inherit"},
    {"default.topic.config": {}}, {"linger.ms": -1, "default.topic.config": {"linger.ms": 5}},
    {"default.topic.config": {"acks": 1, "linger.ms": 1}},
    {"partition.assignment.strategy": " range,, roundrobin"},
    {"partition.assignment.strategy": "cooperative-sticky"},
    {"auto.offset.reset": "SMALLEST"}, {"auto.offset.reset": "  latest"},
    {"sasl.mechanism": "SCRAM-SHA-999"}, {"sasl.mechanism": "PLAIN", "sasl.username": "u"},
    {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "u",
     "sasl.password": "p"},
    {"security.protocol": "sasl_plaintext", "sasl.mechanism": "SCRAM-SHA-512",
     "sasl.username": "u", "sasl.password": "p"},
    {"sasl.oauthbearer.method": "oidc"}, {"logger": None}, {"error_cb": print, "stats_cb": print},
    {"retry.backoff.ms": 5000}, {"topic.blacklist": "^a,b"}, {"api.version.request": False},
]  # fmt: skip

PRODUCER: list[Conf] = [
    {"enable.idempotence": True, "acks": 1}, {"enable.idempotence": True, "acks": "all"},
    {"enable.idempotence": True, "max.in.flight": 6},
    {"enable.idempotence": "true", "max.in.flight.requests.per.connection": 5},
    {"enable.idempotence": True, "retries": 0}, {"enable.idempotence": True, "retries": 1},
    {"enable.idempotence": True, "queuing.strategy": "lifo"},
    {"enable.idempotence": True, "queue.buffering.backpressure.threshold": 2},
    {"enable.gapless.guarantee": True}, {"enable.gapless.guarantee": False},
    {"enable.idempotence": True, "enable.gapless.guarantee": True},
    {"transactional.id": "t"}, {"transactional.id": "t", "enable.idempotence": False},
    {"transactional.id": "t", "acks": 1}, {"transactional.id": ""},
    {"transactional.id": "t", "message.timeout.ms": 70000},
    {"transactional.id": "t", "delivery.timeout.ms": 60000},
    {"transactional.id": "t", "transaction.timeout.ms": 5000, "socket.timeout.ms": 5101},
    {"transactional.id": "t", "transaction.timeout.ms": 5000, "socket.timeout.ms": 5100},
    {"transactional.id": "t", "transaction.timeout.ms": 999},
    {"linger.ms": 10, "message.timeout.ms": 10}, {"linger.ms": 9.5, "message.timeout.ms": 10},
    {"message.timeout.ms": 3}, {"message.timeout.ms": 0, "linger.ms": 100},
    {"linger.ms": 900000.5}, {"linger.ms": "x"},
    {"on_delivery": 5}, {"on_delivery": print}, {"on_commit": print},
    {"delivery.report.only.error": "true"}, {"delivery.report.only.error": True},
    {"fetch.min.bytes": 0}, {"group.id": "g"}, {"session.timeout.ms": 400000},
]  # fmt: skip

CONSUMER: list[Conf] = [
    {"on_commit": 5}, {"on_commit": print}, {"on_delivery": print},
    {"delivery.report.only.error": "x"}, {"delivery.report.only.error": True},
    {"fetch.min.bytes": 0}, {"fetch.min.bytes": 100000001}, {"fetch.min.bytes": 5},
    {"session.timeout.ms": 400000}, {"session.timeout.ms": 300000},
    {"max.poll.interval.ms": 1000}, {"max.poll.interval.ms": 1000, "session.timeout.ms": 1000},
    {"group.protocol": "consumer"}, {"group.protocol": "consumer", "session.timeout.ms": 45000},
    {"group.protocol": "consumer", "heartbeat.interval.ms": 3000},
    {"group.protocol": "consumer", "partition.assignment.strategy": "range"},
    {"group.protocol": "consumer", "group.protocol.type": "consumer"},
    {"group.protocol": "consumer", "group.remote.assignor": "uniform"},
    {"fetch.max.bytes": 1000}, {"fetch.max.bytes": 1000, "message.max.bytes": 1000},
    {"fetch.max.bytes": 100000000}, {"receive.message.max.bytes": 1000},
    {"receive.message.max.bytes": 52429312}, {"receive.message.max.bytes": 52429311},
    {"message.max.bytes": 200000000}, {"queued.max.messages.kbytes": 1},
    {"enable.auto.commit": "maybe"}, {"auto.commit.enable": "maybe"},
    {"topic.auto.commit.interval.ms": 5}, {"topic.offset.store.method": "none"},
    {"enable.idempotence": True, "acks": 1}, {"transactional.id": "t"}, {"linger.ms": 5},
    {"isolation.level": "READ_UNCOMMITTED"}, {"isolation.level": "serializable"},
    {"auto.offset.reset": "never"}, {"auto.offset.reset": "error"}, {"group.instance.id": "i"},
]  # fmt: skip


SHARE: list[Conf] = [
    {"share.acknowledgement.mode": "Explicit"}, {"share.acknowledgement.mode": ""},
    {"max.poll.records": 0}, {"max.poll.records": 1}, {"max.poll.interval.ms": 10},
    {"message.copy.max.bytes": 3}, {"socket.max.fails": 1}, {"socket.max.fails": 2},
    {"topic.blacklist": "x"}, {"allow.auto.create.topics": False}, {"group.protocol": "classic"},
    {"partition.assignment.strategy": "range"}, {"session.timeout.ms": 6000},
    {"heartbeat.interval.ms": 3000}, {"group.protocol.type": "consumer"},
    {"group.remote.assignor": "x"}, {"enable.auto.commit": True}, {"queued.min.messages": 1},
    {"queued.max.messages.kbytes": 1}, {"fetch.queue.backoff.ms": 1}, {"fetch.min.bytes": 0},
    {"fetch.error.backoff.ms": 1}, {"isolation.level": "read_committed"},
    {"enable.partition.eof": True}, {"auto.offset.reset": "latest"}, {"fetch.max.bytes": 5},
    {"topic.auto.offset.reset": "latest"}, {"consume.callback.max.messages": 3},
    {"session.timeout.ms": 6000, "auto.offset.reset": "latest", "isolation.level": "x"},
    {"session.timeout.ms": 6000, "receive.message.max.bytes": 2000, "socket.max.fails": 2},
    {"heartbeat.interval.ms": 3, "session.timeout.ms": 3, "group.protocol.type": "consumer"},
    {"allow.auto.create.topics": True, "enable.partition.eof": True, "auto.offset.reset": "end"},
    {"receive.message.max.bytes": 2000}, {"auto.commit.interval.ms": 1}, {"acks": "all"},
]  # fmt: skip


@pytest.mark.parametrize("conf", [*SHARE, *CONSUMER, *BAD_EVERYWHERE], ids=str)
def test_share_consumer_configurations(conf: Conf) -> None:
    same("share", {"group.id": "g"} | conf)


def test_a_share_consumer_needs_a_group() -> None:
    assert same("share", {"bootstrap.servers": "h"})[0] == "ValueError"
    assert same("share", {})[0] == "ValueError"


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({"share.acknowledgement.mode": "explict"}, "must be implicit or explicit"),
        ({"share.acquire.mode": "some"}, 'Invalid value "some"'),
    ],
    ids=str,
)
def test_a_mode_of_sharing_that_is_none(conf: Conf, reason: str) -> None:
    # There the first is taken for the default, and the second isn't known yet.
    assert reason in ours("share", {"group.id": "g"} | conf)[-1]
    assert ours("share", {"group.id": "g", "share.acquire.mode": "record_limit"}) == ("accepted",)


@pytest.mark.parametrize("conf", BAD_EVERYWHERE, ids=str)
def test_what_every_client_refuses(conf: Conf) -> None:
    assert same("producer", conf) != ("accepted",)
    assert same("consumer", {"group.id": "g"} | conf) != ("accepted",)
    assert same("admin", conf) != ("accepted",)


@pytest.mark.parametrize("conf", GOOD_EVERYWHERE, ids=str)
def test_what_every_client_accepts(conf: Conf) -> None:
    assert same("producer", conf) == ("accepted",)
    assert same("consumer", {"group.id": "g"} | conf) == ("accepted",)
    assert same("admin", conf) == ("accepted",)


@pytest.mark.parametrize("conf", PRODUCER, ids=str)
def test_producer_and_admin_configurations(conf: Conf) -> None:
    same("producer", conf)
    same("admin", conf)


@pytest.mark.parametrize("conf", CONSUMER, ids=str)
def test_consumer_configurations(conf: Conf) -> None:
    same("consumer", {"group.id": "g"} | conf)


@pytest.mark.parametrize(
    "conf",
    [
        {"linger.ms": 400_000},
        {"transactional.id": "t", "transaction.timeout.ms": 1000, "linger.ms": 2000},
    ],
    ids=str,
)
def test_a_linger_beyond_the_delivery_timeout_is_refused_at_once(conf: Conf) -> None:
    # There construction succeeds and every produce() fails.
    text = "Failed to create producer: `message.timeout.ms` must be greater than `linger.ms`"
    assert ours("producer", conf) == ("kafka", "_INVALID_ARG", text)
    assert theirs("producer", conf) == ("accepted",)


@pytest.mark.parametrize(
    "conf", [{"auto.offset.reset": "latest "}, {"partition.assignment.strategy": "range , "}]
)
def test_spaces_behind_a_value_do_not_matter(conf: Conf) -> None:
    assert ours("producer", conf) == ("accepted",)
    assert theirs("producer", conf) != ("accepted",)


def test_what_cannot_be_done_here_is_refused_instead_of_ignored() -> None:
    assert "plugin.library.paths" in OURS_ALONE
    for name in OURS_ALONE:
        text = ours("producer", {name: "1"})[2]
        assert text.startswith(f'Configuration property "{name}" not supported in this build: ')
    for key in KEYS:
        for value in key.unsupported_choices:
            assert ours("producer", {key.name: value})[2].startswith(f'Unsupported value "{value}"')


def test_a_consumer_needs_a_group() -> None:
    assert same("consumer", {"bootstrap.servers": "h"})[0] == "ValueError"
    assert same("consumer", {})[0] == "ValueError"


def test_keywords_win_over_the_dictionary() -> None:
    assert same("producer", {"linger.ms": 5}, **{"linger.ms": -1}) != ("accepted",)
    assert same("producer", {"linger.ms": -1}, **{"linger.ms": 5}) == ("accepted",)
    assert same("producer", {}, bootstrap_servers="h") != ("accepted",)


@pytest.mark.parametrize("arguments", [(), ("x",), (None,), (5,), ([("a", "b")],), ({}, {})])
def test_what_is_no_dictionary(arguments: tuple[object, ...]) -> None:
    def theirs_with() -> object:
        return confluent_kafka.Producer(*arguments)  # type: ignore[call-overload]

    result = outcome(lambda: configure_producer(arguments, {}), KafkaException)
    assert result == outcome(theirs_with, confluent_kafka.KafkaException)
    assert result[0] == "TypeError"
