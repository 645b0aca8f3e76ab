"""A consumer without a group: it reads its partitions from the start and again and again."""

from __future__ import annotations

from collections.abc import Sequence

from ottla.testing.history import Isolation
from ottla.testing.simulation.clients.fetching import Fetched, fetch
from ottla.testing.simulation.clients.link import Link, Unanswered
from ottla.testing.simulation.world import Client

_SMALL_FETCH_BYTES = 300


class Reader:
    """Polls partitions that it chose itself.

    Args:
        stops_at_the_end: whether it is done when it has read all there is.
    """

    def __init__(
        self, partitions: Sequence[str], isolation: Isolation, *, stops_at_the_end: bool = False
    ) -> None:
        self._partitions = partitions
        self._isolation = isolation
        self._stops_at_the_end = stops_at_the_end

    async def run(self, client: Client) -> None:
        """The client's life."""
        link = Link(client)
        positions = dict.fromkeys(self._partitions, 0)
        client.history.assign(client.name, self._partitions)
        while True:
            fetched = await self._poll(client, link, positions)
            if fetched is None:
                await link.back_off()
                continue
            for partition, read in fetched.read.items():
                positions[partition] = read.to_offset
            if fetched.starts:
                # What it had not read was deleted: it goes on from the new start.
                positions.update(fetched.starts)
                client.history.assign(client.name, self._partitions)
            elif self._stops_at_the_end and fetched.is_at_the_end:
                link.close()
                return
            if not self._stops_at_the_end:
                await client.pause(0.1, 0.8)

    async def _poll(self, client: Client, link: Link, positions: dict[str, int]) -> Fetched | None:
        poll = client.history.poll(client.name, isolation=self._isolation)
        try:
            fetched = await fetch(
                link,
                positions,
                self._isolation,
                max_wait_ms=0 if self._stops_at_the_end else 500,
                partition_max_bytes=1 << 20 if self._stops_at_the_end else _SMALL_FETCH_BYTES,
            )
        except Unanswered as error:
            client.history.info(poll, str(error))
            return None
        client.history.ok(poll, read=fetched.read)
        return fetched
