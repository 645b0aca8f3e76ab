"""UpdateFeatures (key 57): finalize the levels of features (KIP-584).

Version 1 can check without changing anything, and names the kind of downgrade (KIP-778); 2 answers
for all features at once.
"""

from __future__ import annotations

from ottla.wire.declare import Array, Bool, Int8, Int16, Int32, Message, String, at, message, struct


@struct
class FeatureUpdate:
    """One feature's new level."""

    feature: String
    max_version_level: Int16  # below 1: delete the feature
    allow_downgrade: Bool = at("0", default=False)
    upgrade_type: Int8 = at("1+", default=1)  # 1: upgrade, 2: safe, 3: unsafe downgrade


@message(key=57, versions="0-2", flexible=0)
class UpdateFeaturesRequest(Message):
    """The features and their new levels."""

    timeout_ms: Int32 = at(default=60000)
    feature_updates: Array[FeatureUpdate]
    validate_only: Bool = at("1+", default=False)


@struct
class UpdatedFeature:
    """What became of one feature."""

    feature: String
    error_code: Int16
    error_message: String | None


@message(key=57, versions="0-2", flexible=0)
class UpdateFeaturesResponse(Message):
    """Whether the levels hold now."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None
    results: Array[UpdatedFeature] = at("0-1", default=list, ignorable=True)
