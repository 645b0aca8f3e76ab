"""Batches that unpack to a lot: looked through off the event loop, and nothing overtakes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from ottla.records.compression import Codec
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.simulation.client import SimulatedClient
from ottla.testing.simulation.worker import SimulatedWorker
from ottla.wire.api.k00_produce import PartitionToProduce, ProduceRequest, TopicToProduce
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from conftest import SimulatedBroker

MIB = 1024 * 1024


def request(batch: bytes) -> ProduceRequest:
    data = PartitionToProduce(index=0, records=batch)
    topic = TopicToProduce(name="orders", partition_data=[data])
    return ProduceRequest(acks=-1, timeout_ms=10_000, topic_data=[topic])


def idempotent(sequence: int, size_bytes: int) -> bytes:
    records = [Record(0, 1000, None, bytes(size_bytes))]
    return encode_batch(
        records, codec=Codec.ZSTD, producer_id=7, producer_epoch=0, base_sequence=sequence
    )


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the worker for large batches was given to do."""
    given: list[str] = []
    run = SimulatedWorker.run

    def note(self: SimulatedWorker, work: Callable[[], Any], done: Callable[[Any], object]) -> None:
        if "result_of_work" in getattr(work, "__qualname__", ""):
            given.append(work.__qualname__)
        run(self, work, done)

    monkeypatch.setattr(SimulatedWorker, "run", note)
    return given


def test_what_unpacks_to_a_lot_goes_to_a_thread_and_keeps_its_place(
    tell: Callable[..., None], jobs: list[str]
) -> None:
    async def story(broker: SimulatedBroker, client: SimulatedClient) -> None:
        await broker.create_topic(client, "orders")
        sizes = [100, 20 * MIB, 100, 20 * MIB, 100]
        asked = [
            client.ask(request(idempotent(sequence, size)), 9)
            for sequence, size in enumerate(sizes)
        ]
        answers = await asyncio.gather(*asked)
        produced = [answer.responses[0].partition_responses[0] for answer in answers]
        assert [(each.error_code, each.base_offset) for each in produced] == [
            (0, offset) for offset in range(len(sizes))
        ]
        assert len(jobs) == 2

    tell(story)


def test_its_records_are_kept_while_others_use_the_receive_buffer(
    tell: Callable[..., None], jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = SimulatedWorker.run

    def take_long(
        self: SimulatedWorker, work: Callable[[], Any], done: Callable[[Any], object]
    ) -> None:
        if "result_of_work" in getattr(work, "__qualname__", ""):
            loop = asyncio.get_running_loop()
            run(self, work, lambda result: loop.call_later(1, done, result))
        else:
            run(self, work, done)

    monkeypatch.setattr(SimulatedWorker, "run", take_long)

    async def story(broker: SimulatedBroker, client: SimulatedClient) -> None:
        await broker.create_topic(client, "orders")
        await broker.create_topic(client, "others")
        other = await broker.connect()
        asked = client.ask(request(idempotent(0, 20 * MIB)), 9)
        await asyncio.sleep(0.5)
        assert jobs
        assert not asked.done()
        assert (await broker.produce(other, "others", b"v" * 10_000)).error_code == 0
        [produced] = (await asked).responses[0].partition_responses
        assert produced.error_code == 0
        log = broker.node.partitions.get("orders", 0).log
        [record] = decode_records(log.read(0, MIB).read())
        assert record.value == bytes(20 * MIB)

    tell(story)


def test_a_bomb_is_refused_by_the_thread(tell: Callable[..., None], jobs: list[str]) -> None:
    async def story(broker: SimulatedBroker, client: SimulatedClient) -> None:
        await broker.create_topic(client, "orders")
        answer = await client.ask(request(idempotent(0, 130 * MIB)), 9)
        [produced] = answer.responses[0].partition_responses
        assert produced.error_code == ErrorCode.MESSAGE_TOO_LARGE
        assert len(jobs) == 1
        assert (await broker.produce(client, "orders", b"value")).error_code == 0

    tell(story)
