"""ShareAcknowledge: settle records acquired by a member of a share group (KIP-932)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from ottla.broker.shares.acknowledgements import (
    Outcome,
    acknowledge_all,
    of_request,
    release_all,
)
from ottla.broker.shares.sessions import FINAL_EPOCH, MemberKey
from ottla.wire.api.k79_share_acknowledge import (
    AcknowledgedPartition,
    AcknowledgedTopic,
    CurrentLeader,
    ShareAcknowledgeRequest,
    ShareAcknowledgeResponse,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

_UNKNOWN = Outcome(ErrorCode.INVALID_REQUEST, "nothing is acknowledged")


async def handle(
    context: RequestContext, request: ShareAcknowledgeRequest
) -> ShareAcknowledgeResponse:
    shares = context.broker.share_groups
    acknowledgements = of_request(request.topics)
    try:
        shares.check_enabled()
        if not request.group_id or not request.member_id:
            raise ProtocolError(ErrorCode.INVALID_REQUEST, "the group or the member is not named")
        member = MemberKey(request.group_id, request.member_id)
        session = shares.sessions.acknowledge(member, request.share_session_epoch)
    except ProtocolError as error:
        return ShareAcknowledgeResponse(
            error_code=error.code, error_message=error.message, responses=[], node_endpoints=[]
        )
    outcomes = await acknowledge_all(
        shares.partitions, member, acknowledgements, allows_renewal=request.is_renew_ack
    )
    if request.share_session_epoch == FINAL_EPOCH:
        await release_all(shares.partitions, member, session.partitions)
        shares.partitions.member_is_gone(member.group_id)
    settings = shares.partitions.configuration(member.group_id).partitions
    return ShareAcknowledgeResponse(
        error_code=ErrorCode.NONE,
        acquisition_lock_timeout_ms=settings.record_lock_duration_ms,
        responses=_topics(request, outcomes),
        node_endpoints=[],
    )


def _topics(
    request: ShareAcknowledgeRequest, outcomes: dict[tuple[UUID, int], Outcome]
) -> list[AcknowledgedTopic]:
    topics: dict[UUID, AcknowledgedTopic] = {}
    for asked in request.topics:
        topic = topics.get(asked.topic_id)
        if topic is None:
            topic = topics[asked.topic_id] = AcknowledgedTopic(
                topic_id=asked.topic_id, partitions=[]
            )
        for partition in asked.partitions:
            outcome = outcomes.get((asked.topic_id, partition.partition_index), _UNKNOWN)
            topic.partitions.append(
                AcknowledgedPartition(
                    partition_index=partition.partition_index,
                    error_code=outcome.code,
                    error_message=outcome.message,
                    current_leader=CurrentLeader(leader_id=0, leader_epoch=0),
                )
            )
    return list(topics.values())
