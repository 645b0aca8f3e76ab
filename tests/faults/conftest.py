"""Faults: what a broker process survives. Every random choice comes from one printed seed.

``pytest tests/faults --seed=N`` chooses the same again (threads still run as they like).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from random import Random

import pytest

from ottla.testing.process import BrokerProcess
from ottla.testing.raw_client import fixed_port


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seed",
        type=int,
        default=None,
        help="the seed of the fault tests' random choices; a fresh one unless given",
    )


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The test's seed; printed with a failure."""
    # Without a path on the command line this file is read too late for its option to be parsed.
    given = request.config.getoption("seed", default=None)
    chosen: int = secrets.randbits(32) if given is None else given
    print(f"--seed={chosen}")
    return chosen


@pytest.fixture
def random(seed: int) -> Random:
    """Where the test's random choices come from."""
    return Random(seed)


@pytest.fixture
def make_broker(random: Random) -> Iterator[Callable[..., BrokerProcess]]:
    """Makes a broker process that keeps its port; arguments as ``BrokerProcess`` has them."""
    made: list[BrokerProcess] = []

    def make(*arguments: object, **keywords: object) -> BrokerProcess:
        broker = BrokerProcess(*arguments, **keywords)
        broker.port = fixed_port(random)
        made.append(broker)
        broker.start()
        return broker

    yield make
    for broker in made:
        broker.close()
