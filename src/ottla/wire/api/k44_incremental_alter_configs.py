"""IncrementalAlterConfigs (key 44): change single configuration keys (KIP-339)."""

from __future__ import annotations

from ottla.wire.declare import Array, Bool, Int8, Int16, Int32, Message, String, at, message, struct


@struct
class ConfigChange:
    """One change to one key."""

    name: String
    config_operation: Int8  # 0: set, 1: delete, 2: append, 3: subtract
    value: String | None


@struct
class ResourceToAlter:
    """A resource and the changes to it."""

    resource_type: Int8
    resource_name: String
    configs: Array[ConfigChange]


@message(key=44, versions="0-1", flexible=1)
class IncrementalAlterConfigsRequest(Message):
    """The resources and the changes to them."""

    resources: Array[ResourceToAlter]
    validate_only: Bool


@struct
class AlteredResource:
    """What became of one resource."""

    error_code: Int16
    error_message: String | None
    resource_type: Int8
    resource_name: String


@message(key=44, versions="0-1", flexible=1)
class IncrementalAlterConfigsResponse(Message):
    """What became of each resource."""

    throttle_time_ms: Int32 = at(default=0)
    responses: Array[AlteredResource]
