"""An engine of the client among scripted brokers, in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ottla.client.configuration.build import configure_admin
from ottla.client.core.targets import ANY
from ottla.client.engine.engine import Engine
from ottla.client.errors import KafkaError, KafkaException
from ottla.ports.entropy import SeededEntropy
from ottla.ports.net import Address
from ottla.testing.simulation.loop import SimulationLoop, run_simulation
from ottla.testing.simulation.net import SimulatedNetwork
from ottla.testing.simulation.scripted_broker import ScriptedBroker
from ottla.wire.api.k16_list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse

ADDRESS = Address("kafka", 9092)


class World:
    """A network with brokers on it and an engine among them."""

    def __init__(self, loop: SimulationLoop) -> None:
        self.loop = loop
        self.network = SimulatedNetwork(loop)
        self.errors: list[KafkaError] = []
        self.engines: list[Engine] = []

    async def broker(self, address: Address = ADDRESS, broker_id: int = 1) -> ScriptedBroker:
        broker = ScriptedBroker(self.network.host(address.host), address, broker_id)
        await broker.start()
        return broker

    def engine(self, servers: str = "kafka:9092", **settings: Any) -> Engine:
        conf: dict[str, Any] = {
            "bootstrap.servers": servers,
            "error_cb": self.errors.append,
            **{name.replace("_", "."): value for name, value in settings.items()
               if not name.endswith("_cb")},
            **{name: value for name, value in settings.items() if name.endswith("_cb")},
        }  # fmt: skip
        engine = Engine(
            configure_admin((conf,), {}),
            "admin",
            net=self.network.host("client"),
            clock=self.loop.clock,
            entropy=SeededEntropy(1),
        )
        self.engines.append(engine)
        engine.start()
        return engine


def simulated(test: Callable[[World], Awaitable[None]]) -> Callable[[int], None]:
    """A test that is played in virtual time, for several seeds."""

    @pytest.mark.parametrize("seed", range(5))
    def play(seed: int) -> None:
        async def main(loop: SimulationLoop) -> None:
            world = World(loop)
            try:
                await test(world)
            finally:
                for engine in world.engines:
                    await engine.close()

        run_simulation(main, seed=seed)

    play.__doc__ = test.__doc__
    return play


def groups(*names: str, throttle_time_ms: int = 0) -> ListGroupsResponse:
    listed = [ListedGroup(group_id=name, protocol_type="consumer") for name in names]
    return ListGroupsResponse(error_code=0, groups=listed, throttle_time_ms=throttle_time_ms)


async def list_groups(engine: Engine, target: Any = ANY, **options: Any) -> list[str]:
    answer = await engine.ask(target, ListGroupsRequest(), ListGroupsResponse, **options)
    return [each.group_id for each in answer.groups]


async def failure(waiting: Awaitable[Any]) -> KafkaError:
    with pytest.raises(KafkaException) as raised:
        await waiting
    error = raised.value.args[0]
    assert isinstance(error, KafkaError)
    return error
