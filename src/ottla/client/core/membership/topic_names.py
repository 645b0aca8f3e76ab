"""The names of topics that a coordinator knows by id (KIP-516)."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from ottla.client.core.cluster import ClusterView
from ottla.wire.api.k03_metadata import MetadataRequest, MetadataResponse, TopicToDescribe
from ottla.wire.errors import ErrorCode

# The first version of Metadata that can be asked by id alone.
ASKS_BY_ID = 12


class TopicNames:
    """Names by id: those in the view of the cluster, and those that had to be asked for."""

    __slots__ = ("_asked_for", "_cluster")

    def __init__(self, cluster: ClusterView) -> None:
        self._cluster = cluster
        self._asked_for: dict[UUID, str] = {}

    def name_of(self, topic_id: UUID) -> str | None:
        """The topic's name, None if it is not known yet."""
        return self._cluster.name_of(topic_id) or self._asked_for.get(topic_id)

    def keep(self, topic_ids: Iterable[UUID]) -> None:
        """Forget what nobody needs any more."""
        needed = set(topic_ids)
        for topic_id in self._asked_for.keys() - needed:
            del self._asked_for[topic_id]

    def question(self, topic_ids: Iterable[UUID]) -> MetadataRequest | None:
        """What to ask a broker for those whose names are unknown, None if there are none."""
        unknown = sorted(each for each in set(topic_ids) if self.name_of(each) is None)
        if not unknown:
            return None
        return MetadataRequest(
            topics=[TopicToDescribe(topic_id=topic_id, name=None) for topic_id in unknown],
            allow_auto_topic_creation=False,
        )

    def learn(self, answer: MetadataResponse) -> None:
        """Take the names from the answer."""
        for topic in answer.topics:
            if topic.error_code == ErrorCode.NONE and topic.name:
                self._asked_for[topic.topic_id] = topic.name
