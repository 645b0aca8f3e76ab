"""Rows of the table: samples of each contestant, their median, and whether the aim is met."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Better(Enum):
    """Which way a figure is better."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True)
class Samples:
    """What one contestant showed, time after time."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Samples:
        return cls(tuple(values))

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread_percent(self) -> float:
        """Half the distance between the extremes, in percent of the median."""
        if not self.median:
            return 0.0
        return (max(self.values) - min(self.values)) / 2 / abs(self.median) * 100


@dataclass(frozen=True)
class Aim:
    """What Ottla's figure, or its ratio to Kafka's, should be at least or at most."""

    text: str
    is_met: bool


@dataclass
class Row:
    """One line of the table.

    ``kafka`` runs on the same core as Ottla, ``kafka_all_cores`` wherever it likes; the ratio is to
    the better of the two, or to the best of the libraries.
    """

    section: str
    name: str
    unit: str
    ottla: Samples | None = None
    kafka: Samples | None = None
    kafka_all_cores: Samples | None = None
    limit: Samples | None = None
    """What the machine can do, in rows about the machine."""
    libraries: Mapping[str, Samples] = field(default_factory=dict)
    """Other client libraries, in rows about Ottla's client; then there is no Kafka in the row."""
    better: Better = Better.HIGHER
    aim: Aim | None = None
    note: str = ""
    has_peer_aim: bool = field(default=True)
    """Whether Ottla should be ahead of Kafka, unless another aim is given."""

    def __post_init__(self) -> None:
        if self.aim is None and self.has_peer_aim and self.ratio is not None:
            self.aim = Aim("ahead", self.ratio >= 1)

    @property
    def best_peer(self) -> Samples | None:
        """The best of the others."""
        kafkas = (self.kafka, self.kafka_all_cores, *self.libraries.values())
        found = [each for each in kafkas if each is not None]
        if not found:
            return None
        choose = max if self.better is Better.HIGHER else min
        return choose(found, key=lambda each: each.median)

    @property
    def ratio(self) -> float | None:
        """How many times better Ottla is than the best of the others; below 1 it is worse."""
        peer = self.best_peer
        if self.ottla is None or peer is None or not self.ottla.median or not peer.median:
            return None
        ratio = self.ottla.median / peer.median
        return ratio if self.better is Better.HIGHER else 1 / ratio


def at_least(value: float, limit: float, unit: str = "") -> Aim:
    """An aim that is met from ``limit`` on."""
    return Aim(f">= {limit:g}{unit}", value >= limit)


def at_most(value: float, limit: float, unit: str = "") -> Aim:
    """An aim that is met up to ``limit``."""
    return Aim(f"<= {limit:g}{unit}", value <= limit)


def percent_of(values: Samples | None, limit: Samples) -> Samples | None:
    """Samples in percent of a limit's median."""
    if values is None:
        return None
    return Samples.of([value / limit.median * 100 for value in values.values])
