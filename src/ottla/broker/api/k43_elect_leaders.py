"""ElectLeaders: preferred and unclean elections (KIP-460)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.metadata.controller.elect_leaders import decide_elect_leaders
from ottla.wire.api.k43_elect_leaders import (
    ElectedPartition,
    ElectedTopic,
    ElectLeadersRequest,
    ElectLeadersResponse,
)
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(context: RequestContext, request: ElectLeadersRequest) -> ElectLeadersResponse:
    wanted = None
    if request.topic_partitions is not None:
        wanted = [
            (topic.topic, index) for topic in request.topic_partitions for index in topic.partitions
        ]
    try:
        reply = await context.broker.cluster.submit(
            lambda image: decide_elect_leaders(image, request.election_type, wanted)
        )
    except ProtocolError as error:
        if context.version >= 1:
            return ElectLeadersResponse(error_code=error.code, replica_election_results=[])
        reply = [(topic, index, error) for topic, index in wanted or ()]
    topics: dict[str, ElectedTopic] = {}
    for name, index, refusal in reply:
        topic = topics.setdefault(name, ElectedTopic(topic=name, partition_result=[]))
        topic.partition_result.append(
            ElectedPartition(
                partition_id=index,
                error_code=refusal.code if refusal else 0,
                error_message=refusal.message if refusal else None,
            )
        )
    return ElectLeadersResponse(replica_election_results=list(topics.values()))
