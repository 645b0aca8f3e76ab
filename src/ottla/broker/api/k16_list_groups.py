"""ListGroups: all groups of this broker, filtered by state and type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.coordination.groups.commands import ListGroups
from ottla.wire.api.k16_list_groups import ListGroupsRequest, ListGroupsResponse
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from ottla.broker.dispatch import RequestContext

_STATES = {
    "assigning",
    "completingrebalance",
    "dead",
    "empty",
    "initializing",
    "notready",
    "preparingrebalance",
    "reconciling",
    "stable",
    "unknown",
}
_TYPES = {"classic", "consumer", "share", "streams"}
_NAMES = _STATES | _TYPES


async def handle(context: RequestContext, request: ListGroupsRequest) -> ListGroupsResponse:
    groups = context.broker.groups
    # Every shard looks at the filters, so that what no group can match goes here.
    request.states_filter = _shortened(request.states_filter)
    request.types_filter = _shortened(request.types_filter)

    def command(token: asyncio.Future[Any]) -> ListGroups:
        return ListGroups(token, request, context.version)

    try:
        responses = await groups.submit_to_each(
            dict.fromkeys(range(groups.partition_count), command)
        )
    except ProtocolError as error:
        return ListGroupsResponse(error_code=error.code, groups=[])
    return ListGroupsResponse(
        error_code=0, groups=[group for response in responses for group in response.groups]
    )


def _shortened(wanted: list[str]) -> list[str]:
    """At most so many names as there could be kinds or states of groups; none only if none were
    given, which means all."""
    names = {name.strip().lower() for name in wanted}
    return sorted(names & _NAMES) or sorted(names)[:1]
