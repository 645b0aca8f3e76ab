"""A machine with a broker that is stopped, killed or loses power, and starts again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextvars import Context

from ottla.broker.configuration import configuration_of
from ottla.broker.node import BrokerNode
from ottla.metadata.store.sqlite import IN_MEMORY, SqliteMetadataStore
from ottla.ports.entropy import SeededEntropy
from ottla.testing.simulation.disk import SimulatedDisk
from ottla.testing.simulation.process import SimulatedProcess
from ottla.testing.simulation.worker import SimulatedWorker
from ottla.testing.simulation.world import BROKER_HOST, World
from ottla.testing.storage import KeptStore

_EIO = 5


class Machine:
    """A disk and a metadata store that outlive their broker.

    Attributes:
        lives: how often the broker was started.
        node: the broker of this life, while there is one.
    """

    def __init__(self, world: World, settings: Mapping[str, str]) -> None:
        self.world = world
        self.settings = dict(settings)
        self.disk = SimulatedDisk(world.seed)
        self.store = KeptStore(SqliteMetadataStore(IN_MEMORY))
        self.lives = 0
        self.node: BrokerNode | None = None
        self._process: SimulatedProcess | None = None
        self._died = asyncio.Event()

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.is_alive

    async def start(self) -> None:
        """Start the broker; returns when it listens, or has died on the way."""
        self.lives += 1
        self._died = asyncio.Event()
        world = self.world
        world.trace.note("broker", f"starts its life {self.lives}")
        process = self._process = SimulatedProcess(f"broker-{self.lives}")

        def start() -> asyncio.Task[None]:
            self.node = BrokerNode(
                configuration_of(self.settings, origin="simulation"),
                clock=world.loop.clock,
                disk=self.disk,
                net=world.network.host(BROKER_HOST),
                entropy=SeededEntropy(world.seed * 1000 + self.lives),
                store=self.store,
                new_worker=SimulatedWorker,
            )
            return world.loop.create_task(self.node.start())

        await self._until_done_or_dead(process.run(start))
        if self.is_up:
            world.trace.note("broker", "listens")

    async def _until_done_or_dead(self, task: asyncio.Task[None]) -> None:
        died = self._died
        waiting = asyncio.ensure_future(died.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not died.is_set():
            task.result()

    def lose_power_soon_after_sync(self, path: str, delay_s: float) -> None:
        """A moment after a file was synced whose path contains ``path``: what was promised then has
        perhaps been told, and what follows from it is not done."""
        disk, process = self.disk, self._process

        def lose_power() -> None:
            # Whoever planned it waits for the end of this life, not of the next.
            if self._process is process:
                self.lose_power()

        def watch(operation: str, synced: str) -> None:
            if operation == "sync" and path in synced:
                disk.on_operation = None
                self.world.loop.call_later(delay_s, lose_power, context=Context())

        disk.on_operation = watch

    def log_start_offset(self, partition: str) -> int:
        """Where a partition of the running broker begins."""
        assert self.node is not None
        topic, _, index = partition.rpartition("-")
        return self.node.partitions.find(topic, int(index)).log.log_start_offset

    async def died(self) -> None:
        """Wait until the broker is dead."""
        await self._died.wait()

    def lose_power(self) -> None:
        """Now: what was not synced is lost or torn."""
        if self.is_up:
            self.world.trace.note("broker", "loses power")
            disk = self.disk
            self.disk = disk.crash()
            disk.on_operation = None
            self._end()

    def lose_power_at_call(self, number: int, *, after_sync_of: str = "") -> None:
        """In the midst of the ``number``-th call to the disk from now on, or once a file was synced
        whose path contains ``after_sync_of``."""
        disk = self.disk
        left = number
        is_counting = not after_sync_of

        def count(operation: str, path: str) -> None:
            nonlocal left, is_counting
            if not is_counting:
                is_counting = operation == "sync" and after_sync_of in path
                return
            left -= 1
            if left <= 0 and not disk.has_crashed:
                self.world.trace.note("broker", f"is at {operation} of {path}")
                self.lose_power()
                raise OSError(_EIO, "the power failed", path)

        disk.on_operation = count

    def kill(self) -> None:
        """``kill -9``: what was written is there, synced or not."""
        if self.is_up:
            self.world.trace.note("broker", "is killed")
            self.disk.release_locks()
            self._end()

    async def stop(self) -> None:
        """Stop it cleanly."""
        node, process = self.node, self._process
        if not self.is_up or node is None or process is None:
            return
        self.world.trace.note("broker", "is asked to stop")
        stopping = process.run(lambda: self.world.loop.create_task(node.stop()))
        await self._until_done_or_dead(stopping)
        # Unless a fault was faster, and the next life has begun.
        if self._process is process and process.is_alive:
            self._end()

    def _end(self) -> None:
        assert self._process is not None
        self.disk.on_operation = None
        self.world.network.crash(BROKER_HOST)
        self.world.loop.kill(self._process)
        self._died.set()
