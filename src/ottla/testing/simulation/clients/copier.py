"""Consume, transform, produce: a copier whose output and offsets are one transaction (KIP-447)."""

from __future__ import annotations

from collections.abc import Sequence

from ottla.testing.history import Isolation
from ottla.testing.simulation.clients.batches import split
from ottla.testing.simulation.clients.consumer import GroupConsumer, MakeMember
from ottla.testing.simulation.clients.fetching import Fetched
from ottla.testing.simulation.clients.membership import RebalanceNeeded
from ottla.testing.simulation.clients.transactional import Abortable, TransactionalProducer

_LONGER_THAN_THE_TIMEOUT_S = 2.6
_SEPARATOR = ">"


def origin(value: str) -> str:
    """Of a copied value, the value of its source."""
    return value.partition(_SEPARATOR)[0]


class Copier(GroupConsumer):
    """Copies partitions of the source to those of ``target`` with the same number.

    It stops once copiers have come to the end of every source.
    """

    def __init__(
        self,
        make_member: MakeMember,
        sources: Sequence[str],
        target: str,
        transactional_id: str,
        version: int,
    ) -> None:
        super().__init__(make_member, Isolation.READ_COMMITTED)
        self._sources = frozenset(sources)
        self._target = target
        self._transactional_id = transactional_id
        self._version = version
        self._count = 0

    @property
    def goes_on(self) -> bool:
        return not self.client.world.read_to_the_end >= self._sources

    async def prepare(self) -> None:
        self.producer = TransactionalProducer(self.client, self._transactional_id, self._version)
        await self.producer.init()

    async def process(self, fetched: Fetched, before: dict[str, int]) -> None:
        if not any(read.records for read in fetched.read.values()):
            world = self.client.world
            if world.is_quiet and fetched.is_at_the_end:
                world.read_to_the_end.update(fetched.read)
            return
        producer = self.producer
        producer.begin()
        try:
            commits = await self._copy(fetched)
            if commits:
                await producer.end(commits=True)
                return
        except (Abortable, RebalanceNeeded) as error:
            await producer.abort()
            if isinstance(error, RebalanceNeeded):
                raise
        else:
            await producer.abort()
        await self.seek_to_committed(list(self.positions))

    async def _copy(self, fetched: Fetched) -> bool:
        """Write the copies and the offsets; whether to commit them."""
        client = self.client
        for partition, read in fetched.read.items():
            if read.records:
                self._count += 1
                copies = [
                    f"{value}{_SEPARATOR}{client.name}/{self._count}" for _, value in read.records
                ]
                await self.producer.send(f"{self._target}-{split(partition)[1]}", copies)
        if client.random.random() < 0.02:
            await client.pause(_LONGER_THAN_THE_TIMEOUT_S, _LONGER_THAN_THE_TIMEOUT_S)
        moved = {
            partition: self.positions[partition]
            for partition, read in fetched.read.items()
            if read.records
        }
        await self.producer.send_offsets(self.member, moved)
        return client.random.random() < 0.9
