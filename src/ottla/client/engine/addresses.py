"""Where brokers are: the text of ``bootstrap.servers``, and names turned into addresses."""

from __future__ import annotations

import re
import socket
from typing import Any, NamedTuple

from ottla.client.engine.background import in_daemon_thread
from ottla.ports.net import Address

DEFAULT_PORT = 9092
_SERVER = re.compile(
    r"(?:[A-Za-z_]+://)?"
    r"(?:\[(?P<bracketed>[^\]]+)\]|(?P<host>[^:\[\]]+))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_MAX_PORT = 65535


class SocketAddress(NamedTuple):
    """What a socket connects to."""

    family: socket.AddressFamily
    address: tuple[Any, ...]

    def __str__(self) -> str:
        host, port = self.address[0], self.address[1]
        if self.family == socket.AF_INET6:
            return f"ipv6#[{host}]:{port}"
        return f"ipv4#{host}:{port}"


def parse_servers(text: str) -> list[Address]:
    """The servers of ``bootstrap.servers``: ``host``, ``host:port``, ``PROTOCOL://host:port``.

    What makes no sense is left out, as librdkafka does; the log tells of it.
    """
    found: dict[Address, None] = {}
    for part in text.split(","):
        match = _SERVER.fullmatch(part.strip())
        if match is None:
            continue
        port = int(match["port"] or DEFAULT_PORT)
        if 0 < port <= _MAX_PORT:
            found[Address(match["bracketed"] or match["host"], port)] = None
    return list(found)


def numeric(host: str, port: int) -> SocketAddress | None:
    """The address that a host in digits stands for; None for a name, which must be looked up."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        address = (host, port) if family == socket.AF_INET else (host, port, 0, 0)
        return SocketAddress(family, address)
    return None


async def resolve(host: str, port: int, family: socket.AddressFamily) -> list[SocketAddress]:
    """All addresses of a host, in the system's order.

    Raises:
        OSError: (``socket.gaierror``) the name stands for nothing.
    """
    known = numeric(host, port)
    if known is not None and family in (socket.AF_UNSPEC, known.family):
        return [known]
    found = await in_daemon_thread(lambda: _look_up(host, port, family), "ottla-resolve")
    each = [SocketAddress(entry[0], entry[4]) for entry in found]
    return list(dict.fromkeys(each))


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError(0, "the host's name makes no sense") from None


async def canonical_names(address: Address, family: socket.AddressFamily) -> list[Address]:
    """The servers behind one name, by the names that their addresses stand for.

    Raises:
        OSError: the name stands for nothing.
    """

    def look_up() -> list[Address]:
        entries = _look_up(address.host, address.port, family)
        names = [socket.getnameinfo(entry[4], 0)[0] for entry in entries]
        return [Address(name, address.port) for name in dict.fromkeys(names)]

    return await in_daemon_thread(look_up, "ottla-resolve")
