"""Where brokers are: bootstrap servers as users write them, addresses in digits."""

from __future__ import annotations

import asyncio
import socket

import pytest

from ottla.client.engine.addresses import numeric, parse_servers, resolve
from ottla.ports.net import Address


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("kafka", [("kafka", 9092)]),
        ("kafka:1", [("kafka", 1)]),
        (" a:1 , b:2,a:1", [("a", 1), ("b", 2)]),
        ("[::1]:9093,[fe80::1]", [("::1", 9093), ("fe80::1", 9092)]),
        ("PLAINTEXT://a:1,SASL_SSL://[::1]:2", [("a", 1), ("::1", 2)]),
        ("", []),
        (",,", []),
        ("a:0,a:99999,a:x,a:1:2,://", []),
    ],
)
def test_bootstrap_servers(text: str, servers: list[tuple[str, int]]) -> None:
    assert parse_servers(text) == servers


def test_addresses_in_digits_need_no_lookup() -> None:
    v4, v6 = numeric("127.0.0.1", 9), numeric("::1", 9)
    assert v4 is not None
    assert v6 is not None
    assert (v4.family, str(v4)) == (socket.AF_INET, "ipv4#127.0.0.1:9")
    assert (v6.family, str(v6)) == (socket.AF_INET6, "ipv6#[::1]:9")
    assert numeric("kafka", 9) is None
    assert numeric("127.1", 9) is None


def test_names_are_looked_up_beside_the_loop() -> None:
    found = asyncio.run(resolve("localhost", 9, socket.AF_INET))
    assert [each.address for each in found] == [("127.0.0.1", 9)]


@pytest.mark.parametrize("host", ["no.such.name.invalid", "a" * 300, "a..b", "127.0.0.1"])
def test_names_that_stand_for_nothing(host: str) -> None:
    family = socket.AF_INET6 if host == "127.0.0.1" else socket.AF_UNSPEC
    with pytest.raises(OSError, match=r".*"):
        asyncio.run(resolve(host, 9, family))


def test_an_address_is_what_users_read() -> None:
    assert str(Address("::1", 9)) == "[::1]:9"
