"""Opening connections: names, sockets and their options, TLS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ottla.client.configuration.objects import Configuration
from ottla.client.engine.addresses import SocketAddress, canonical_names, resolve
from ottla.client.engine.connection import Connection
from ottla.client.engine.failures import connect_failure, resolve_failure, tls_failure
from ottla.client.engine.native_loop import NativeLoop, SocketTransport
from ottla.client.errors import KafkaException
from ottla.ports.net import Address, Net

if TYPE_CHECKING:
    import ssl

_FAMILIES = {"any": socket.AF_UNSPEC, "v4": socket.AF_INET, "v6": socket.AF_INET6}


class Dialer(Protocol):
    """Opens connections."""

    async def dial(
        self, make: Callable[[], Connection], address: Address, timeout_s: float
    ) -> Connection:
        """A connection that is open, and safe if TLS is configured.

        Raises:
            KafkaException: ``_RESOLVE``, ``_TRANSPORT`` or ``_SSL``, with a text that says why.
        """
        ...

    async def canonical(self, address: Address) -> list[Address]:
        """The servers that a bootstrap address stands for (``client.dns.lookup``).

        Raises:
            KafkaException: ``_RESOLVE``.
        """
        ...


class NetDialer:
    """Opens connections of a simulation's network: no names to look up, no TLS."""

    def __init__(self, net: Net) -> None:
        self._net = net

    async def dial(
        self, make: Callable[[], Connection], address: Address, timeout_s: float
    ) -> Connection:
        made: list[Connection] = []

        def factory() -> Connection:
            made.append(make())
            return made[0]

        try:
            async with asyncio.timeout(timeout_s):
                await self._net.connect(factory, address)
        except OSError as error:
            raise KafkaException(connect_failure(address, str(address), error)) from None
        return made[0]

    async def canonical(self, address: Address) -> list[Address]:
        return [address]


class SystemDialer:
    """Opens TCP connections through the running event loop.

    Args:
        configuration: the socket's options, the family and the use of names.
        tls: the context of TLS; None for a plain connection.
    """

    def __init__(self, configuration: Configuration, tls: ssl.SSLContext | None) -> None:
        self._configuration = configuration
        self._tls = tls
        self._family = _FAMILIES[configuration.broker_address_family]
        # So that of several addresses not always the same one is tried first.
        self._turn = 0

    async def dial(
        self, make: Callable[[], Connection], address: Address, timeout_s: float
    ) -> Connection:
        try:
            async with asyncio.timeout(timeout_s):
                targets = await resolve(address.host, address.port, self._family)
        except OSError as error:
            raise KafkaException(resolve_failure(address, error)) from None
        self._turn += 1
        first = self._turn % len(targets)
        failure: KafkaException | None = None
        for target in targets[first:] + targets[:first]:
            try:
                return await self._dial_one(make, address, target, timeout_s / len(targets))
            except KafkaException as error:
                failure = error
        assert failure is not None
        raise failure

    async def _dial_one(
        self,
        make: Callable[[], Connection],
        address: Address,
        target: SocketAddress,
        timeout_s: float,
    ) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            plain = self._socket(target)
        except OSError as error:
            raise KafkaException(connect_failure(address, str(target), error)) from None
        try:
            async with asyncio.timeout(timeout_s):
                await loop.sock_connect(plain, target.address)
        except OSError as error:
            plain.close()
            raise KafkaException(connect_failure(address, str(target), error)) from None
        except BaseException:
            plain.close()
            raise
        try:
            if isinstance(loop, NativeLoop):
                return await self._over_native_socket(loop, make, address, plain, timeout_s)
            return await self._over_socket(loop, make, address, plain, timeout_s)
        except OSError as error:
            # Connected a moment ago, and gone already.
            plain.close()
            raise KafkaException(connect_failure(address, str(target), error)) from None

    async def _over_socket(
        self,
        loop: asyncio.AbstractEventLoop,
        make: Callable[[], Connection],
        address: Address,
        plain: socket.socket,
        timeout_s: float,
    ) -> Connection:
        if self._tls is None:
            _, connection = await loop.create_connection(make, sock=plain)
            return connection
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(
                    make, sock=plain, ssl=self._tls, server_hostname=address.host
                )
        except (OSError, ValueError) as error:
            plain.close()
            raise KafkaException(tls_failure(address, error)) from None
        return connection

    async def _over_native_socket(
        self,
        loop: NativeLoop,
        make: Callable[[], Connection],
        address: Address,
        plain: socket.socket,
        timeout_s: float,
    ) -> Connection:
        connection = make()
        if self._tls is None:
            SocketTransport(loop, plain, connection)
            return connection
        # What is received before the handshake begins is none of the connection's business.
        transport = SocketTransport(loop, plain, asyncio.BufferedProtocol())
        try:
            async with asyncio.timeout(timeout_s):
                secure = await loop.start_tls(
                    transport, connection, self._tls, server_hostname=address.host
                )
        except (OSError, ValueError) as error:
            transport.abort()
            raise KafkaException(tls_failure(address, error)) from None
        assert secure is not None
        connection.connection_made(secure)
        return connection

    def _socket(self, target: SocketAddress) -> socket.socket:
        configuration = self._configuration
        made = socket.socket(target.family, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            if configuration.socket_nagle_disable:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if configuration.socket_keepalive_enable:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if configuration.socket_send_buffer_bytes:
                size_bytes = configuration.socket_send_buffer_bytes
                made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_bytes)
            if configuration.socket_receive_buffer_bytes:
                size_bytes = configuration.socket_receive_buffer_bytes
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size_bytes)
        except OSError:
            made.close()
            raise
        return made

    async def canonical(self, address: Address) -> list[Address]:
        if self._configuration.client_dns_lookup == "use_all_dns_ips":
            return [address]
        try:
            return await canonical_names(address, self._family)
        except OSError as error:
            raise KafkaException(resolve_failure(address, error)) from None
