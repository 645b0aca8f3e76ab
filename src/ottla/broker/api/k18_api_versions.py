"""ApiVersions: which requests this broker answers, in which versions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ottla.broker.api import ADVERTISED
from ottla.metadata.features import FEATURES
from ottla.wire.api.k18_api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeature,
    SupportedFeature,
)
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

IS_FUNCTION_OF_IMAGE = True

_FIRST_VERSION_WITH_SOFTWARE = 3
# Older clients take a feature that begins at level 0 for an error (KAFKA-17011).
_FIRST_VERSION_WITH_LEVEL_0 = 4
# KIP-511: what a client may call itself, since the names end up in metrics and logs.
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")
_MAX_SOFTWARE_LENGTH = 256


def handle(context: RequestContext, request: ApiVersionsRequest) -> ApiVersionsResponse:
    if context.version >= _FIRST_VERSION_WITH_SOFTWARE:
        for text in (request.client_software_name, request.client_software_version):
            if len(text) > _MAX_SOFTWARE_LENGTH or not _SOFTWARE.fullmatch(text):
                return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST, api_keys=[])
    return _response(context, ErrorCode.NONE)


def unsupported_version(context: RequestContext) -> ApiVersionsResponse:
    """The answer to a version of ApiVersions itself that this broker does not know."""
    return _response(context, ErrorCode.UNSUPPORTED_VERSION)


def _response(context: RequestContext, code: ErrorCode) -> ApiVersionsResponse:
    features = context.broker.cluster.image.features
    return ApiVersionsResponse(
        error_code=code,
        api_keys=[
            ApiVersion(api_key=key, min_version=oldest, max_version=newest)
            for key, (oldest, newest) in ADVERTISED.items()
        ],
        supported_features=[
            SupportedFeature(
                name=feature.name, min_version=feature.min_level, max_version=feature.max_level
            )
            for feature in FEATURES.values()
            if feature.min_level or context.version >= _FIRST_VERSION_WITH_LEVEL_0
        ],
        finalized_features_epoch=context.broker.cluster.revision,
        finalized_features=[
            FinalizedFeature(name=name, max_version_level=level, min_version_level=level)
            for name, level in features.items()
        ],
    )
