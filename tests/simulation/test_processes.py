"""Processes in virtual time: what belongs to one ends with it, and nothing else does."""

from __future__ import annotations

import asyncio

from ottla.ports.net import Address
from ottla.testing.simulation.loop import SimulationLoop, run_simulation
from ottla.testing.simulation.net import SimulatedNetwork
from ottla.testing.simulation.process import SimulatedProcess


def test_a_killed_process_does_nothing_more() -> None:
    steps: list[str] = []

    async def main(loop: SimulationLoop) -> None:
        process = SimulatedProcess("victim")

        async def live() -> None:
            try:
                while True:
                    steps.append("alive")
                    await asyncio.sleep(1)
            finally:
                steps.append("cleanup")

        process.run(lambda: loop.create_task(live()))
        process.run(lambda: loop.call_later(5, steps.append, "timer"))
        await asyncio.sleep(2.5)
        loop.kill(process)
        steps.append("killed")
        process.run(lambda: loop.call_soon(steps.append, "afterwards"))
        await asyncio.sleep(10)
        steps.append("end")

    run_simulation(main)
    assert steps == ["alive", "alive", "alive", "killed", "end", "cleanup"]


def test_a_process_that_waits_for_another_is_not_woken_once_dead() -> None:
    async def main(loop: SimulationLoop) -> bool:
        process = SimulatedProcess("victim")
        answer: asyncio.Future[None] = loop.create_future()
        woken = False

        async def live() -> None:
            nonlocal woken
            await answer
            woken = True

        process.run(lambda: loop.create_task(live()))
        await asyncio.sleep(1)
        loop.kill(process)
        answer.set_result(None)
        await asyncio.sleep(1)
        return woken

    assert not run_simulation(main)


class _Listener(asyncio.Protocol):
    """Notes what it receives, and a second later that it is still there."""

    def __init__(self, received: list[bytes]) -> None:
        self.received = received

    def data_received(self, data: bytes) -> None:
        self.received.append(data)
        asyncio.get_running_loop().call_later(1, self.received.append, b" and alive")


def test_what_a_killed_process_has_sent_arrives_at_one_that_is_its_own() -> None:
    received: list[bytes] = []

    async def main(loop: SimulationLoop) -> None:
        network = SimulatedNetwork(loop)
        server, client = SimulatedProcess("server"), SimulatedProcess("client")
        address = Address("server", 1)

        async def serve() -> None:
            await network.host("server").listen(lambda: _Listener(received), address)

        async def send() -> None:
            transport = await network.host("client").connect(asyncio.Protocol, address)
            transport.write(b"!")

        await server.run(lambda: loop.create_task(serve()))
        await client.run(lambda: loop.create_task(send()))
        loop.kill(client)
        network.hang_up("client")
        await asyncio.sleep(2)

    run_simulation(main)
    assert b"".join(received) == b"! and alive"


def test_what_a_killed_listener_had_planned_does_not_happen() -> None:
    received: list[bytes] = []

    async def main(loop: SimulationLoop) -> None:
        network = SimulatedNetwork(loop)
        server = SimulatedProcess("server")
        address = Address("server", 1)

        async def serve() -> None:
            await network.host("server").listen(lambda: _Listener(received), address)

        await server.run(lambda: loop.create_task(serve()))
        transport = await network.host("client").connect(asyncio.Protocol, address)
        transport.write(b"!")
        await asyncio.sleep(0.5)
        loop.kill(server)
        await asyncio.sleep(2)

    run_simulation(main)
    assert b"".join(received) == b"!"
