"""Opening a connection: what goes wrong is told, whatever it is."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from ottla.client.configuration.build import configure_admin
from ottla.client.engine.dialer import SystemDialer
from ottla.client.engine.native_loop import NativeLoop, native_io
from ottla.client.errors import KafkaError, KafkaException
from ottla.ports.net import Address


@pytest.mark.skipif(native_io() is None, reason="there is no native selector here")
def test_a_peer_that_is_gone_as_soon_as_it_was_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = NativeLoop(native_io())

    async def connected_for_an_instant(_: socket.socket, __: Any) -> None:
        return None

    monkeypatch.setattr(loop, "sock_connect", connected_for_an_instant)
    configuration = configure_admin(({},), {})

    def make() -> Any:
        return asyncio.BufferedProtocol()

    async def dial() -> None:
        with pytest.raises(KafkaException) as caught:
            await SystemDialer(configuration, None).dial(make, Address("127.0.0.1", 9), 1.0)
        assert caught.value.args[0].code() == KafkaError._TRANSPORT

    try:
        loop.run_until_complete(dial())
    finally:
        loop.close()
