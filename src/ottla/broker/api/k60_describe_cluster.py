"""DescribeCluster: the brokers and their addresses on the asked listener."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorized_operations import CLUSTER_OPERATIONS
from ottla.wire.api.k60_describe_cluster import (
    ClusterNode,
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

IS_FUNCTION_OF_IMAGE = True

_BROKERS = 1
_CONTROLLERS = 2


def handle(context: RequestContext, request: DescribeClusterRequest) -> DescribeClusterResponse:
    image = context.broker.cluster.image
    response = DescribeClusterResponse(
        error_code=0, endpoint_type=_BROKERS, cluster_id=image.cluster_id, brokers=[]
    )
    if request.endpoint_type != _BROKERS:
        # A listener for clients knows brokers only (KIP-919).
        known = request.endpoint_type == _CONTROLLERS
        response.error_code = (
            ErrorCode.MISMATCHED_ENDPOINT_TYPE if known else ErrorCode.UNSUPPORTED_ENDPOINT_TYPE
        )
        response.error_message = "This listener tells of brokers only."
        return response
    response.controller_id = image.controller_id
    response.brokers = [
        ClusterNode(broker_id=node.broker_id, host=node.host, port=node.port, rack=node.rack)
        for node in context.broker.nodes(context.session)
    ]
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = CLUSTER_OPERATIONS
    return response
