"""UpdateFeatures: finalize other levels of features."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ottla.metadata.controller.update_features import (
    FeatureLevel,
    UpgradeType,
    decide_update_features,
)
from ottla.wire.api.k57_update_features import (
    FeatureUpdate,
    UpdatedFeature,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

_FIRST_VERSION_WITH_UPGRADE_TYPE = 1


async def handle(context: RequestContext, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse:
    updates = [_level(update, context.version) for update in request.feature_updates]
    code, message = ErrorCode.NONE, None
    try:
        await context.broker.cluster.submit(
            partial(decide_update_features, updates=updates, validate_only=request.validate_only)
        )
    except ProtocolError as error:
        code = error.code
        message = (
            f"The update failed for all features since the following feature had an error: {error}"
        )
    return UpdateFeaturesResponse(
        error_code=code,
        error_message=message,
        results=[
            UpdatedFeature(feature=update.feature, error_code=code, error_message=message)
            for update in updates
        ],
    )


def _level(update: FeatureUpdate, version: int) -> FeatureLevel:
    upgrade_type = update.upgrade_type
    if version < _FIRST_VERSION_WITH_UPGRADE_TYPE:
        upgrade_type = UpgradeType.SAFE_DOWNGRADE if update.allow_downgrade else UpgradeType.UPGRADE
    return FeatureLevel(update.feature, update.max_version_level, upgrade_type)
