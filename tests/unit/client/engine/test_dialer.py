"""Opening a connection: what goes wrong is told, whatever it is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from ottla.client.configuration.build import configure_admin
from ottla.client.engine.dialer import SystemDialer
from ottla.client.engine.native_loop import NativeLoop, native_io
from ottla.client.errors import KafkaError, KafkaException
from ottla.ports.net import Address


def new_native_loop() -> asyncio.AbstractEventLoop:
    if (io := native_io()) is None:
        pytest.skip("there is no native selector here")
    return NativeLoop(io)


@pytest.mark.parametrize("new_loop", [new_native_loop, asyncio.new_event_loop])
def test_a_peer_that_is_gone_as_soon_as_it_was_connected(
    new_loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = new_loop()

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
