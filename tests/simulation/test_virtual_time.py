"""The simulated world: time that jumps, a network under a seed, one seed one course of events."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from ottla.ports.net import Address
from ottla.testing.simulation.clock import VirtualClock
from ottla.testing.simulation.loop import Deadlock, SimulationLoop, run_simulation
from ottla.testing.simulation.net import SimulatedNetwork

PORT = Address("broker", 9092)


class Recorder(asyncio.Protocol):
    """Notes what happens to one end of a connection, with the virtual time."""

    def __init__(self, name: str, events: list[tuple[str, float, object]]) -> None:
        self.name = name
        self.events = events
        self.received = bytearray()
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def note(self, what: object) -> None:
        self.events.append((self.name, asyncio.get_running_loop().time(), what))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.note("made")

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.note(data)

    def eof_received(self) -> None:
        self.note("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.note(("lost", type(exc).__name__))
        self.lost.set_result(exc)


class Echo(Recorder):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(data)


class World:
    """A broker that echoes and clients that talk to it."""

    def __init__(self, loop: SimulationLoop) -> None:
        self.network = SimulatedNetwork(loop)
        self.events: list[tuple[str, float, object]] = []
        self.servers: list[Echo] = []

    def serve(self) -> Echo:
        self.servers.append(Echo(f"server-{len(self.servers)}", self.events))
        return self.servers[-1]

    async def listen(self) -> None:
        await self.network.host("broker").listen(self.serve, Address("", 9092))

    async def dial(self, host: str = "client") -> Recorder:
        client = Recorder(host, self.events)
        await self.network.host(host).connect(lambda: client, PORT)
        return client


def simulate(script: Callable[[World], Awaitable[None]], seed: int = 0) -> World:
    worlds = []

    async def main(loop: SimulationLoop) -> None:
        world = World(loop)
        worlds.append(world)
        await world.listen()
        await script(world)

    run_simulation(main, seed=seed)
    return worlds[0]


def test_a_sleep_of_a_day_takes_no_time() -> None:
    async def main(loop: SimulationLoop) -> tuple[float, int]:
        wall_start_ms = loop.clock.wall_ms()
        await asyncio.sleep(86_400)
        return loop.time(), loop.clock.wall_ms() - wall_start_ms

    started = time.monotonic()
    elapsed_s, wall_ms = run_simulation(main)
    assert time.monotonic() - started < 5
    assert elapsed_s == pytest.approx(86_400)
    assert wall_ms == 86_400_000


def test_timers_fire_in_the_order_of_their_deadlines() -> None:
    async def main(loop: SimulationLoop) -> list[int]:
        fired: list[int] = []
        for delay_s in (3, 1, 2):
            loop.call_later(delay_s, fired.append, delay_s)
        await asyncio.sleep(4)
        return fired

    assert run_simulation(main) == [1, 2, 3]


def test_a_deadlock_is_an_error_that_names_who_waits() -> None:
    async def wait_for_nothing() -> None:
        await asyncio.Event().wait()

    async def main(loop: SimulationLoop) -> None:
        await loop.create_task(wait_for_nothing(), name="the-waiter")

    with pytest.raises(Deadlock, match=r"(?s)the-waiter: .*wait_for_nothing"):
        run_simulation(main)


def test_tasks_left_behind_are_cancelled_and_their_cleanup_runs() -> None:
    cleaned = []

    async def linger() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            cleaned.append(True)

    async def main(loop: SimulationLoop) -> None:
        loop.create_task(linger())
        await asyncio.sleep(0)

    run_simulation(main)
    assert cleaned == [True]


def test_executor_work_runs_on_the_loop_after_some_virtual_time() -> None:
    def fail() -> None:
        raise OSError("disk")

    async def main(loop: SimulationLoop) -> float:
        assert await loop.run_in_executor(None, max, 1, 2) == 2
        with pytest.raises(OSError, match="disk"):
            await loop.run_in_executor(None, fail)
        return loop.time()

    assert run_simulation(main) > 0


def test_another_thread_may_not_touch_the_loop() -> None:
    async def main(loop: SimulationLoop) -> None:
        refused: list[str] = []

        def meddle() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except RuntimeError as error:
                refused.append(str(error))

        thread = threading.Thread(target=meddle)
        thread.start()
        thread.join()
        assert refused == ["a simulation has one thread; use loop.run_in_executor"]
        called = loop.create_future()
        loop.call_soon_threadsafe(called.set_result, None)
        await called

    run_simulation(main)


def test_the_wall_clock_can_be_set_without_time_passing() -> None:
    clock = VirtualClock(wall_start_ms=1000)
    clock.advance(0.5)
    clock.jump_wall(-1200)
    assert (clock.wall_ms(), clock.monotonic()) == (300, 0.5)
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)


def test_bytes_of_one_connection_arrive_complete_and_in_order() -> None:
    message = bytes(range(256)) * 40

    async def script(world: World) -> None:
        client = await world.dial()
        for start in range(0, len(message), 100):
            client.transport.write(message[start : start + 100])
        await asyncio.sleep(1)
        assert client.received == message

    simulate(script)


def _busy(world: World) -> Awaitable[None]:
    async def talk(host: str) -> None:
        client = await world.dial(host)
        for number in range(20):
            client.transport.write(f"{host}:{number};".encode())
            await asyncio.sleep(0.001)
        client.transport.close()
        await client.lost

    async def script() -> None:
        await asyncio.gather(*(talk(f"client-{number}") for number in range(5)))
        await asyncio.sleep(1)

    return script()


def test_the_same_seed_gives_the_same_course_of_events_and_another_seed_another() -> None:
    first, again, other = simulate(_busy, 7), simulate(_busy, 7), simulate(_busy, 8)
    assert len(first.events) > 200
    assert first.events == again.events
    assert first.events != other.events


def test_connections_overtake_one_another_under_some_seed() -> None:
    def order(seed: int) -> list[str]:
        async def script(world: World) -> None:
            clients = [await world.dial(f"client-{number}") for number in range(3)]
            world.events.clear()
            for client in clients:
                client.transport.write(b"x")
            await asyncio.sleep(1)

        events = simulate(script, seed).events
        return [name for name, _, what in events if what == b"x" and name.startswith("server")]

    assert len({tuple(order(seed)) for seed in range(20)}) > 1


def test_close_delivers_what_was_written_then_ends_both_sides() -> None:
    async def script(world: World) -> None:
        client = await world.dial()
        client.transport.write(b"last words")
        client.transport.close()
        assert await client.lost is None
        await asyncio.sleep(1)
        assert world.servers[0].received == b"last words"
        assert world.servers[0].lost.done()

    simulate(script)


def test_a_reader_that_pauses_stops_the_writer() -> None:
    async def script(world: World) -> None:
        client = await world.dial()
        pauses: list[str] = []
        client.pause_writing = lambda: pauses.append("pause")  # type: ignore[method-assign]
        client.resume_writing = lambda: pauses.append("resume")  # type: ignore[method-assign]
        server = world.servers[0].transport
        server.pause_reading()
        client.transport.write(bytes(300_000))
        await asyncio.sleep(1)
        assert pauses == ["pause"]
        assert client.transport.get_write_buffer_size() > 0
        server.resume_reading()
        await asyncio.sleep(1)
        assert pauses == ["pause", "resume"]
        assert client.received == bytes(300_000)

    simulate(script)


def test_a_partition_holds_bytes_until_it_heals() -> None:
    async def script(world: World) -> None:
        client = await world.dial()
        world.network.partition({"client"}, {"broker"})
        client.transport.write(b"one")
        client.transport.write(b"two")
        await asyncio.sleep(10)
        assert client.received == b""
        world.network.heal()
        await asyncio.sleep(1)
        assert client.received == b"onetwo"

    simulate(script)


def test_connecting_across_a_partition_times_out_or_waits_for_the_healing() -> None:
    async def script(world: World) -> None:
        world.network.partition({"client"}, {"broker"})
        with pytest.raises(TimeoutError):
            await world.dial()
        asyncio.get_running_loop().call_later(5, world.network.heal)
        await world.dial()

    simulate(script)


def test_a_reset_ends_both_sides_with_an_error() -> None:
    async def script(world: World) -> None:
        client = await world.dial()
        assert world.network.reset_connections("client", "broker") == 1
        assert isinstance(await client.lost, ConnectionResetError)
        assert isinstance(await world.servers[0].lost, ConnectionResetError)

    simulate(script)


def test_after_a_crash_nobody_answers() -> None:
    async def script(world: World) -> None:
        client = await world.dial()
        world.network.crash("broker")
        assert isinstance(await client.lost, ConnectionResetError)
        with pytest.raises(ConnectionRefusedError):
            await world.dial()

    simulate(script)


def test_a_taken_port_is_refused_and_port_zero_finds_a_free_one() -> None:
    async def script(world: World) -> None:
        net = world.network.host("broker")
        with pytest.raises(OSError, match="9092"):
            await net.listen(world.serve, Address("127.0.0.1", 9092))
        first = await net.listen(world.serve, Address("", 0))
        second = await net.listen(world.serve, Address("", 0))
        assert first.address != second.address
        await first.close()
        with pytest.raises(ConnectionRefusedError):
            await net.connect(world.serve, first.address)

    simulate(script)


def test_buffered_protocols_are_fed_through_their_own_buffer() -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(7)
            self.received = bytearray()

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.received += self.buffer[:nbytes]

    async def script(world: World) -> None:
        protocol = Buffered()
        transport = await world.network.host("client").connect(lambda: protocol, PORT)
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"longer than seven bytes")
        await asyncio.sleep(1)
        assert protocol.received == b"longer than seven bytes"

    simulate(script)


def test_a_protocol_that_raises_loses_its_connection_and_the_other_side_hears_of_it() -> None:
    async def script(world: World) -> None:
        reported: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context["message"]))
        client = await world.dial()

        def explode(data: bytes) -> None:
            raise ValueError("bug")

        world.servers[0].data_received = explode  # type: ignore[method-assign]
        client.transport.write(b"x")
        assert isinstance(await client.lost, ConnectionResetError)
        assert len(reported) == 1

    simulate(script)
