"""Who takes part in a scenario: names of clients, and what makes each of their incarnations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from ottla.testing.history import Isolation
from ottla.testing.simulation.clients.classic_member import ClassicMember
from ottla.testing.simulation.clients.consumer import GroupConsumer
from ottla.testing.simulation.clients.consumer_member import ConsumerMember
from ottla.testing.simulation.clients.copier import Copier
from ottla.testing.simulation.clients.membership import Membership
from ottla.testing.simulation.clients.producer import IdempotentProducer
from ottla.testing.simulation.clients.reader import Reader
from ottla.testing.simulation.clients.writer import Writer
from ottla.testing.simulation.scenario import SOURCE, TARGET, Scenario
from ottla.testing.simulation.world import Client

Main = Callable[[Client], Awaitable[None]]
MakeMain = Callable[[], Main]

_KEYS = 8


def cast_of(scenario: Scenario) -> Iterator[tuple[str, MakeMain]]:
    """Everybody who is there from the start."""
    for number in range(scenario.producers):
        yield f"producer-{number}", _producer(scenario)
    if scenario.compacted:
        yield "keyed-producer", _keyed_producer(scenario)
    if scenario.expiring:
        yield "expiring-producer", _expiring_producer(scenario)
    for number in range(scenario.writers):
        yield f"writer-{number}", _writer(scenario, number)
    for number in range(scenario.classic_consumers):
        yield f"classic-{number}", _consumer(scenario, number, is_classic=True)
    for number in range(scenario.consumers):
        yield f"consumer-{number}", _consumer(scenario, number, is_classic=False)
    for number in range(scenario.copiers):
        yield f"copier-{number}", _copier(scenario, number)
    for isolation in Isolation:
        yield f"reader-{isolation.value}", _reader(scenario, isolation)


def _producer(scenario: Scenario) -> MakeMain:
    return lambda: IdempotentProducer(scenario.sources, scenario.chaos_s).run


def _keyed_producer(scenario: Scenario) -> MakeMain:
    return lambda: IdempotentProducer(scenario.compacted, scenario.chaos_s, keys=_KEYS).run


def _expiring_producer(scenario: Scenario) -> MakeMain:
    return lambda: IdempotentProducer(scenario.expiring, scenario.chaos_s).run


def _writer(scenario: Scenario, number: int) -> MakeMain:
    return lambda: (
        Writer(
            scenario.sources, f"writer-{number}", scenario.transaction_version, scenario.chaos_s
        ).run
    )


def _reader(scenario: Scenario, isolation: Isolation) -> MakeMain:
    return lambda: Reader(scenario.all_partitions, isolation).run


def _consumer(scenario: Scenario, number: int, *, is_classic: bool) -> MakeMain:
    instance_id = f"static-{number}" if number % 2 else None
    isolation = Isolation.READ_COMMITTED if is_classic else Isolation.READ_UNCOMMITTED

    def member(client: Client) -> Membership:
        if is_classic:
            return ClassicMember(client, "classic", scenario.sources, instance_id)
        return ConsumerMember(client, "consumer", [SOURCE], instance_id)

    return lambda: GroupConsumer(member, isolation).run


def _copier(scenario: Scenario, number: int) -> MakeMain:
    is_classic = scenario.copiers_protocol == "classic"
    if scenario.copiers_protocol == "mixed":
        is_classic = number % 2 == 0

    def member(client: Client) -> Membership:
        if is_classic:
            return ClassicMember(client, "copiers", scenario.sources, None)
        return ConsumerMember(client, "copiers", [SOURCE], None)

    version = scenario.transaction_version
    name = f"copier-{number}"
    return lambda: Copier(member, scenario.sources, TARGET, name, version).run
