"""ListPartitionReassignments: replicas on the move; on one broker there is nowhere to move to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.wire.api.k46_list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


def handle(
    context: RequestContext, request: ListPartitionReassignmentsRequest
) -> ListPartitionReassignmentsResponse:
    return ListPartitionReassignmentsResponse(error_code=0, error_message=None, topics=[])
