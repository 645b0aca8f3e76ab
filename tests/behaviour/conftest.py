"""Behaviour: Ottla's client beside confluent_kafka, and on its own where it goes further.

A test with the argument ``run`` is a script: it is run once with each library, and passes when the
histories are equal. ``--candidate=confluent_kafka`` puts confluent_kafka on both sides, which shows
whether the scripts themselves are deterministic.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest

from ottla.testing.side_by_side import Library, Script, differences, library

HERE = pathlib.Path(__file__).parent
Comparison = Callable[[Script], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--candidate",
        default="ottla",
        help="the library whose histories are compared with confluent_kafka's",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if HERE not in pyfuncitem.path.parents or "run" not in pyfuncitem.fixturenames:
        return None
    script = pyfuncitem.obj
    arguments = {
        name: pyfuncitem.funcargs[name]
        for name in script.__code__.co_varnames[: script.__code__.co_argcount]
    }
    compare = arguments.pop("run")
    compare(lambda run: script(run=run, **arguments))
    return True


@pytest.fixture(scope="session")
def libraries(request: pytest.FixtureRequest) -> list[Library]:
    """The two that are compared: confluent_kafka first."""
    candidate = str(request.config.getoption("candidate", default="ottla"))
    return [library("confluent_kafka"), library(candidate)]


@pytest.fixture
def run(libraries: list[Library], bootstrap: str) -> Comparison:
    """In a script: one run of it. Here: what compares its histories."""

    def compare(script: Script) -> None:
        found = differences(script, libraries, bootstrap)
        assert not found, f"\n{found}"

    return compare
