"""A whole broker in virtual time: the same seed, the same bytes at the same instants."""

from __future__ import annotations

import asyncio

from ottla.broker.configuration import configuration_of
from ottla.broker.node import BrokerNode
from ottla.metadata.store.sqlite import IN_MEMORY, SqliteMetadataStore
from ottla.ports.entropy import SeededEntropy
from ottla.ports.net import Address
from ottla.testing.memory_disk import MemoryDisk
from ottla.testing.simulation.loop import SimulationLoop, run_simulation
from ottla.testing.simulation.net import SimulatedNetwork
from ottla.testing.simulation.worker import SimulatedWorker
from ottla.wire.api.k03_metadata import MetadataRequest, TopicToDescribe
from ottla.wire.declare import Message
from ottla.wire.frames import encode_request

Trace = list[tuple[str, float, bytes]]


class Client(asyncio.Protocol):
    """Asks its questions and notes every byte of the answers."""

    def __init__(self, name: str, trace: Trace, questions: list[Message]) -> None:
        self.name = name
        self.trace = trace
        self.questions = questions

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        for number, question in enumerate(self.questions):
            frame = encode_request(question, 1, correlation_id=number, client_id=self.name)
            transport.write(frame)

    def data_received(self, data: bytes) -> None:
        self.trace.append((self.name, asyncio.get_running_loop().time(), data))


async def dial(network: SimulatedNetwork, client: Client) -> None:
    await network.host(client.name).connect(lambda: client, Address("broker", 9092))


def run_broker(seed: int) -> Trace:
    trace: Trace = []

    async def main(loop: SimulationLoop) -> None:
        network = SimulatedNetwork(loop)
        settings = {"listeners": "PLAINTEXT://:9092", "log.dirs": "/data"}
        node = BrokerNode(
            configuration_of(settings, origin="test"),
            clock=loop.clock,
            disk=MemoryDisk(loop.clock),
            net=network.host("broker"),
            entropy=SeededEntropy(seed),
            store=SqliteMetadataStore(IN_MEMORY),
            new_worker=SimulatedWorker,
        )
        await node.start()
        for number in range(3):
            questions: list[Message] = [
                MetadataRequest(topics=[TopicToDescribe(name=f"topic-{number}-{each}")])
                for each in range(5)
            ]
            client = Client(f"client-{number}", trace, questions)
            await dial(network, client)
        await asyncio.sleep(60)
        await node.stop()

    run_simulation(main, seed=seed)
    return trace


def test_the_same_seed_gives_the_same_bytes_at_the_same_instants() -> None:
    first, again, other = run_broker(1), run_broker(1), run_broker(2)
    assert first == again
    assert first != other


def test_every_question_is_answered_whatever_the_seed() -> None:
    for seed in range(5):
        received: dict[str, bytes] = {}
        for name, _, data in run_broker(seed):
            received[name] = received.get(name, b"") + data
        assert len(received) == 3
        for name, data in received.items():
            number = name.removeprefix("client-")
            assert [data.count(f"topic-{number}-{each}".encode()) for each in range(5)] == [1] * 5
