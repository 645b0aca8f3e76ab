"""Faults: what a broker process survives. Every random choice comes from one printed seed.

Each test has a seed of its own, the same in every run; ``pytest tests/faults --seed=N`` gives all
of them another, ``--seed=fresh`` a new one each (threads still run as they like).
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Callable, Iterator
from random import Random

import pytest

from ottla.testing.process import BrokerProcess
from ottla.testing.raw_client import fixed_port

DEFAULT_KILLS = 4
_SECONDS_PER_KILL = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seed",
        default=None,
        help="the seed of the fault tests' random choices: a number, or 'fresh' for new ones",
    )
    parser.addoption(
        "--kills",
        type=int,
        default=DEFAULT_KILLS,
        help="how often each exactly-once copy is interrupted by kill -9",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    patience_seconds = 120 + _SECONDS_PER_KILL * int(config.getoption("kills", DEFAULT_KILLS))
    for item in items:
        if "kill_count" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(patience_seconds))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The test's seed; printed with a failure."""
    # Without a path on the command line this file is read too late for its option to be parsed.
    given = request.config.getoption("seed", default=None)
    if given is None:
        chosen = zlib.crc32(request.node.nodeid.encode())
    else:
        chosen = secrets.randbits(32) if given == "fresh" else int(given)
    print(f"--seed={chosen}")
    return chosen


@pytest.fixture
def kill_count(request: pytest.FixtureRequest) -> int:
    """How often something is killed in a test that lets one choose."""
    return int(request.config.getoption("kills", default=DEFAULT_KILLS))


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
