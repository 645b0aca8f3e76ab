"""Every test of the data path runs on both twins."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest


class ManualClock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now_ms = 1_000

    def wall_ms(self) -> int:
        return 1_700_000_000_000 + self.now_ms

    def monotonic(self) -> float:
        return self.now_ms / 1000


@pytest.fixture(params=["_native", "_reference"])
def twin(request: pytest.FixtureRequest) -> ModuleType:
    """The data path under test."""
    try:
        return importlib.import_module(f"ottla.client.{request.param}")
    except ImportError:
        pytest.skip("the native accelerator isn't built")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
