"""DeleteTopics, and the end of a deleted topic's logs."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ottla.metadata.config.resolve import ConfigResolver
from ottla.metadata.controller.decision import Decision
from ottla.metadata.image import ClusterImage, TopicImage
from ottla.metadata.records import TopicPurged, TopicRemoved
from ottla.metadata.uuids import ZERO_UUID
from ottla.wire.errors import ErrorCode, ProtocolError


class TopicReference(NamedTuple):
    """A topic by its name or by its id; the other is None or zero."""

    name: str | None
    topic_id: uuid.UUID = ZERO_UUID


class TopicDeletion(NamedTuple):
    """What became of one reference; no error means deleted, and both name and id are known."""

    name: str | None
    topic_id: uuid.UUID
    error: ProtocolError | None


def decide_delete_topics(
    image: ClusterImage, resolver: ConfigResolver, references: Sequence[TopicReference]
) -> Decision[list[TopicDeletion]]:
    """Delete what can be deleted.

    Returns:
        An answer for each reference; one that was given several times is answered once.

    Raises:
        ProtocolError: TOPIC_DELETION_DISABLED, if the broker's delete.topic.enable is false.
    """
    if not resolver.broker(image).boolean("delete.topic.enable"):
        raise ProtocolError(ErrorCode.TOPIC_DELETION_DISABLED)
    counts = Counter(references)
    deleted: dict[uuid.UUID, TopicImage] = {}
    reply: list[TopicDeletion] = []
    for reference in counts:
        try:
            if counts[reference] > 1:
                which = "name" if reference.name is not None else "id"
                raise _invalid(f"Duplicate topic {which}.")
            topic = _find(image, reference)
            if topic.topic_id in deleted:
                raise _invalid("The provided topic name maps to an ID that was already supplied.")
            deleted[topic.topic_id] = topic
            reply.append(TopicDeletion(topic.name, topic.topic_id, None))
        except ProtocolError as error:
            reply.append(TopicDeletion(reference.name, reference.topic_id, error))
    records = tuple(
        TopicRemoved(topic.name, topic.topic_id, len(topic.partitions))
        for topic in deleted.values()
    )
    return Decision(records, reply)


def decide_purge_topic(image: ClusterImage, topic_id: uuid.UUID) -> Decision[None]:
    """Forget a deleted topic, once its logs are gone; nothing if that is done already."""
    records = (TopicPurged(topic_id),) if topic_id in image.deleted_topics else ()
    return Decision(records, None)


def _find(image: ClusterImage, reference: TopicReference) -> TopicImage:
    name, topic_id = reference
    if name is not None and topic_id != ZERO_UUID:
        raise _invalid("You may not specify both topic name and topic id.")
    if name is not None:
        topic = image.topics.get(name)
        if topic is None:
            raise ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return topic
    if topic_id == ZERO_UUID:
        raise _invalid("Neither topic name nor id were specified.")
    topic = image.topic_by_id(topic_id)
    if topic is None:
        raise ProtocolError(ErrorCode.UNKNOWN_TOPIC_ID)
    return topic


def _invalid(message: str) -> ProtocolError:
    return ProtocolError(ErrorCode.INVALID_REQUEST, message)
