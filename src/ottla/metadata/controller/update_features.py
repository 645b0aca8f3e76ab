"""UpdateFeatures: other levels for features, all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from ottla.metadata.controller.decision import Decision
from ottla.metadata.features import FEATURES
from ottla.metadata.image import ClusterImage
from ottla.metadata.records import FeatureChanged
from ottla.wire.errors import ErrorCode, ProtocolError


class UpgradeType(IntEnum):
    """What whoever asks is ready for, numbered as in the protocol (KIP-778)."""

    UPGRADE = 1
    # Without, or with, the loss of what only the higher level can express.
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


class FeatureLevel(NamedTuple):
    """A level asked for; ``upgrade_type`` is the number from the request."""

    feature: str
    level: int
    upgrade_type: int


def decide_update_features(
    image: ClusterImage, updates: Sequence[FeatureLevel], *, validate_only: bool = False
) -> Decision[None]:
    """Finalize other levels.

    No level of a feature Ottla has holds anything that a lower one could not, so that a safe
    downgrade is always possible and an unsafe one does the same.

    Raises:
        ProtocolError: INVALID_UPDATE_VERSION, if one of them can't be.
    """
    records = []
    for update in updates:
        reason = _refusal(image, update)
        if reason is not None:
            raise ProtocolError(
                ErrorCode.INVALID_UPDATE_VERSION,
                f"Invalid update version {update.level} for feature {update.feature}. {reason}",
            )
        if update.level != (image.features.get(update.feature) or 0):
            records.append(FeatureChanged(update.feature, update.level))
    return Decision(() if validate_only else tuple(records), None)


def _refusal(image: ClusterImage, update: FeatureLevel) -> str | None:
    """Why a feature can't have a level; ``None`` if it can."""
    name, level, upgrade_type = update
    if upgrade_type not in list(UpgradeType):
        return "The controller does not support the given upgrade type."
    if level < 0:
        return "A feature version cannot be less than 0."
    feature = FEATURES.get(name)
    if feature is None:
        return "This cluster does not know the feature."
    if not feature.min_level <= level <= feature.max_level:
        return f"Local controller only supports versions {feature.min_level}-{feature.max_level}"
    current = feature.level(image)
    is_upgrade = upgrade_type == UpgradeType.UPGRADE
    if level < current and is_upgrade:
        return (
            "Can't downgrade the version of this feature without setting the upgrade type to "
            "either safe or unsafe downgrade."
        )
    if level > current and not is_upgrade:
        return "Can't downgrade to a newer version."
    return None
