"""CreateAcls (key 30): create access control entries (KIP-140).

Version 1 adds pattern types (KIP-290), 3 users as resources (KIP-373).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Int8, Int16, Int32, Message, String, at, message, struct


@struct
class AclToCreate:
    """A resource pattern, and who may do what from where."""

    resource_type: Int8
    resource_name: String
    resource_pattern_type: Int8 = at(default=3)  # 3: literal
    principal: String
    host: String
    operation: Int8
    permission_type: Int8


@message(key=30, versions="1-3", flexible=2)
class CreateAclsRequest(Message):
    """The entries to create."""

    creations: Array[AclToCreate]


@struct
class CreatedAcl:
    """What became of one entry."""

    error_code: Int16
    error_message: String | None


@message(key=30, versions="1-3", flexible=2)
class CreateAclsResponse(Message):
    """What became of each entry, in the request's order."""

    throttle_time_ms: Int32 = at(default=0)
    results: Array[CreatedAcl]
