"""A transactional producer that only writes: a few records to a few partitions at once."""

from __future__ import annotations

from collections.abc import Sequence

from ottla.testing.simulation.clients.membership import Fenced
from ottla.testing.simulation.clients.transactional import Abortable, TransactionalProducer
from ottla.testing.simulation.world import Client

_LONGER_THAN_THE_TIMEOUT_S = 2.6


class Writer:
    """Writes transactions until ``deadline_s`` of the loop's time."""

    def __init__(
        self,
        partitions: Sequence[str],
        transactional_id: str,
        version: int,
        deadline_s: float,
        *,
        keys: int = 0,
    ) -> None:
        self._partitions = partitions
        self._transactional_id = transactional_id
        self._version = version
        self._deadline_s = deadline_s
        self._keys = keys
        self._count = 0

    async def run(self, client: Client) -> None:
        """The client's life."""
        producer = TransactionalProducer(client, self._transactional_id, self._version)
        try:
            await producer.init()
            while client.world.loop.time() < self._deadline_s:
                await self._transact(client, producer)
                await client.pause(0.02, 0.3)
        except Fenced:
            client.is_fenced = True
            client.note("is fenced")
        producer.close()

    async def _transact(self, client: Client, producer: TransactionalProducer) -> None:
        producer.begin()
        try:
            for _ in range(client.random.randint(1, 3)):
                await producer.send(client.random.choice(self._partitions), self._values(client))
                if client.random.random() < 0.02:
                    await client.pause(_LONGER_THAN_THE_TIMEOUT_S, _LONGER_THAN_THE_TIMEOUT_S)
            if client.random.random() < 0.8:
                await producer.end(commits=True)
            else:
                await producer.abort()
        except Abortable:
            await producer.abort()

    def _values(self, client: Client) -> list[str]:
        values = []
        for _ in range(client.random.randint(1, 2)):
            self._count += 1
            values.append(f"{client.name}-{self._count}")
        return values
