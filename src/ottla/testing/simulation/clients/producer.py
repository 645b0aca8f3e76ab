"""An idempotent producer: batches in flight, sent again in order until they are acknowledged."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from ottla.testing.history import Send
from ottla.testing.simulation.clients.batches import ProducerIdentity, encode, split
from ottla.testing.simulation.clients.link import Link, Unanswered, is_retriable
from ottla.testing.simulation.world import Client
from ottla.wire.api.k00_produce import PartitionToProduce, ProduceRequest, TopicToProduce
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest
from ottla.wire.errors import ErrorCode

_ACKS_ALL = -1
_INIT_VERSION = 4
_PRODUCE_VERSION = 11
_PRODUCE_TIMEOUT_MS = 30_000
_MOST_IN_FLIGHT = 3
_MOST_RECORDS = 3


class Batch(NamedTuple):
    """Records that are sent together, with their sequence numbers."""

    sends: list[Send]
    base_sequence: int
    data: bytes


def produce_request(
    partition: str, data: bytes, transactional_id: str | None = None
) -> ProduceRequest:
    """A request with one batch."""
    topic, index = split(partition)
    return ProduceRequest(
        transactional_id=transactional_id,
        acks=_ACKS_ALL,
        timeout_ms=_PRODUCE_TIMEOUT_MS,
        topic_data=[
            TopicToProduce(
                name=topic, partition_data=[PartitionToProduce(index=index, records=data)]
            )
        ],
    )


def produced(response: Any) -> Any:
    """The one partition's part of the answer."""
    return response.responses[0].partition_responses[0]


class IdempotentProducer:
    """Writes numbered records to some partitions until ``deadline_s`` of the loop's time.

    Args:
        keys: how many different keys the records get; 0 for none.
    """

    def __init__(
        self,
        partitions: Sequence[str],
        deadline_s: float,
        *,
        keys: int = 0,
        pause_s: tuple[float, float] = (0.05, 0.35),
    ) -> None:
        self._partitions = partitions
        self._deadline_s = deadline_s
        self._keys = keys
        self._pause_s = pause_s
        self._count = 0
        self._sequences: dict[str, int] = {}

    async def run(self, client: Client) -> None:
        """The client's life."""
        self.client = client
        self.link = Link(client)
        self.identity = await self._init()
        while client.world.loop.time() < self._deadline_s:
            partition = client.random.choice(self._partitions)
            count = client.random.choice((1, 1, _MOST_IN_FLIGHT))
            await self._deliver(partition, [self._batch(partition) for _ in range(count)])
            await client.pause(*self._pause_s)
        self.link.close()

    async def _init(self) -> ProducerIdentity:
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000)
        while True:
            try:
                response = await self.link.ask(request, _INIT_VERSION)
            except Unanswered:
                await self.link.back_off()
                continue
            if not response.error_code:
                return ProducerIdentity(response.producer_id, response.producer_epoch)
            if not is_retriable(response.error_code):
                self.client.world.wrong(self.client.name, f"InitProducerId: {response.error_code}")
            await self.link.back_off()

    def _batch(self, partition: str) -> Batch:
        client = self.client
        sends = []
        for _ in range(client.random.randint(1, _MOST_RECORDS)):
            self._count += 1
            key = f"k{client.random.randrange(self._keys)}" if self._keys else None
            sends.append(
                client.history.send(
                    client.name,
                    partition,
                    f"{client.name}-{self._count}",
                    key=key,
                    is_tombstone=key is not None and client.random.random() < 0.1,
                )
            )
        base_sequence = self._sequences.get(partition, 0)
        self._sequences[partition] = base_sequence + len(sends)
        now_ms = client.world.loop.clock.wall_ms()
        return Batch(sends, base_sequence, encode(sends, now_ms, self.identity, base_sequence))

    async def _deliver(self, partition: str, batches: Sequence[Batch]) -> None:
        waiting = deque(batches)
        while waiting:
            asks = [
                self.link.ask(produce_request(partition, batch.data), _PRODUCE_VERSION)
                for batch in waiting
            ]
            for answer in await asyncio.gather(*asks, return_exceptions=True):
                if isinstance(answer, Unanswered):
                    await self.link.back_off()
                    break
                if isinstance(answer, BaseException):
                    raise answer
                part = produced(answer)
                if is_retriable(part.error_code):
                    await self.link.back_off()
                    break
                if part.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER and len(waiting) > 1:
                    await self._begin_anew(waiting)
                    return
                self._acknowledge(partition, waiting.popleft(), part)

    def _acknowledge(self, partition: str, batch: Batch, part: Any) -> None:
        is_known = part.error_code == ErrorCode.NONE
        if not is_known and part.error_code != ErrorCode.DUPLICATE_SEQUENCE_NUMBER:
            what = ErrorCode(part.error_code).name
            raise AssertionError(f"{partition} sequence {batch.base_sequence}: {what}")
        for index, send in enumerate(batch.sends):
            self.client.history.ok(send, offset=part.base_offset + index if is_known else -1)

    async def _begin_anew(self, forgotten: Sequence[Batch]) -> None:
        """A snapshot of producers keeps the last batch of each, as in Kafka: a broker that was
        restarted may not know the first of several that a client sends again."""
        self.client.note("begins anew: the broker has forgotten its earlier batches")
        for batch in forgotten:
            for send in batch.sends:
                self.client.history.info(send, "forgotten")
        self.identity = await self._init()
        self._sequences.clear()
