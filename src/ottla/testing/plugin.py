"""Pytest fixtures: ``ottla_broker`` (one for the session) and ``ottla_topic`` (one per test).

Installed with Ottla and loaded by every pytest run, so nothing but pytest is imported here; a run
without these fixtures pays for this file alone. ``-p no:ottla`` leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ottla.testing.broker import Broker


@pytest.fixture(scope="session")
def ottla_broker() -> Iterator[Broker]:
    """A broker in this process, its log in memory, shared by the session's tests.

    With pytest-xdist each worker process has its own.
    """
    from ottla.testing.broker import Broker

    with Broker() as broker:
        yield broker


@pytest.fixture
def ottla_topic(ottla_broker: Broker, request: pytest.FixtureRequest) -> str:
    """The name of a fresh topic with one partition, which no other test uses."""
    return ottla_broker.create_unique_topic(request.node.name)
