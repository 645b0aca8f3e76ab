"""DescribeAcls (key 29): the access control entries that match a filter (KIP-140).

Version 1 adds pattern types (KIP-290), 3 users as resources (KIP-373).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Int8, Int16, Int32, Message, String, at, message, struct


@message(key=29, versions="1-3", flexible=2)
class DescribeAclsRequest(Message):
    """The filter; null and 1 (ANY) match everything."""

    resource_type_filter: Int8
    resource_name_filter: String | None
    pattern_type_filter: Int8 = at(default=3)  # 3: literal
    principal_filter: String | None
    host_filter: String | None
    operation: Int8
    permission_type: Int8


@struct
class AclEntry:
    """Who may, or may not, do what from where."""

    principal: String
    host: String
    operation: Int8
    permission_type: Int8


@struct
class AclResource:
    """A resource pattern and its entries."""

    resource_type: Int8
    resource_name: String
    pattern_type: Int8 = at(default=3)
    acls: Array[AclEntry]


@message(key=29, versions="1-3", flexible=2)
class DescribeAclsResponse(Message):
    """The entries found, by resource."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None
    resources: Array[AclResource]
