"""ShareFetch: acquire records for a member of a share group, acknowledge others (KIP-932)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from ottla.broker.shares.acknowledgements import (
    Outcome,
    acknowledge_all,
    of_request,
    release_all,
)
from ottla.broker.shares.fetch import Fetched, ShareFetch, Wanted, acquired_of
from ottla.broker.shares.live_partition import NOTHING
from ottla.broker.shares.sessions import (
    FINAL_EPOCH,
    INITIAL_EPOCH,
    MemberKey,
    PartitionId,
    ShareSession,
)
from ottla.wire.api.k78_share_fetch import (
    AcquiredRange,
    CurrentLeader,
    NodeEndpoint,
    ShareFetchedPartition,
    ShareFetchedTopic,
    ShareFetchRequest,
    ShareFetchResponse,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

_RECORD_LIMIT = 1
_NO_OUTCOME = Outcome()


async def handle(context: RequestContext, request: ShareFetchRequest) -> ShareFetchResponse:
    shares = context.broker.share_groups
    acknowledgements = of_request(request.topics)
    is_final = request.share_session_epoch == FINAL_EPOCH
    try:
        shares.check_enabled()
        member = _member(request)
        if acknowledgements and request.share_session_epoch == INITIAL_EPOCH:
            raise ProtocolError(
                ErrorCode.INVALID_REQUEST, "a new session has nothing to acknowledge"
            )
        session = shares.sessions.begin(
            member,
            request.share_session_epoch,
            context.session,
            _added(request, is_final=is_final),
            _forgotten(request),
        )
    except ProtocolError as error:
        return _refusal(error)
    acknowledged = asyncio.ensure_future(
        acknowledge_all(
            shares.partitions, member, acknowledgements, allows_renewal=request.is_renew_ack
        )
    )
    fetched: list[Fetched] = []
    if is_final:
        outcomes = await acknowledged
        released = await release_all(shares.partitions, member, session.partitions)
        outcomes = {**released, **outcomes}
        shares.partitions.member_is_gone(member.group_id)
    else:
        fetch = ShareFetch(
            shares.partitions,
            member,
            _wanted(context, request),
            lambda: context.session.is_closed,
        )
        connections = context.broker.connections
        connections.when_closed(context.session, fetch.abandon)
        try:
            fetched = await fetch.run(list(session.partitions))
        finally:
            connections.forget_when_closed(context.session, fetch.abandon)
            outcomes = await acknowledged
        for partition in acquired_of(fetched):
            session.served(partition)
    response = _response(context, request, session, fetched, outcomes)
    settings = shares.partitions.configuration(member.group_id).partitions
    response.acquisition_lock_timeout_ms = settings.record_lock_duration_ms
    return response


def _member(request: ShareFetchRequest) -> MemberKey:
    if not request.group_id or not request.member_id:
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "the group or the member is not named")
    if request.is_renew_ack and (
        request.max_wait_ms or request.min_bytes or request.max_bytes or request.max_records
    ):
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "a fetch that renews locks fetches nothing")
    if request.share_acquire_mode not in (0, _RECORD_LIMIT):
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "unknown acquire mode")
    return MemberKey(request.group_id, request.member_id)


def _added(request: ShareFetchRequest, *, is_final: bool) -> list[PartitionId]:
    if is_final:
        return []
    return [
        (topic.topic_id, partition.partition_index)
        for topic in request.topics
        for partition in topic.partitions
    ]


def _forgotten(request: ShareFetchRequest) -> list[PartitionId]:
    return [
        (topic.topic_id, index)
        for topic in request.forgotten_topics_data
        for index in topic.partitions
    ]


def _wanted(context: RequestContext, request: ShareFetchRequest) -> Wanted:
    return Wanted(
        max_wait_ms=request.max_wait_ms,
        min_bytes=request.min_bytes,
        max_bytes=min(request.max_bytes, context.broker.fetch_max_bytes),
        max_records=request.max_records,
        batch_size=request.batch_size,
        is_record_limit=request.share_acquire_mode == _RECORD_LIMIT,
    )


def _refusal(error: ProtocolError) -> ShareFetchResponse:
    return ShareFetchResponse(
        error_code=error.code,
        error_message=error.message,
        acquisition_lock_timeout_ms=0,
        responses=[],
        node_endpoints=[],
    )


def _response(
    context: RequestContext,
    request: ShareFetchRequest,
    session: ShareSession,
    fetched: list[Fetched],
    outcomes: dict[PartitionId, Outcome],
) -> ShareFetchResponse:
    """Partitions with news; a new session hears of every one."""
    tells_all = request.share_session_epoch == INITIAL_EPOCH
    results = {each.partition: each for each in fetched if tells_all or each.has_news}
    for partition in outcomes:
        results.setdefault(partition, Fetched(partition, NOTHING))
    topics: dict[UUID, ShareFetchedTopic] = {}
    has_moved = False
    for partition, result in results.items():
        topic = topics.get(partition[0])
        if topic is None:
            topic = topics[partition[0]] = ShareFetchedTopic(topic_id=partition[0], partitions=[])
        outcome = outcomes.get(partition, _NO_OUTCOME)
        topic.partitions.append(_partition(result, outcome))
        has_moved = has_moved or ErrorCode.NOT_LEADER_OR_FOLLOWER in (result.code, outcome.code)
    return ShareFetchResponse(
        error_code=ErrorCode.NONE,
        acquisition_lock_timeout_ms=0,
        responses=list(topics.values()),
        node_endpoints=_endpoints(context) if has_moved else [],
    )


def _partition(result: Fetched, outcome: Outcome) -> ShareFetchedPartition:
    return ShareFetchedPartition(
        partition_index=result.partition[1],
        error_code=result.code,
        error_message=result.message,
        acknowledge_error_code=outcome.code,
        acknowledge_error_message=outcome.message,
        current_leader=CurrentLeader(leader_id=0, leader_epoch=0),
        records=result.acquired.records,
        acquired_records=[
            AcquiredRange(
                first_offset=each.first_offset,
                last_offset=each.last_offset,
                delivery_count=each.delivery_count,
            )
            for each in result.acquired.ranges
        ],
    )


def _endpoints(context: RequestContext) -> list[NodeEndpoint]:
    return [
        NodeEndpoint(node_id=node.broker_id, host=node.host, port=node.port, rack=node.rack)
        for node in context.broker.nodes(context.session)
    ]
