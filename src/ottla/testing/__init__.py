"""For tests: an embedded broker, the pytest plugin, simulated ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ottla.testing.broker import Broker

__all__ = ["Broker"]


# The pytest plugin below this package is imported by every pytest run: nothing heavy before use.
def __getattr__(name: str) -> object:
    if name == "Broker":
        from ottla.testing.broker import Broker

        return Broker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
