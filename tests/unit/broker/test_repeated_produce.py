"""The short way of a repeated produce answers and writes what the long way does, byte for byte."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ottla.broker.repeated_produce import RepeatedProduces
from ottla.records.batch import read_header
from ottla.records.compression import Codec
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.wire.api.k00_produce import PartitionToProduce, ProduceRequest, TopicToProduce
from ottla.wire.api.k20_delete_topics import DeleteTopicsRequest
from ottla.wire.errors import ErrorCode
from ottla.wire.frames import encode_request

Tell = Callable[..., None]
VERSIONS = (3, 5, 8, 9, 12, 13)


class RawConnection(asyncio.Protocol):
    """Keeps what it receives, undecoded."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.is_open = False
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False

    def send(self, data: bytes) -> None:
        self._transport.write(data)


class Requests:
    """A producer's requests, most of them plain, and what may go wrong with them."""

    def __init__(self, seed: int, topic_id: Any, now_ms: int) -> None:
        self._chance = random.Random(seed)
        self._topic_id = topic_id
        self._now_ms = now_ms
        self._version = self._chance.choice(VERSIONS)
        self._sequence = 0
        self._correlation_id = 0
        self._last = b""

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(60):
            yield self._next()

    def _next(self) -> bytes:
        chance = self._chance
        kind = chance.random()
        if self._last and kind < 0.05:
            return self._last
        if kind < 0.08:
            self._version = chance.choice(VERSIONS)
        self._correlation_id += 1
        self._last = self._request(self._batch())
        if kind > 0.85:
            return self._damaged(self._last)
        return self._last

    def _request(self, batch: bytes) -> bytes:
        chance = self._chance
        topic = TopicToProduce(
            name=chance.choice(("t", "t", "t", "t", "u", "unknown")),
            topic_id=self._topic_id,
            partition_data=[
                PartitionToProduce(index=chance.choice((0, 0, 0, 1, 7)), records=batch)
            ],
        )
        request = ProduceRequest(
            acks=chance.choice((-1, -1, -1, 1, 0, 2)) if chance.random() < 0.2 else -1,
            timeout_ms=10_000,
            topic_data=[topic],
        )
        return encode_request(
            request, self._version, correlation_id=self._correlation_id, client_id="producer"
        )

    def _batch(self) -> bytes:
        chance = self._chance
        count = chance.choice((1, 1, 3, 40))
        timestamp_ms = self._now_ms + chance.choice((0, 0, 0, 0, 0, 0, 10**10, -1 - self._now_ms))
        records = [
            Record(index, timestamp_ms, None, bytes(chance.choice((0, 10, 300))))
            for index in range(count)
        ]
        if chance.random() < 0.5:
            return encode_batch(records)
        if chance.random() < 0.1:
            return encode_batch(records, codec=Codec.GZIP)
        sequence = self._sequence + (chance.random() < 0.1)
        self._sequence = sequence + count
        return encode_batch(records, producer_id=3, producer_epoch=0, base_sequence=sequence)

    def _damaged(self, frame: bytes) -> bytes:
        """The frame with a wrong byte, or shorter or longer; its length prefix is right."""
        chance = self._chance
        body = bytearray(frame[4:])
        match chance.randrange(4):
            case 0:
                del body[chance.randrange(len(body)) :]
            case 1:
                body += bytes(chance.choice((1, 3)))
            case 2:
                body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
            case 3:
                body[chance.randrange(min(len(body), 60))] = chance.randrange(256)
        return len(body).to_bytes(4, "big") + body


def transcript(
    tell: Tell, patch: pytest.MonkeyPatch, seed: int, policy: str, *, is_short: bool
) -> tuple[list[Any], int]:
    """Send a seed's requests; returns all that can be seen of it, and how many went the short way.

    ``is_short`` false: all go the long way.
    """
    seen: list[Any] = []
    short = 0
    answer = RepeatedProduces.answer

    def counted(self: RepeatedProduces, session: Any, frame: memoryview) -> Any:
        nonlocal short
        outcome = answer(self, session, frame) if is_short else None
        short += outcome is not None
        return outcome

    async def story(broker: Any, client: Any) -> None:
        for name in ("t", "u"):
            await broker.create_topic(client, name, partitions=2)
        partitions = [broker.node.partitions.get(name, index) for name in "tu" for index in (0, 1)]
        net, address = broker.network.host("producer"), broker.node.addresses["PLAINTEXT"]
        connection = RawConnection()
        for data in Requests(seed, partitions[0].topic_id, broker.node.clock.wall_ms()):
            if not connection.is_open:
                connection = RawConnection()
                await net.connect(lambda made=connection: made, address)
            connection.send(data)
            await asyncio.sleep(1)
            seen.append((bytes(connection.received), connection.is_open))
            connection.received.clear()
        for partition in partitions:
            log = partition.log
            found = log.read(0, 1 << 20, end_offset=log.log_end_offset)
            producers = [(each.producer_id, each.batches) for each in log.producers]
            seen.append((partition.high_watermark, found.read(), producers))

    with patch.context() as patched:
        patched.setattr(RepeatedProduces, "answer", counted)
        tell(story, settings={"log.flush.policy": policy})
    return seen, short


