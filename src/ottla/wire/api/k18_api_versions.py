"""ApiVersions (key 18): what a broker can do.

The first request of a connection. Its response header never has tagged fields, so that a client can
read the answer to a version it doesn't know (KIP-511). Version 3 adds the client's software
(KIP-511) and the cluster's features (KIP-584); 4 lets a feature start at 0 (KAFKA-17011).
"""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Bool,
    Int16,
    Int32,
    Int64,
    Message,
    String,
    at,
    message,
    struct,
)


@message(key=18, versions="0-4", flexible=3)
class ApiVersionsRequest(Message):
    """Who is asking."""

    client_software_name: String = at("3+", default="", ignorable=True)
    client_software_version: String = at("3+", default="", ignorable=True)


@struct
class ApiVersion:
    """The versions of one API."""

    api_key: Int16
    min_version: Int16
    max_version: Int16


@struct
class SupportedFeature:
    """The levels of a feature this broker could run at."""

    name: String
    min_version: Int16
    max_version: Int16


@struct
class FinalizedFeature:
    """The level of a feature the cluster agreed on."""

    name: String
    max_version_level: Int16
    min_version_level: Int16


@message(key=18, versions="0-4", flexible=3)
class ApiVersionsResponse(Message):
    """Keys with their versions, and features."""

    error_code: Int16
    api_keys: Array[ApiVersion]
    throttle_time_ms: Int32 = at("1+", default=0, ignorable=True)
    supported_features: Array[SupportedFeature] = at("3+", tag=0, default=list, ignorable=True)
    finalized_features_epoch: Int64 = at("3+", tag=1, default=-1, ignorable=True)  # -1: unknown
    finalized_features: Array[FinalizedFeature] = at("3+", tag=2, default=list, ignorable=True)
    zk_migration_ready: Bool = at("3+", tag=3, default=False, ignorable=True)
