"""DeleteAcls (key 31): delete the access control entries that match filters (KIP-140).

Version 1 adds pattern types (KIP-290), 3 users as resources (KIP-373).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Int8, Int16, Int32, Message, String, at, message, struct


@struct
class AclFilter:
    """A filter; null and 1 (ANY) match everything."""

    resource_type_filter: Int8
    resource_name_filter: String | None
    pattern_type_filter: Int8 = at(default=3)  # 3: literal
    principal_filter: String | None
    host_filter: String | None
    operation: Int8
    permission_type: Int8


@message(key=31, versions="1-3", flexible=2)
class DeleteAclsRequest(Message):
    """The filters."""

    filters: Array[AclFilter]


@struct
class DeletedAcl:
    """One entry that matched."""

    error_code: Int16
    error_message: String | None
    resource_type: Int8
    resource_name: String
    pattern_type: Int8 = at(default=3)
    principal: String
    host: String
    operation: Int8
    permission_type: Int8


@struct
class AclFilterResult:
    """What one filter deleted."""

    error_code: Int16
    error_message: String | None
    matching_acls: Array[DeletedAcl]


@message(key=31, versions="1-3", flexible=2)
class DeleteAclsResponse(Message):
    """What each filter deleted, in the request's order."""

    throttle_time_ms: Int32 = at(default=0)
    filter_results: Array[AclFilterResult]
