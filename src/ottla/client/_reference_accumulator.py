"""From produce() to batches."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Any

from ottla.client._reference_batch import ProducerBatch
from ottla.client._reference_partitioners import HASHES
from ottla.client.appended import (
    APPENDED,
    PARTITIONERS,
    QUEUE_FULL,
    TOO_LARGE,
    UNKNOWN_PARTITION,
    UNKNOWN_TOPIC,
    WAKE,
    header_pairs,
)
from ottla.client.arguments import int32, int64
from ottla.ports.clock import Clock, SystemClock
from ottla.records.record import Record

Headers = dict[str, bytes | str | None] | Sequence[tuple[str, bytes | str | None]] | None

_PAUSE_EVERY_BYTES = 1 << 20
_LONGEST_PAUSE_S = 0.001


class _Queue:
    """The batches of one partition that nobody has taken yet; partition -1 is not chosen yet."""

    def __init__(self, topic: _Topic, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.open: ProducerBatch | None = None
        self.sealed: list[ProducerBatch] = []
        self.is_active = False

    def emptied(self) -> list[ProducerBatch]:
        taken, self.sealed = self.sealed, []
        if self.open is not None:
            taken.append(self.open)
            self.open = None
        return taken


class _Topic:
    def __init__(self, name: str) -> None:
        self.name = name
        self.partition_count = 0  # not known yet
        self.queues: dict[int, _Queue] = {}
        self.is_refused = False
        self.sticky_partition = -1
        self.sticky_since_ms = 0

    def queue(self, partition: int) -> _Queue:
        return self.queues.setdefault(partition, _Queue(self, partition))


class Accumulator:
    """Collects records into batches per partition, and counts them until they are delivered.

    Any thread of the application may call ``append``, ``len`` and the counts; everything else is
    the engine's, in one thread. The native twin needs no lock beyond the GIL.

    Args:
        batch_size_bytes: a batch is closed before it grows beyond this.
        batch_max_records: and when it has so many records.
        linger_ms: how long a batch waits for more.
        max_messages: how many records may wait for their delivery.
        max_bytes: how many bytes they may have, encoded.
        max_message_bytes: what one record may need as a batch of its own.
        partitioner: one of ``PARTITIONERS``.
        sticky_linger_ms: how long records without a key stay with a partition; 0: each its own.
        seed: of the random choices.
        most_ahead_bytes: with more than that in full batches without an outcome, ``produce`` pauses
            for a moment after each MiB; None: never, for who produces on the engine's own thread.
        clock: where time is read; the system's without one.
    """

    def __init__(
        self,
        *,
        batch_size_bytes: int = 1_000_000,
        batch_max_records: int = 10_000,
        linger_ms: int = 5,
        max_messages: int = 100_000,
        max_bytes: int = 1 << 30,
        max_message_bytes: int = 1_000_000,
        partitioner: str = "consistent_random",
        sticky_linger_ms: int = 10,
        seed: int = 0,
        most_ahead_bytes: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        if partitioner not in PARTITIONERS:
            raise ValueError(f"unknown partitioner {partitioner}")
        self.linger_ms = linger_ms
        self.is_flushing = False
        """While true, no batch lingers."""
        self.has_futures = False
        """Whether futures were ever among the callbacks."""
        self.message_count = 0
        """Records appended and not yet released."""
        self.byte_count = 0
        """Their bytes, encoded."""
        self.ahead_bytes = 0
        """Of them, those in batches that were closed because they were full."""
        self.pause_count = 0
        """How often ``produce`` has paused."""
        self._most_ahead_bytes = most_ahead_bytes
        self._unpaused_bytes = 0
        self._batch_size_bytes = min(batch_size_bytes, max_message_bytes)
        self._batch_max_records = batch_max_records
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._max_message_bytes = max_message_bytes
        self._partitioner = partitioner
        self._sticky_linger_ms = sticky_linger_ms
        self._random = random.Random(seed)  # noqa: S311 - spreads records, hides nothing
        self._clock = SystemClock() if clock is None else clock
        # Between looking at a batch and writing to it, the engine must not take it.
        self._lock = threading.RLock()
        self._batch_returned = threading.Condition(self._lock)
        self._topics: dict[str, _Topic] = {}
        self._active: list[_Queue] = []
        self._engine_is_awake = False

    def __len__(self) -> int:
        return self.message_count

    @property
    def is_full(self) -> bool:
        """Whether ``append`` would answer ``QUEUE_FULL``."""
        return self.message_count >= self._max_messages or self.byte_count >= self._max_bytes

    def append(
        self,
        topic: str,
        partition: int = -1,
        key: bytes | str | None = None,
        value: bytes | str | None = None,
        headers: Any = None,
        timestamp_ms: int = 0,
        callback: Any = None,
    ) -> int:
        """Encode a record into the open batch of its partition; any thread.

        Without a partition the partitioner chooses one, as soon as the topic is known.
        ``timestamp_ms`` 0 means now. ``callback`` is any object; ``Deliveries`` hands it back.

        Returns one of ``ottla.client.appended``: ``APPENDED``, ``WAKE`` or why it was refused.
        Raises ``TypeError`` for keys, values and headers that can't be encoded.
        """
        if not isinstance(topic, str):
            raise TypeError(f"topic must be str, not {type(topic).__name__}")
        record = self._record(key, value, headers, int64(timestamp_ms))
        partition = int32(partition)
        with self._lock:
            return self._append(topic, partition, record, callback)

    def _append(self, topic: str, partition: int, record: Record, callback: Any) -> int:
        entry = self._topics.setdefault(topic, _Topic(topic))
        if entry.is_refused:
            return UNKNOWN_TOPIC
        if entry.partition_count and not -1 <= partition < entry.partition_count:
            return UNKNOWN_PARTITION
        alone = ProducerBatch(self, topic, partition, 0)
        size_bytes = alone.size_with(record.key, record.value, record.headers, record.timestamp_ms)
        if size_bytes > self._max_message_bytes:
            return TOO_LARGE
        record_bytes = size_bytes - alone.plain_size_bytes
        if (
            self.message_count >= self._max_messages
            or self.byte_count + record_bytes > self._max_bytes
        ):
            return QUEUE_FULL
        waiting = None if callback is None else (callback, self._clock.monotonic())
        return self._put(self._queue(entry, partition, record.key), record, waiting)

    def _record(self, key: Any, value: Any, headers: Any, timestamp_ms: int) -> Record:
        pairs = header_pairs(headers)
        names = [name.decode() for name in pairs[::2] if name is not None]
        return Record(
            0,
            timestamp_ms or self._clock.wall_ms(),
            _encoded(key),
            _encoded(value),
            tuple(zip(names, pairs[1::2], strict=True)),
        )

    def _put(self, queue: _Queue, record: Record, waiting: tuple[Any, float] | None) -> int:
        is_full = False
        batch = queue.open
        if batch is not None and not self._has_room(batch, record):
            queue.sealed.append(batch)
            self._close(batch)
            batch, is_full = None, True
        if batch is None:
            now_ms = int(self._clock.monotonic() * 1000)
            batch = queue.open = ProducerBatch(self, queue.topic.name, queue.partition, now_ms)
        batch.append(record, waiting)
        is_full = is_full or batch.record_count >= self._batch_max_records
        if not queue.is_active:
            queue.is_active = True
            self._active.append(queue)
        elif not is_full:
            return APPENDED
        if self._engine_is_awake:
            return APPENDED
        self._engine_is_awake = True
        return WAKE

    def _close(self, batch: ProducerBatch) -> None:
        batch.is_ahead = True
        self.ahead_bytes += batch.plain_size_bytes
        self._unpaused_bytes += batch.plain_size_bytes

    def returned(self, batch: ProducerBatch) -> None:
        """Batches tell here that they have their outcome."""
        with self._lock:
            if batch.is_ahead:
                batch.is_ahead = False
                self.ahead_bytes -= batch.plain_size_bytes
                self._batch_returned.notify_all()

    def pause_if_ahead(self) -> None:
        """Let a batch that was sent come back, for a moment, if too many are on their way."""
        with self._batch_returned:
            limit_bytes = self._most_ahead_bytes
            if limit_bytes is None or self.ahead_bytes <= limit_bytes:
                return
            if self._unpaused_bytes > _PAUSE_EVERY_BYTES:
                self._unpaused_bytes = 0
                self.pause_count += 1
                self._batch_returned.wait(_LONGEST_PAUSE_S)

    def _has_room(self, batch: ProducerBatch, record: Record) -> bool:
        _, timestamp_ms, key, value, headers = record
        return (
            batch.record_count < self._batch_max_records
            and batch.size_with(key, value, headers, timestamp_ms) <= self._batch_size_bytes
        )

    def _queue(self, topic: _Topic, partition: int, key: bytes | None) -> _Queue:
        if partition == -1 and topic.partition_count:
            partition = self._choose(topic, key)
        return topic.queue(partition)

    def _choose(self, topic: _Topic, key: bytes | None) -> int:
        is_hashed = bool(key) or self._partitioner in ("consistent", "murmur2", "fnv1a")
        if key == b"":
            is_hashed = self._partitioner != "consistent_random"
        if is_hashed and self._partitioner != "random":
            return HASHES[self._partitioner](key or b"") % topic.partition_count
        if key or self._sticky_linger_ms <= 0:
            return self._random.randrange(topic.partition_count)
        return self._sticky(topic)

    def _sticky(self, topic: _Topic) -> int:
        chosen = topic.sticky_partition
        if chosen >= 0 and topic.queue(chosen).open is not None:
            return chosen
        now_ms = int(self._clock.monotonic() * 1000)
        if chosen >= 0 and now_ms - topic.sticky_since_ms < self._sticky_linger_ms:
            return chosen
        others = [number for number in range(topic.partition_count) if number != chosen]
        topic.sticky_partition = self._random.choice(others or [0])
        topic.sticky_since_ms = now_ms
        return topic.sticky_partition

    @property
    def has_batches(self) -> bool:
        """Whether there is anything to take, now or later."""
        return bool(self._active)

    def ready(self, now_ms: int) -> tuple[list[tuple[str, int]], int | None]:
        """Which partitions have a batch to take, and when the next one will (None: unknown).

        Batches of topics that aren't known yet are never ready. Only ``append`` after this call
        answers ``WAKE`` again.
        """
        with self._lock:
            self._engine_is_awake = False
            found: list[tuple[str, int]] = []
            due: list[int] = []
            for queue in self._active:
                queue.is_active = queue.open is not None or bool(queue.sealed)
                if queue.is_active and queue.topic.partition_count:
                    due_ms = self._due_ms(queue)
                    if due_ms <= now_ms:
                        found.append((queue.topic.name, queue.partition))
                    else:
                        due.append(due_ms)
            self._active = [queue for queue in self._active if queue.is_active]
            return found, min(due, default=None)

    def _due_ms(self, queue: _Queue) -> int:
        batch = queue.open
        if (
            queue.sealed
            or batch is None
            or self.is_flushing
            or batch.record_count >= self._batch_max_records
            or batch.plain_size_bytes >= self._batch_size_bytes
        ):
            return -1
        return batch.created_ms + self.linger_ms

    def take(self, topic: str, partition: int) -> ProducerBatch | None:
        """The oldest batch of a partition, closed to more records; None when there is none."""
        with self._lock:
            entry = self._topics.get(topic)
            if entry is None or not 0 <= partition < entry.partition_count:
                return None
            queue = entry.queue(partition)
            if queue.sealed:
                batch: ProducerBatch | None = queue.sealed.pop(0)
            else:
                batch, queue.open = queue.open, None
            if queue.is_active and queue.open is None and not queue.sealed:
                queue.is_active = False
                self._active.remove(queue)
            return batch

    def unassigned_topics(self) -> list[str]:
        """Topics that records were appended to and whose partitions aren't known."""
        with self._lock:
            return [
                topic.name
                for topic in self._topics.values()
                if not topic.partition_count and not topic.is_refused
            ]

    def set_partition_count(self, topic: str, partition_count: int) -> list[ProducerBatch]:
        """The topic is known, or has grown: assign the records that waited for that.

        Returns batches for partitions that don't exist; they fail with ``_UNKNOWN_PARTITION``.
        """
        with self._lock:
            if partition_count <= 0:
                raise ValueError(f"a topic has at least one partition, not {partition_count}")
            entry = self._topics.setdefault(topic, _Topic(topic))
            entry.is_refused = False
            entry.partition_count = max(partition_count, entry.partition_count)
            orphans: list[ProducerBatch] = []
            for number, queue in sorted(entry.queues.items()):
                if number == -1:
                    for batch in queue.emptied():
                        for record, waiting in batch.entries():
                            self._put(self._queue(entry, -1, record.key), record, waiting)
                        batch.release()
                elif not 0 <= number < entry.partition_count:
                    orphans += queue.emptied()
            return orphans

    def refuse_topic(self, topic: str) -> list[ProducerBatch]:
        """The topic did not appear: refuse it until ``set_partition_count``; what waited for it."""
        with self._lock:
            entry = self._topics.setdefault(topic, _Topic(topic))
            entry.is_refused = True
            return [batch for queue in entry.queues.values() for batch in queue.emptied()]

    def take_all(self) -> list[ProducerBatch]:
        """Every batch, for ``purge``."""
        with self._lock:
            return [
                batch
                for topic in self._topics.values()
                for queue in topic.queues.values()
                for batch in queue.emptied()
            ]

    def take_created_before(self, limit_ms: int) -> list[ProducerBatch]:
        """Batches whose first record came before a time: they have waited too long."""
        with self._lock:
            taken: list[ProducerBatch] = []
            for queue in self._active:
                while queue.sealed and queue.sealed[0].created_ms < limit_ms:
                    taken.append(queue.sealed.pop(0))
                if not queue.sealed and queue.open is not None and queue.open.created_ms < limit_ms:
                    taken += queue.emptied()
            return taken

    def count(self, records: int, size_bytes: int) -> None:
        """Batches tell here what was added to them and what was delivered."""
        with self._lock:
            self.message_count += records
            self.byte_count += size_bytes


def _encoded(content: object) -> bytes | None:
    if content is None or isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    raise TypeError(f"a key or value must be bytes, str or None, not {type(content).__name__}")
