"""``KafkaConsumer`` as kafka-python has it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from ottla.client.errors import KafkaError as ClientError
from ottla.client.errors import KafkaException
from ottla.client.message import Message
from ottla.client.values import OFFSET_BEGINNING, OFFSET_END
from ottla.client.values import TopicPartition as ClientPartition
from ottla.kafka_python.consumer_offsets import ConsumerOffsets, translated
from ottla.kafka_python.errors import IllegalStateError, error_of, raised
from ottla.kafka_python.listener import ConsumerRebalanceListener, as_set, callbacks
from ottla.kafka_python.serializer import close, deserialized
from ottla.kafka_python.structs import ConsumerRecord, TopicPartition, header_size

__all__ = ["ConsumerRebalanceListener", "KafkaConsumer"]

_log = logging.getLogger(__name__)

_DEFAULT_MAX_POLL_RECORDS = 500
_LOOK_AGAIN_SECONDS = 0.5
_LEAVING_SECONDS = 5.0
_CHOOSE_ONE = (
    "You must choose only one way to configure your consumer: (1) subscribe to specific topics by "
    "name, (2) subscribe to topics matching a regex pattern, (3) assign itself specific "
    "topic-partitions."
)
# What the client goes on trying by itself.
_PASSING = frozenset({ClientError._MAX_POLL_EXCEEDED, ClientError.UNKNOWN_TOPIC_OR_PART})


class KafkaConsumer(ConsumerOffsets):
    """Reads messages, by ``poll`` or by iteration.

    With ``group_id`` it shares its topics with the group's other members; without, it reads all
    of them and commits nothing. To be used by one thread at a time.

    Args:
        topics: what to subscribe to.
        configs: kafka-python's settings.

    Raises:
        KafkaConfigurationError: an unknown setting, or settings that exclude each other.
        KafkaTimeoutError: no broker could be reached within ``bootstrap_timeout_ms``.
    """

    def __init__(self, *topics: str, **configs: Any) -> None:
        super().__init__(configs)
        self._key_deserializer = configs.get("key_deserializer")
        self._value_deserializer = configs.get("value_deserializer")
        self._timeout_s = configs.get("consumer_timeout_ms", math.inf) / 1000
        self._max_poll_records = configs.get("max_poll_records", _DEFAULT_MAX_POLL_RECORDS)
        self._topics: frozenset[str] = frozenset()
        self._pattern: str | None = None
        self._paused: set[TopicPartition] = set()
        self._look_at = 0.0
        if topics:
            self.subscribe(topics)

    # What is read

    def subscribe(
        self,
        topics: Iterable[str] = (),
        pattern: str | None = None,
        listener: ConsumerRebalanceListener | None = None,
    ) -> None:
        """Read these topics, or those whose names begin as the pattern says.

        Raises:
            TypeError: ``topics`` is no list.
            ValueError: neither topics nor pattern.
            IllegalStateError: both, or partitions are assigned by hand.
        """
        self._check_open()
        if isinstance(topics, str):
            raise TypeError("Topics must be a list (or non-str sequence)")
        topics = frozenset(topics)
        is_other_kind = (self._topics and pattern) or (self._pattern and topics)
        if (topics and pattern) or self._is_assigned_by_hand or is_other_kind:
            raise IllegalStateError(_CHOOSE_ONE)
        if not topics and not pattern:
            raise ValueError("Must provide topics or pattern")
        if not all(isinstance(topic, str) for topic in topics):
            raise TypeError("All topics must be strings")
        self._topics, self._pattern = topics, pattern
        self._look_at = 0.0
        if self._has_group:
            names = sorted(topics) if pattern is None else [f"^(?:{pattern})"]
            with translated():
                self._client.subscribe(names, **callbacks(listener))

    def subscription(self) -> set[str] | None:
        """The topics subscribed to, None if there are none."""
        if self._pattern is not None:
            return {partition.topic for partition in self.assignment()}
        return set(self._topics) or None

    def unsubscribe(self) -> None:
        """Read nothing any more; the group is left."""
        self._check_open()
        self._topics, self._pattern = frozenset(), None
        with translated():
            self._client.unsubscribe()
            deadline = time.monotonic() + _LEAVING_SECONDS
            while self._client.assignment() and not self._is_assigned_by_hand:
                if not self._has_group or time.monotonic() >= deadline:
                    self._client.unassign()
                    break
                self._client.poll(0.05)
            if self._is_assigned_by_hand:
                self._client.unassign()
        self._is_assigned_by_hand = False
        self._forget_positions()

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these partitions, whatever others read.

        Raises:
            IllegalStateError: there is a subscription.
        """
        self._check_open()
        if self._topics or self._pattern:
            raise IllegalStateError(_CHOOSE_ONE)
        wanted = [TopicPartition(*partition) for partition in partitions]
        self._is_assigned_by_hand = bool(wanted)
        self._take(wanted)

    def _take(self, partitions: list[TopicPartition]) -> None:
        self._forget_positions()
        self._paused &= set(partitions)
        with translated():
            if partitions:
                self._client.assign([self._start(partition) for partition in partitions])
            else:
                self._client.unassign()

    def _start(self, partition: TopicPartition) -> ClientPartition:
        """Where to begin: the group knows, or without one the configuration."""
        if self._has_group or self._reset is None:
            return ClientPartition(*partition)
        return ClientPartition(*partition, offset=self._reset)

    def assignment(self) -> set[TopicPartition]:
        """The partitions that are read."""
        self._check_open()
        return as_set(self._client.assignment())

    def _look_for_partitions(self) -> None:
        """Without a group there is nobody but the consumer itself to assign its partitions."""
        is_alone = not self._has_group and (self._topics or self._pattern)
        if not is_alone or time.monotonic() < self._look_at:
            return
        known = self._client.list_topics(timeout=self._request_timeout_s).topics
        found = [
            TopicPartition(name, number)
            for name, topic in sorted(known.items())
            if self._is_wanted(name)
            for number in sorted(topic.partitions)
        ]
        added = set(found) - self.assignment()
        if added and len(added) < len(found):
            self._client.incremental_assign([self._start(each) for each in sorted(added)])
        elif added:
            self._take(found)
        wait_s = self._metadata_age_s if found else _LOOK_AGAIN_SECONDS
        self._look_at = time.monotonic() + wait_s

    def _is_wanted(self, topic: str) -> bool:
        if self._pattern is None:
            return topic in self._topics
        return self._matches(self._pattern, topic)

    def pause(self, *partitions: TopicPartition) -> None:
        """Hand out nothing of these partitions until they are resumed."""
        self._check_assigned(partitions)
        self._client.pause([ClientPartition(*each) for each in partitions])
        self._paused.update(partitions)

    def paused(self) -> set[TopicPartition]:
        """The partitions that are paused."""
        return set(self._paused)

    def resume(self, *partitions: TopicPartition) -> None:
        """Go on with partitions that were paused."""
        self._check_assigned(partitions)
        self._client.resume([ClientPartition(*each) for each in partitions])
        self._paused.difference_update(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on reading a partition at another offset.

        Raises:
            ValueError: the partition is not assigned, or there is no such offset.
        """
        if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
            raise ValueError("Offset must be int >= 0")
        if partition not in self.assignment():
            raise ValueError("Unassigned partition")
        self._seek(partition, offset)

    def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        """Go on reading these partitions, by default all, at their first message."""
        for partition in self._check_assigned(partitions):
            self._seek(partition, OFFSET_BEGINNING)

    def seek_to_end(self, *partitions: TopicPartition) -> None:
        """Go on reading these partitions, by default all, after their last message."""
        for partition in self._check_assigned(partitions):
            self._seek(partition, OFFSET_END)

    def _check_assigned(self, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
        assigned = self.assignment()
        wanted = list(partitions) or sorted(assigned)
        for partition in wanted:
            if partition not in assigned:
                raise KeyError(partition)
        return wanted

    # Reading

    def poll(
        self, timeout_ms: float = 0, max_records: int | None = None, update_offsets: bool = True
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """The next messages by partition; empty when there are none.

        Args:
            timeout_ms: how long to wait for the first one.
            max_records: how many at most, ``max_poll_records`` by default.
            update_offsets: must be true.
        """
        self._check_open()
        if not update_offsets:
            raise ValueError("messages that were handed out count as read")
        limit = self._max_poll_records if max_records is None else max_records
        with translated():
            self._look_for_partitions()
            first = self._client.poll(-1 if timeout_ms == math.inf else timeout_ms / 1000)
            messages = [] if first is None else [first]
            if first is not None and limit > 1:
                messages += self._client.consume(limit - 1, 0)
        self._serve_commits()
        records: dict[TopicPartition, list[ConsumerRecord]] = {}
        for message in messages:
            record = self._record(message)
            if record is not None:
                partition = TopicPartition(record.topic, record.partition)
                records.setdefault(partition, []).append(record)
        return records

    def __iter__(self) -> Iterator[ConsumerRecord]:
        return self

    def __next__(self) -> ConsumerRecord:
        if self._is_closed:
            raise StopIteration("KafkaConsumer closed")
        deadline = time.monotonic() + self._timeout_s
        while True:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise StopIteration
            with translated():
                self._look_for_partitions()
                message = self._client.poll(min(left_s, _LOOK_AGAIN_SECONDS))
            self._serve_commits()
            record = None if message is None else self._record(message)
            if record is not None:
                return record

    def _record(self, message: Message[Any, Any]) -> ConsumerRecord | None:
        error = message.error()
        if error is not None:
            if error.code() in _PASSING:
                _log.warning("%s", error.str())
                return None
            raise error_of(error)
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        epoch = message.leader_epoch()
        self._handed_out(TopicPartition(topic, partition), -1 if epoch is None else epoch)
        key, value = message.key(), message.value()
        headers = list(message.headers() or ())
        kind, timestamp_ms = message.timestamp()
        return ConsumerRecord(
            topic,
            partition,
            -1 if epoch is None else epoch,
            offset,
            timestamp_ms,
            # kafka-python counts from the times of the producer on.
            max(kind - 1, 0),
            deserialized(self._key_deserializer, topic, headers, key),
            deserialized(self._value_deserializer, topic, headers, value),
            headers,
            None,
            -1 if key is None else len(key),
            -1 if value is None else len(value),
            header_size(headers),
        )

    # The end

    def close(self, autocommit: bool = True, timeout_ms: float | None = None) -> None:
        """Commit (with ``enable_auto_commit``), leave the group and end.

        Args:
            autocommit: False: commit nothing.
            timeout_ms: has no effect: nothing waits for long.
        """
        if self._is_closed:
            return
        if not autocommit:
            self._forget_stored()
        self._is_closed = True
        self._close_helpers()
        try:
            self._client.close()
        except KafkaException as exception:
            raise raised(exception) from exception
        close(self._key_deserializer)
        close(self._value_deserializer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
