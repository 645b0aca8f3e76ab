"""The short way of a repeated fetch answers what the long way does, byte for byte."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from ottla.broker.repeated_fetch import RepeatedFetch
from ottla.wire.api.k01_fetch import FetchRequest, ForgottenTopic, PartitionToFetch, TopicToFetch
from ottla.wire.api.k20_delete_topics import DeleteTopicsRequest
from ottla.wire.frames import encode_request

Tell = Callable[..., None]
VERSIONS = (7, 11, 12, 13, 15, 17)
SESSIONLESS, NEW_SESSION = -1, 0


class RawConnection(asyncio.Protocol):
    """Keeps what it receives, undecoded."""

    def __init__(self) -> None:
        self.received = bytearray()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data

    def send(self, data: bytes) -> None:
        self._transport.write(data)


class Requests:
    """A consumer's requests; most ask what the last one asked."""

    def __init__(self, seed: int, topic_id: Any) -> None:
        self._chance = random.Random(seed)
        self._topic_id = topic_id
        self._version = self._chance.choice(VERSIONS)
        self._request = FetchRequest(max_wait_ms=0, min_bytes=1, topics=[])
        self._correlation_id = 0

    def next(self, session_id: int) -> bytes:
        """Args:
        session_id: which the last answer began.
        """
        chance = self._chance
        if chance.random() < 0.1:
            self._version = chance.choice(VERSIONS)
        if not self._correlation_id or chance.random() < 0.3:
            self._request = self._other(session_id)
        elif self._request.session_epoch > NEW_SESSION:
            self._request.session_epoch += 1
        self._correlation_id += 1
        return encode_request(
            self._request, self._version, correlation_id=self._correlation_id, client_id="consumer"
        )

    def _other(self, session_id: int) -> FetchRequest:
        chance = self._chance
        epoch = chance.choice((SESSIONLESS, SESSIONLESS, NEW_SESSION, 1, 2))
        wanted = [
            PartitionToFetch(
                partition=chance.choice((0, 0, 1, 7)),
                fetch_offset=chance.choice((0, 1, 2, 3, 99)),
                partition_max_bytes=1 << 20,
            )
            for _ in range(chance.choice((0, 1, 2)))
        ]
        topic = TopicToFetch(topic="t", topic_id=self._topic_id, partitions=wanted)
        forgotten = ForgottenTopic(topic="t", topic_id=self._topic_id, partitions=[1])
        return FetchRequest(
            max_wait_ms=chance.choice((0, 0, 200)),
            min_bytes=1,
            isolation_level=chance.choice((0, 1)),
            session_id=session_id if epoch > NEW_SESSION else 0,
            session_epoch=epoch,
            topics=[topic] if wanted else [],
            forgotten_topics_data=[forgotten] if chance.random() < 0.1 else [],
        )


def transcript(
    tell: Tell, patch: pytest.MonkeyPatch, seed: int, *, is_short: bool
) -> tuple[list[bytes], int]:
    """Send a seed's requests while records come; returns the answers, and how many requests went
    the short way."""
    seen: list[bytes] = []
    short = 0
    recall = RepeatedFetch.recall

    def counted(self: RepeatedFetch, frame: memoryview, version: int) -> Any:
        nonlocal short
        found = recall(self, frame, version) if is_short else None
        short += found is not None
        return found

    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t", partitions=2)
        topic_id = broker.node.partitions.get("t", 0).topic_id
        net, address = broker.network.host("consumer"), broker.node.addresses["PLAINTEXT"]
        connection = RawConnection()
        await net.connect(lambda: connection, address)
        chance, requests, sessions = random.Random(seed), Requests(seed, topic_id), [0]
        for number in range(80):
            if number == 70:
                names = DeleteTopicsRequest(topic_names=["t"], timeout_ms=1000)
                await client.ask(names, 3)
            elif number < 70 and chance.random() < 0.3:
                await broker.produce(client, "t", b"v", chance.choice((0, 1)))
            connection.send(requests.next(sessions[-1]))
            await asyncio.sleep(1)
            seen.append(bytes(connection.received))
            connection.received.clear()
            sessions += [each.id for each in broker.node.fetch_sessions]

    with patch.context() as patched:
        patched.setattr(RepeatedFetch, "recall", counted)
        tell(story)
    return seen, short


def test_both_ways_answer_the_same_bytes(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    short = 0
    for seed in range(15):
        by_short, count = transcript(tell, monkeypatch, seed, is_short=True)
        by_long, _ = transcript(tell, monkeypatch, seed, is_short=False)
        assert by_short == by_long
        assert all(by_short)
        short += count
    assert short > 250
