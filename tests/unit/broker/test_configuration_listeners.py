"""`listeners` and `advertised.listeners`: what is understood, and how the rest is refused."""

from __future__ import annotations

import pytest

from ottla.broker.configuration.listeners import (
    ListenerConfiguration,
    build_listeners,
    parse_address,
)
from ottla.broker.configuration.settings import ConfigurationError, Setting
from ottla.ports.net import Address


def build(
    listeners: str,
    advertised: str | None = None,
    protocol_map: str | None = None,
    controllers: str | None = None,
) -> tuple[ListenerConfiguration, ...]:
    def setting(key: str, value: str | None) -> Setting | None:
        return None if value is None else Setting(key, value, "server.properties:3")

    required = setting("listeners", listeners)
    assert required is not None
    return build_listeners(
        required,
        setting("advertised.listeners", advertised),
        setting("listener.security.protocol.map", protocol_map),
        setting("controller.listener.names", controllers),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:9092", ("localhost", 9092)),
        (":9092", ("", 9092)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("[::1]:9092", ("::1", 9092)),
        ("[fe80::1%eth0]:9092", ("fe80::1%eth0", 9092)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("localhost", "port is missing"),
        ("localhost:", "no port"),
        ("localhost:65536", "no port"),
        ("localhost:-1", "no port"),
        ("localhost:٣", "no port"),
        ("::1:9092", "brackets"),
        ("bad host:1", "no host name"),
        ("", "port is missing"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_address(text)


def test_a_listener_is_advertised_as_it_listens() -> None:
    assert build("PLAINTEXT://broker-1:9092") == (
        ListenerConfiguration("PLAINTEXT", "broker-1", 9092, Address("broker-1", 9092)),
    )


@pytest.mark.parametrize("host", ["", "0.0.0.0", "[::]"])
def test_listening_everywhere_each_client_is_told_the_address_it_used(host: str) -> None:
    (listener,) = build(f"PLAINTEXT://{host}:9092")
    assert listener.advertised is None


def test_several_listeners_each_with_its_own_advertised_address() -> None:
    first, second = build(
        "INTERNAL://:9092, external://[::]:9094",
        advertised="EXTERNAL://kafka.example.org:19094",
        protocol_map="INTERNAL:PLAINTEXT,EXTERNAL:plaintext",
    )
    assert (first.name, first.advertised) == ("INTERNAL", None)
    assert (second.name, second.advertised) == ("EXTERNAL", Address("kafka.example.org", 19094))


def test_the_controllers_listener_is_left_out() -> None:
    (only,) = build(
        "PLAINTEXT://:9092,CONTROLLER://:9093",
        advertised="PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
    )
    assert only.name == "PLAINTEXT"
    (named,) = build("PLAINTEXT://:9092,QUORUM://:9093", controllers="QUORUM")
    assert named.name == "PLAINTEXT"


def test_one_port_may_be_listened_on_in_ipv4_and_ipv6() -> None:
    assert len(build("PLAINTEXT://0.0.0.0:9092,B://[::]:9092", protocol_map="B:PLAINTEXT")) == 2
    assert len(build("PLAINTEXT://:0,B://:0", protocol_map="B:PLAINTEXT")) == 2


@pytest.mark.parametrize(
    ("listeners", "advertised", "reason"),
    [
        ("", None, "no listener for clients"),
        ("CONTROLLER://:9093", None, "no listener for clients"),
        ("localhost:9092", None, "not NAME://HOST:PORT"),
        ("PLAINTEXT://localhost", None, "port is missing"),
        ("PLAINTEXT://:1,PLAINTEXT://:2", None, "PLAINTEXT occurs twice"),
        ("SSL://:9093", None, "asks for SSL, which this version does not offer yet"),
        ("MINE://:9093", None, "add MINE:PLAINTEXT to listener.security.protocol.map"),
        ("PLAINTEXT://:9092", "OTHER://host:9092", "OTHER is no listener; allowed: PLAINTEXT"),
        ("PLAINTEXT://:9092", "PLAINTEXT://0.0.0.0:9092", "clients can't connect to '0.0.0.0'"),
    ],
)
def test_refusals_say_key_value_place_and_reason(
    listeners: str, advertised: str | None, reason: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build(listeners, advertised)
    message = str(caught.value)
    assert reason in message
    assert "server.properties:3" in message
    assert f"listeners={advertised or listeners}" in message


@pytest.mark.parametrize(
    "listeners", ["A://host:9092,B://host:9092", "A://:9092,B://host:9092", "A://0.0.0.0:1,B://h:1"]
)
def test_two_listeners_can_not_share_a_port(listeners: str) -> None:
    with pytest.raises(ConfigurationError, match="A and B both take port"):
        build(listeners, protocol_map="A:PLAINTEXT,B:PLAINTEXT")


@pytest.mark.parametrize("protocol_map", ["A", "A:", ":PLAINTEXT", "A:TELEPATHY"])
def test_a_broken_protocol_map_is_refused(protocol_map: str) -> None:
    with pytest.raises(ConfigurationError, match="is not NAME:PROTOCOL"):
        build("A://:9092", protocol_map=protocol_map)
