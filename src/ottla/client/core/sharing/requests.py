"""The requests of share consumers in the protocol's terms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from ottla.client.core.sharing.acknowledgements import Acknowledgements, PartitionId, ranges
from ottla.client.core.sharing.sessions import SessionChange
from ottla.client.enumerations import AcknowledgeType
from ottla.wire.api.k78_share_fetch import (
    AcknowledgementBatch as BatchToFetch,
)
from ottla.wire.api.k78_share_fetch import (
    ForgottenTopic,
    ShareFetchRequest,
    SharePartitionToFetch,
    ShareTopicToFetch,
)
from ottla.wire.api.k79_share_acknowledge import (
    AcknowledgementBatch,
    PartitionToAcknowledge,
    ShareAcknowledgeRequest,
    TopicToAcknowledge,
)


class ShareSettings(NamedTuple):
    """The settings of the configuration that decide on fetching."""

    group_id: str
    max_wait_ms: int = 500
    min_bytes: int = 1
    max_bytes: int = 52_428_800
    max_records: int = 500
    is_record_limit: bool = False
    """Never acquire more than ``max_records`` at once (KIP-1206), instead of whole batches."""
    retry_backoff_ms: int = 100
    retry_backoff_max_ms: int = 1_000


def fetch_request(
    settings: ShareSettings,
    member_id: str,
    change: SessionChange,
    acknowledgements: Sequence[Acknowledgements],
    wait_ms: int,
) -> ShareFetchRequest:
    """A request for records of the session's partitions, which says acknowledgements as well."""
    partitions: dict[PartitionId, list[BatchToFetch]] = {each: [] for each in change.added}
    for each in acknowledgements:
        partitions.setdefault(each.place.partition_id, []).extend(
            BatchToFetch(first_offset=first, last_offset=last, acknowledge_types=types)
            for first, last, types in ranges(each.types)
        )
    topics: dict[UUID, ShareTopicToFetch] = {}
    for (topic_id, number), batches in partitions.items():
        topic = topics.setdefault(topic_id, ShareTopicToFetch(topic_id=topic_id, partitions=[]))
        topic.partitions.append(
            SharePartitionToFetch(partition_index=number, acknowledgement_batches=batches)
        )
    return ShareFetchRequest(
        group_id=settings.group_id,
        member_id=member_id,
        share_session_epoch=change.epoch,
        max_wait_ms=wait_ms,
        min_bytes=settings.min_bytes,
        max_bytes=settings.max_bytes,
        max_records=settings.max_records,
        batch_size=settings.max_records,
        share_acquire_mode=int(settings.is_record_limit),
        topics=list(topics.values()),
        forgotten_topics_data=_forgotten(change.forgotten),
    )


def acknowledge_request(
    group_id: str, member_id: str, epoch: int, acknowledgements: Sequence[Acknowledgements]
) -> ShareAcknowledgeRequest:
    """A request that says acknowledgements and nothing else."""
    topics: dict[UUID, TopicToAcknowledge] = {}
    for each in acknowledgements:
        topic_id, number = each.place.partition_id
        topic = topics.setdefault(topic_id, TopicToAcknowledge(topic_id=topic_id, partitions=[]))
        batches = [
            AcknowledgementBatch(first_offset=first, last_offset=last, acknowledge_types=types)
            for first, last, types in ranges(each.types)
        ]
        topic.partitions.append(
            PartitionToAcknowledge(partition_index=number, acknowledgement_batches=batches)
        )
    return ShareAcknowledgeRequest(
        group_id=group_id,
        member_id=member_id,
        share_session_epoch=epoch,
        is_renew_ack=renews(acknowledgements),
        topics=list(topics.values()),
    )


def renews(acknowledgements: Iterable[Acknowledgements]) -> bool:
    """Whether any of them asks for more time (KIP-1222)."""
    return any(AcknowledgeType.RENEW in each.types.values() for each in acknowledgements)


def _forgotten(partitions: Iterable[PartitionId]) -> list[ForgottenTopic]:
    topics: dict[UUID, ForgottenTopic] = {}
    for topic_id, number in partitions:
        topic = topics.setdefault(topic_id, ForgottenTopic(topic_id=topic_id, partitions=[]))
        topic.partitions.append(number)
    return list(topics.values())
