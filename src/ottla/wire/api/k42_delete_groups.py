"""DeleteGroups (key 42): delete empty groups and their offsets (KIP-229)."""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Message, String, at, message, struct


@message(key=42, versions="0-2", flexible=2)
class DeleteGroupsRequest(Message):
    """The groups to delete."""

    groups_names: Array[String]


@struct
class DeletedGroup:
    """What became of one group."""

    group_id: String
    error_code: Int16


@message(key=42, versions="0-2", flexible=2)
class DeleteGroupsResponse(Message):
    """What became of each group."""

    throttle_time_ms: Int32 = at(default=0)
    results: Array[DeletedGroup]
