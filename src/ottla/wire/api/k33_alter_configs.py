"""AlterConfigs (key 33): replace the configuration of resources.

Keys that aren't named fall back to their defaults; IncrementalAlterConfigs (key 44) is kinder.
"""

from __future__ import annotations

from ottla.wire.declare import Array, Bool, Int8, Int16, Int32, Message, String, at, message, struct


@struct
class ConfigToSet:
    """One key and its value."""

    name: String
    value: String | None


@struct
class ResourceToAlter:
    """A resource and all it shall have set."""

    resource_type: Int8
    resource_name: String
    configs: Array[ConfigToSet]


@message(key=33, versions="0-2", flexible=2)
class AlterConfigsRequest(Message):
    """The resources and their new configuration."""

    resources: Array[ResourceToAlter]
    validate_only: Bool


@struct
class AlteredResource:
    """What became of one resource."""

    error_code: Int16
    error_message: String | None
    resource_type: Int8
    resource_name: String


@message(key=33, versions="0-2", flexible=2)
class AlterConfigsResponse(Message):
    """What became of each resource."""

    throttle_time_ms: Int32 = at(default=0)
    responses: Array[AlteredResource]
