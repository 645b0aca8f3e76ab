"""What brokers can do: versions of APIs, and levels of features (KIP-584)."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class EndpointType(Enum):
    """Which nodes ``describe_cluster`` is asked about."""

    BROKER = 1
    CONTROLLER = 2


class UpgradeType(Enum):
    """Which changes of a feature's level are allowed: up, down without loss, down in any case."""

    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


class LevelRange(NamedTuple):
    """The levels of a feature from the lowest to the highest."""

    min_level: int
    max_level: int


class FeatureUpdate(NamedTuple):
    """A feature's new level for ``update_features``; 0 disables the feature."""

    max_level: int
    upgrade_type: UpgradeType = UpgradeType.UPGRADE


class FeatureMetadata(NamedTuple):
    """What ``describe_features`` answers.

    Attributes:
        finalized: the levels that the cluster agreed on.
        finalized_epoch: counts changes of them, None if there are none yet.
        supported: the levels that the broker asked could run at.
    """

    finalized: dict[str, LevelRange]
    finalized_epoch: int | None
    supported: dict[str, LevelRange]


class ApiVersionRange(NamedTuple):
    """An API that a broker offers, from its oldest to its newest version.

    Attributes:
        api_key: its key.
        name: its name, None for an API that this client does not know.
        min_version: the oldest version that the broker offers.
        max_version: the newest.
    """

    api_key: int
    name: str | None
    min_version: int
    max_version: int
