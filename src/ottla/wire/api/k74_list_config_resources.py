"""ListConfigResources (key 74): the resources that have configuration.

Version 0 lists client metrics only (KIP-714), 1 resources of any type (KIP-1142).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Int8, Int16, Int32, Message, String, at, message, struct


@message(key=74, versions="0-1", flexible=0)
class ListConfigResourcesRequest(Message):
    """The types to list; none means all."""

    resource_types: Array[Int8] = at("1+", default=list)


@struct
class ConfigResource:
    """One resource."""

    resource_name: String
    resource_type: Int8 = at("1+", default=16, ignorable=True)  # 16: client metrics


@message(key=74, versions="0-1", flexible=0)
class ListConfigResourcesResponse(Message):
    """The resources found."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    config_resources: Array[ConfigResource]
