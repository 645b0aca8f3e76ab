"""Listening: one port for all addresses of a host, with or without IPv6."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import pytest

from ottla.ports import net
from ottla.ports.net import Address, SystemNet


async def bound_ports(host: str, port: int = 0) -> set[int]:
    listener = await SystemNet().listen(asyncio.Protocol, Address(host, port))
    try:
        return {each.getsockname()[1] for server in listener._servers for each in server.sockets}
    finally:
        await listener.close()


@pytest.mark.parametrize("host", ["localhost", "", "127.0.0.1"])
def test_all_addresses_of_a_host_get_the_same_port(host: str) -> None:
    async def main() -> None:
        [port] = await bound_ports(host)
        assert port > 0

    asyncio.run(main())


@pytest.mark.parametrize("missing", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_a_machine_without_ipv6_listens_on_ipv4(
    missing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind_one = net._bind_one

    def refuse_ipv6(family: socket.AddressFamily, target: tuple[Any, ...]) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(missing, "no IPv6")
        return bind_one(family, target)

    monkeypatch.setattr(net, "_bind_one", refuse_ipv6)
    asyncio.run(bound_ports("localhost"))


def test_a_chosen_port_that_ipv6_lacks_is_chosen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bind_all, attempts = net._bind_all, []

    def fail_twice(families: Any) -> Any:
        attempts.append(families)
        if len(attempts) <= 2:
            raise OSError(errno.EADDRINUSE, "taken")
        return bind_all(families)

    monkeypatch.setattr(net, "_bind_all", fail_twice)
    asyncio.run(bound_ports("localhost"))
    assert len(attempts) == 3


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError) as raised:
            asyncio.run(bound_ports("127.0.0.1", taken.getsockname()[1]))
    assert raised.value.errno == errno.EADDRINUSE


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(OSError) as raised:
        asyncio.run(bound_ports("192.0.2.1"))
    assert raised.value.errno == errno.EADDRNOTAVAIL
