"""Topics described partition by partition, page by page (KIP-966)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ottla.client.admin.partitions import PartitionDescription, TopicPartitionsDescription
from ottla.client.core.admin.call import NOT_MENTIONED, Call, Operation, Outcomes, ask_one
from ottla.client.core.admin.outcomes import error_of
from ottla.client.core.admin.routes import any_broker
from ottla.client.core.admin.topics import uuid_of
from ottla.client.errors import KafkaError
from ottla.wire.api.k75_describe_topic_partitions import (
    Cursor,
    DescribedPartition,
    DescribedTopic,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    TopicToDescribe,
)

_Described = dict[str, "TopicPartitionsDescription | KafkaError"]


class _Page(NamedTuple):
    topics: list[DescribedTopic]
    next_cursor: Cursor | None


def describe_topic_partitions(
    topics: Collection[str], *, partitions_per_request: int
) -> Operation[Outcomes[str, TopicPartitionsDescription]]:
    """Topics by name, or all of them; as many requests as it takes."""
    found: _Described = {}
    cursor: Cursor | None = None
    while True:
        page: _Page = yield from ask_one(_page(topics, cursor, partitions_per_request))
        for topic in page.topics:
            _add(found, topic)
        # A page that does not get on would have us ask for ever.
        if page.next_cursor is None or not _is_later(page.next_cursor, cursor):
            return {**dict.fromkeys(topics, NOT_MENTIONED), **found}
        cursor = page.next_cursor


def _page(topics: Collection[str], cursor: Cursor | None, limit: int) -> Call[None, _Page]:
    def request(_: Sequence[None]) -> DescribeTopicPartitionsRequest:
        return DescribeTopicPartitionsRequest(
            # The broker goes through them in this order.
            topics=[TopicToDescribe(name=topic) for topic in sorted(topics)],
            response_partition_limit=limit,
            cursor=cursor,
        )

    def read(
        answer: DescribeTopicPartitionsResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, _Page | KafkaError]]:
        yield None, _Page(list(answer.topics), answer.next_cursor)

    return Call([None], any_broker(), request, DescribeTopicPartitionsResponse, read)


def _is_later(cursor: Cursor, before: Cursor | None) -> bool:
    if before is None:
        return True
    after = (cursor.topic_name, cursor.partition_index)
    return after > (before.topic_name, before.partition_index)


def _add(found: _Described, topic: DescribedTopic) -> None:
    """Take over what a page says; a topic may go on where the page before ended."""
    name = topic.name or ""
    error = error_of(topic.error_code)
    before = found.get(name)
    if error is not None:
        found[name] = error
    elif isinstance(before, TopicPartitionsDescription):
        before.partitions.extend(_partition(partition) for partition in topic.partitions)
    else:
        found[name] = TopicPartitionsDescription(
            name,
            uuid_of(topic.topic_id),
            topic.is_internal,
            [_partition(partition) for partition in topic.partitions],
        )


def _partition(partition: DescribedPartition) -> PartitionDescription:
    eligible, last_known = partition.eligible_leader_replicas, partition.last_known_elr
    return PartitionDescription(
        partition.partition_index,
        partition.leader_id,
        partition.leader_epoch,
        list(partition.replica_nodes),
        list(partition.isr_nodes),
        None if eligible is None else list(eligible),
        None if last_known is None else list(last_known),
        list(partition.offline_replicas),
    )