@pytest.mark.parametrize("policy", ["os", "group"])
def test_both_ways_answer_and_write_the_same_bytes(
    tell: Tell, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    short = 0
    for seed in range(20):
        by_short, count = transcript(tell, monkeypatch, seed, policy, is_short=True)
        by_long, _ = transcript(tell, monkeypatch, seed, policy, is_short=False)
        assert by_short == by_long
        short += count
    assert short > 100


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each request since the first: whether it went the short way."""
    ways: list[bool] = []
    answer = RepeatedProduces.answer

    def noted(self: RepeatedProduces, session: Any, frame: memoryview) -> Any:
        outcome = answer(self, session, frame)
        ways.append(outcome is not None)
        return outcome

    monkeypatch.setattr(RepeatedProduces, "answer", noted)
    return ways


def test_the_second_request_goes_the_short_way(tell: Tell, short: list[bool]) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t", partitions=2)
        for partition in (0, 1, 0, 1, 0):
            produced = await broker.produce(client, "t", b"v", partition)
            assert produced.error_code == 0
        assert produced.base_offset == 2

    tell(story)
    assert short == [False, True, True, True]


def test_a_disk_that_fails_to_sync_is_told(tell: Tell, short: list[bool]) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        await broker.produce(client, "t", b"v")

        def fail(operation: str, path: str) -> None:
            if operation == "sync":
                raise OSError(5, "broken", path)

        broker.disk.on_operation = fail
        produced = await asyncio.wait_for(broker.produce(client, "t", b"v"), 5)
        assert produced.error_code == ErrorCode.KAFKA_STORAGE_ERROR

    tell(story)
    assert short == [True]


def test_a_disk_that_fails_to_write_is_told_by_the_long_way(tell: Tell, short: list[bool]) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        await broker.produce(client, "t", b"v")

        def fail(operation: str, path: str) -> None:
            raise OSError(28, "full", path)

        broker.disk.on_operation = fail
        produced = await asyncio.wait_for(broker.produce(client, "t", b"v"), 5)
        assert produced.error_code == ErrorCode.KAFKA_STORAGE_ERROR
        assert broker.node.partitions.get("t", 0).is_offline

    tell(story)
    assert short == [False]


def test_a_request_whose_time_is_up_is_answered_once(tell: Tell, short: list[bool]) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        await broker.produce(client, "t", b"v")
        commit = broker.node._commit
        begin_round = commit._begin_round
        commit._begin_round = lambda: None
        late = await asyncio.wait_for(broker.produce(client, "t", b"v"), 11)
        assert late.error_code == ErrorCode.REQUEST_TIMED_OUT
        begin_round()
        commit._begin_round = begin_round
        produced = await asyncio.wait_for(broker.produce(client, "t", b"v"), 5)
        assert (produced.error_code, produced.base_offset) == (0, 2)

    tell(story)
    assert short == [True, True]


def test_what_was_learned_ends_with_the_topic(tell: Tell, short: list[bool]) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        await broker.produce(client, "t", b"v")
        await client.ask(DeleteTopicsRequest(topic_names=["t"], timeout_ms=1000), 5)
        produced = await broker.produce(client, "t", b"v")
        assert produced.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        await broker.create_topic(client, "t")
        produced = await broker.produce(client, "t", b"v")
        assert (produced.error_code, produced.base_offset) == (0, 0)

    tell(story)
    assert not any(short)


def test_what_was_learned_ends_with_the_settings(tell: Tell, short: list[bool]) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        await broker.produce(client, "t", b"v")
        partition = broker.node.partitions.get("t", 0)
        partition.reconfigure(partition.settings._replace(codec=Codec.GZIP))
        for _ in range(2):
            await broker.produce(client, "t", b"v")
        found = partition.log.read(1, 1 << 20, end_offset=3).read()
        assert read_header(found).codec is Codec.GZIP

    tell(story)
    assert not any(short)


def test_a_batch_that_is_too_large_is_refused_as_ever(tell: Tell, short: list[bool]) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        partition = broker.node.partitions.get("t", 0)
        settings = partition.settings
        log = settings.log._replace(max_message_bytes=500)
        partition.reconfigure(settings._replace(log=log))
        await broker.produce(client, "t", b"v")
        produced = await broker.produce(client, "t", bytes(600))
        assert produced.error_code == ErrorCode.MESSAGE_TOO_LARGE
        assert (await broker.produce(client, "t", b"v")).base_offset == 1

    tell(story)
    assert short == [False, True]


def test_a_connection_that_has_gone_is_not_answered(tell: Tell, short: list[bool]) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        await broker.produce(client, "t", b"v")
        lost = broker.send(client, "t", b"v")
        await asyncio.sleep(0)
        client.close()
        with pytest.raises(ConnectionError):
            await lost
        other = await broker.connect()
        produced = await asyncio.wait_for(broker.produce(other, "t", b"v"), 5)
        assert produced.error_code == 0

    tell(story)
