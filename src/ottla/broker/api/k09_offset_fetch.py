"""OffsetFetch: how far groups have read."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ottla.coordination.groups.commands import OffsetFetch
from ottla.coordination.groups.routing import join_offset_fetch, split_offset_fetch
from ottla.wire.api.k09_offset_fetch import (
    FoundGroup,
    FoundGroupPartition,
    FoundGroupTopic,
    GroupTopicToLookUp,
    OffsetFetchRequest,
    OffsetFetchResponse,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from ottla.broker.dispatch import RequestContext

_FIRST_VERSION_WITH_SEVERAL_GROUPS = 8
_FIRST_VERSION_WITH_TOPIC_IDS = 10
# Four bytes of a request, each of which makes an answer: more than any cluster has.
_MAX_PARTITIONS = 2**17


async def handle(context: RequestContext, request: OffsetFetchRequest) -> OffsetFetchResponse:
    if _partition_count(request) > _MAX_PARTITIONS:
        return _refusal(request, context.version, ErrorCode.INVALID_REQUEST)
    unknown = _resolve_topic_ids(context, request)
    groups = context.broker.groups
    try:
        await groups.ensure_topic()
        shares = split_offset_fetch(request, context.version, groups.partition_count)
        responses = await groups.submit_to_each(
            {index: partial(_command, share, context.version) for index, share in shares.items()}
        )
    except ProtocolError as error:
        return _refusal(request, context.version, error.code)
    response = join_offset_fetch(responses)
    if context.version >= _FIRST_VERSION_WITH_TOPIC_IDS:
        _name_topics(context, response, unknown)
    return response


def _partition_count(request: OffsetFetchRequest) -> int:
    topics = [*(request.topics or ()), *(t for g in request.groups for t in g.topics or ())]
    return sum(len(topic.partition_indexes) for topic in topics)


def _command(request: OffsetFetchRequest, version: int, token: asyncio.Future[Any]) -> OffsetFetch:
    return OffsetFetch(token, request, version)


def _resolve_topic_ids(
    context: RequestContext, request: OffsetFetchRequest
) -> dict[str, list[GroupTopicToLookUp]]:
    """Give topics asked for by id their names; those without one are taken out, per group."""
    unknown: dict[str, list[GroupTopicToLookUp]] = {}
    if context.version < _FIRST_VERSION_WITH_TOPIC_IDS:
        return unknown
    names = context.broker.cluster.image.topic_names
    for group in request.groups:
        if group.topics is None:
            continue
        known = []
        for topic in group.topics:
            name = names.get(topic.topic_id)
            if name is None:
                unknown.setdefault(group.group_id, []).append(topic)
            else:
                topic.name = name
                known.append(topic)
        group.topics = known
    return unknown


def _name_topics(
    context: RequestContext,
    response: OffsetFetchResponse,
    unknown: dict[str, list[GroupTopicToLookUp]],
) -> None:
    """Give found topics their ids (a topic that is gone has none and is left out), and say of the
    ids nobody knows that they are unknown."""
    topics = context.broker.cluster.image.topics
    for group in response.groups:
        named = []
        for found in group.topics:
            topic = topics.get(found.name)
            if topic is not None:
                found.topic_id = topic.topic_id
                named.append(found)
        if not group.error_code:
            named += [_unknown_topic(topic) for topic in unknown.get(group.group_id, ())]
        group.topics = named


def _unknown_topic(topic: GroupTopicToLookUp) -> FoundGroupTopic:
    return FoundGroupTopic(
        topic_id=topic.topic_id,
        partitions=[
            FoundGroupPartition(
                partition_index=index,
                committed_offset=-1,
                metadata="",
                error_code=ErrorCode.UNKNOWN_TOPIC_ID,
            )
            for index in topic.partition_indexes
        ],
    )


def _refusal(request: OffsetFetchRequest, version: int, code: ErrorCode) -> OffsetFetchResponse:
    if version >= _FIRST_VERSION_WITH_SEVERAL_GROUPS:
        return OffsetFetchResponse(
            groups=[
                FoundGroup(group_id=group.group_id, topics=[], error_code=code)
                for group in request.groups
            ]
        )
    return OffsetFetchResponse(error_code=code)
