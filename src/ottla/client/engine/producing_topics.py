"""The topics a producer writes to: found out about, grown, missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ottla.client.core.cluster import Changes, TopicView
from ottla.client.errors import KafkaError
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.client._reference_accumulator import Accumulator
    from ottla.client._reference_batch import ProducerBatch
    from ottla.client.engine.engine import Engine

# What a broker says of a topic that no waiting will change.
_REFUSALS = frozenset({ErrorCode.INVALID_TOPIC_EXCEPTION, ErrorCode.TOPIC_AUTHORIZATION_FAILED})
_IS_MISSING = frozenset({ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID})


class ProducingTopics:
    """Tells the accumulator how many partitions topics have, and which topics there are not.

    Args:
        engine: asks for metadata.
        accumulator: where records wait for their topic.
        fail: told of batches that can't be delivered.
        fail_topic: told of topics that are gone, with batches beyond the accumulator.
    """

    def __init__(
        self,
        engine: Engine,
        accumulator: Accumulator,
        fail: Callable[[ProducerBatch, KafkaError], None],
        fail_topic: Callable[[str, KafkaError], None],
    ) -> None:
        self._engine = engine
        self._accumulator = accumulator
        self._fail = fail
        self._fail_topic = fail_topic
        # By topic: how many partitions the accumulator knows of.
        self._counts: dict[str, int] = {}

    def adopt_new(self) -> None:
        """Ask for the topics that records were produced to for the first time."""
        for topic in self._accumulator.unassigned_topics():
            if topic not in self._counts:
                self._counts[topic] = 0
                self._engine.want(topic)
                self._look_at(topic)

    def updated(self, changes: Changes) -> None:
        """The metadata was refreshed."""
        for topic in list(self._counts):
            self._look_at(topic)

    def _look_at(self, topic: str) -> None:
        view = self._engine.cluster.topics.get(topic)
        if view is not None and view.partitions:
            self._grow(view)
            return
        error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if view is None else view.error_code
        if error_code in _REFUSALS or (
            # A broker that is overloaded or starts says other things; then waiting may help.
            (view is None or error_code in _IS_MISSING) and self._engine.is_given_up(topic)
        ):
            self._refuse(topic, KafkaError(error_code))

    def _grow(self, view: TopicView) -> None:
        count = len(view.partitions)
        if count <= self._counts[view.name]:
            return
        self._counts[view.name] = count
        for batch in self._accumulator.set_partition_count(view.name, count):
            self._fail(batch, KafkaError(KafkaError._UNKNOWN_PARTITION))

    def _refuse(self, topic: str, error: KafkaError) -> None:
        self._counts[topic] = 0
        for batch in self._accumulator.refuse_topic(topic):
            self._fail(batch, error)
        self._fail_topic(topic, error)
