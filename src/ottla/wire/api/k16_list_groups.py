"""ListGroups (key 16): the groups a broker coordinates.

Version 4 filters by state (KIP-518), 5 by type (KIP-848).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Message, String, at, message, struct


@message(key=16, versions="0-5", flexible=3)
class ListGroupsRequest(Message):
    """Filters; an empty one lets everything through."""

    states_filter: Array[String] = at("4+", default=list)
    types_filter: Array[String] = at("5+", default=list)


@struct
class ListedGroup:
    """One group's id, protocol, state and type."""

    group_id: String
    protocol_type: String
    group_state: String = at("4+", default="", ignorable=True)
    group_type: String = at("5+", default="", ignorable=True)


@message(key=16, versions="0-5", flexible=3)
class ListGroupsResponse(Message):
    """The groups found."""

    throttle_time_ms: Int32 = at("1+", default=0, ignorable=True)
    error_code: Int16
    groups: Array[ListedGroup]
