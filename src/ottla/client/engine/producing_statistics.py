"""The producer's part of the statistics that ``stats_cb`` is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ottla.client.configuration.objects import ProducerConfiguration
from ottla.client.core.producing.sender import Request
from ottla.client.core.statistics import Window, partition_entry, topic_entry
from ottla.client.engine.engine import Engine

# A batch, and whether it is in flight.
Batches = Callable[[], Iterable[tuple[Any, bool]]]


class _Sent:
    """What went to one partition."""

    __slots__ = ("messages", "size_bytes")

    def __init__(self) -> None:
        self.messages = 0
        self.size_bytes = 0


class _SentToTopic:
    """What went to one topic, and the batches since the last statistics."""

    __slots__ = ("batch_bytes", "batch_counts", "began_ms", "partitions")

    def __init__(self, began_ms: float) -> None:
        self.began_ms = began_ms
        self.partitions: dict[int, _Sent] = {}
        self.batch_bytes = Window()
        self.batch_counts = Window()


class ProducingStatistics:
    """Counts what is sent and gathers the rest.

    Args:
        engine: the producer's.
        configuration: the limits of the queue.
        accumulator: what waits for its batch to be sealed.
        batches: those beyond it that have no outcome yet.
    """

    def __init__(
        self,
        engine: Engine,
        configuration: ProducerConfiguration,
        accumulator: Any,
        batches: Batches,
    ) -> None:
        self._engine = engine
        self._configuration = configuration
        self._accumulator = accumulator
        self._batches = batches
        self._topics: dict[str, _SentToTopic] = {}
        self._messages = self._bytes = 0
        self._metadata_ms = engine.now_ms()

    def metadata_updated(self) -> None:
        """The view of the cluster was refreshed."""
        self._metadata_ms = self._engine.now_ms()

    def sent(self, request: Request) -> None:
        """The request is sent; once more if it was before."""
        self._bytes += request.size_bytes
        for (name, number), attempt in request.attempts.items():
            batch = attempt.pending.batch
            topic = self._topics.get(name)
            if topic is None:
                topic = self._topics[name] = _SentToTopic(self._engine.now_ms())
            partition = topic.partitions.setdefault(number, _Sent())
            partition.messages += batch.record_count
            partition.size_bytes += batch.size_bytes
            topic.batch_bytes.add(batch.size_bytes)
            topic.batch_counts.add(batch.record_count)
            self._messages += batch.record_count

    def collect(self) -> Mapping[str, Any]:
        """What is merged into the top level."""
        waiting: dict[tuple[str, int], list[tuple[Any, bool]]] = {}
        for batch, is_in_flight in self._batches():
            waiting.setdefault((batch.topic, batch.partition), []).append((batch, is_in_flight))
        return {
            "msg_cnt": self._accumulator.message_count,
            "msg_size": self._accumulator.byte_count,
            "msg_max": self._configuration.queue_buffering_max_messages,
            "msg_size_max": self._configuration.queue_buffering_max_kbytes * 1024,
            "txmsgs": self._messages,
            "txmsg_bytes": self._bytes,
            "topics": {
                name: self._topic(name, sent, waiting) for name, sent in self._topics.items()
            },
        }

    def _topic(
        self, name: str, sent: _SentToTopic, waiting: Mapping[tuple[str, int], Any]
    ) -> dict[str, Any]:
        now_ms = self._engine.now_ms()
        view = self._engine.cluster.topics.get(name)
        known = () if view is None else (each.number for each in view.partitions)
        numbers = sorted({*sent.partitions, *known})
        entry = topic_entry(
            name,
            [
                self._partition(name, number, sent.partitions, waiting.get((name, number), ()))
                for number in numbers
            ],
            age_ms=now_ms - sent.began_ms,
            metadata_age_ms=now_ms - self._metadata_ms,
        )
        return {**entry, "batchsize": sent.batch_bytes.take(), "batchcnt": sent.batch_counts.take()}

    def _partition(
        self,
        topic: str,
        number: int,
        sent: Mapping[int, _Sent],
        waiting: Iterable[tuple[Any, bool]],
    ) -> dict[str, Any]:
        leader = self._engine.cluster.leader(topic, number)
        leader_id = -1 if leader is None else leader.broker_id
        went = sent.get(number) or _Sent()
        return partition_entry(
            number,
            broker=leader_id,
            leader=leader_id,
            unknown=leader is None,
            xmit_msgq_cnt=sum(batch.record_count for batch, is_away in waiting if not is_away),
            xmit_msgq_bytes=sum(batch.size_bytes for batch, is_away in waiting if not is_away),
            msgs_inflight=sum(batch.record_count for batch, is_away in waiting if is_away),
            txmsgs=went.messages,
            txbytes=went.size_bytes,
            msgs=went.messages,
        )
