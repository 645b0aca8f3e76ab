"""What one seed means: which clients there are, what befalls them, and how long it goes on."""

from __future__ import annotations

import random
from typing import NamedTuple

SOURCE = "source"
TARGET = "target"
COMPACTED = "compacted"
EXPIRING = "expiring"

# Often, so that crashes also hit segments being rolled and checkpoints being written.
BROKER_SETTINGS = {
    "listeners": "PLAINTEXT://:9092",
    "log.dirs": "/data",
    "log.roll.ms": "400",
    "log.flush.offset.checkpoint.interval.ms": "300",
    "log.retention.check.interval.ms": "500",
    "log.cleaner.backoff.ms": "300",
    "offsets.topic.num.partitions": "2",
    "transaction.state.log.num.partitions": "2",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
    "group.min.session.timeout.ms": "500",
    "group.initial.rebalance.delay.ms": "50",
    "group.consumer.min.session.timeout.ms": "500",
    "group.consumer.session.timeout.ms": "1500",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "300",
}

TOPIC_SETTINGS = {
    COMPACTED: {
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "0.01",
        "delete.retention.ms": "500",
    },
    EXPIRING: {"retention.ms": "1200", "file.delete.delay.ms": "200"},
}


class Scenario(NamedTuple):
    """Drawn from the seed alone."""

    seed: int
    partitions: int
    chaos_s: float
    producers: int
    classic_consumers: int
    consumers: int
    """Members of a KIP-848 group."""
    copiers: int
    copiers_protocol: str
    """``classic``, ``consumer``, or ``mixed``: both in one group, which is upgraded online."""
    transaction_version: int
    writers: int
    """Transactional producers that only write."""
    has_compaction: bool
    has_retention: bool
    power_cuts: int
    kills: int
    clean_stops: int
    client_kills: int
    partitions_of_network: int
    slow_disk_episodes: int

    @property
    def sources(self) -> list[str]:
        return self._names(SOURCE)

    @property
    def targets(self) -> list[str]:
        return self._names(TARGET)

    @property
    def compacted(self) -> list[str]:
        return self._names(COMPACTED) if self.has_compaction else []

    @property
    def expiring(self) -> list[str]:
        return self._names(EXPIRING) if self.has_retention else []

    def _names(self, topic: str) -> list[str]:
        return [f"{topic}-{index}" for index in range(self.partitions)]

    @property
    def all_partitions(self) -> list[str]:
        return [*self.sources, *self.targets, *self.compacted, *self.expiring]

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {value}" for name, value in self._asdict().items() if value and name != "seed"
        )


def draw_scenario(seed: int) -> Scenario:
    """The scenario of a seed."""
    rng = random.Random(f"scenario {seed}")  # noqa: S311 - reproducibility is the point
    has_copies = rng.random() < 0.7
    has_groups = not has_copies or rng.random() < 0.4
    return Scenario(
        seed=seed,
        partitions=rng.choice((1, 2, 2, 3)),
        chaos_s=rng.uniform(3.0, 7.0),
        producers=rng.choice((1, 1, 2)),
        classic_consumers=rng.randint(1, 3) if has_groups and rng.random() < 0.7 else 0,
        consumers=rng.randint(1, 3) if has_groups and rng.random() < 0.6 else 0,
        copiers=rng.choice((1, 2, 2)) if has_copies else 0,
        copiers_protocol=rng.choice(("classic", "classic", "consumer", "consumer", "mixed")),
        transaction_version=rng.choice((1, 2)),
        writers=rng.choice((0, 1)),
        has_compaction=rng.random() < 0.3,
        has_retention=rng.random() < 0.2,
        power_cuts=rng.choice((0, 1, 1, 2)),
        kills=rng.choice((0, 0, 1)),
        clean_stops=rng.choice((0, 0, 0, 1)),
        client_kills=rng.choice((0, 1, 2)),
        partitions_of_network=rng.choice((0, 0, 1, 2)),
        slow_disk_episodes=rng.choice((0, 0, 1)),
    )
