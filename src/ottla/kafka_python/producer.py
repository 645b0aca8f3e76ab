"""``KafkaProducer`` as kafka-python has it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from ottla.client.core.membership.membership import GroupMetadata
from ottla.client.errors import KafkaException
from ottla.client.group_metadata import encode_group_metadata
from ottla.client.message import Message
from ottla.client.sync.producer import Producer
from ottla.client.values import TopicPartition as ClientPartition
from ottla.kafka_python.connecting import connected
from ottla.kafka_python.errors import (
    IllegalStateError,
    KafkaConfigurationError,
    KafkaTimeoutError,
    error_of,
    raised,
)
from ottla.kafka_python.future import Future
from ottla.kafka_python.serializer import Headers, close, serialized
from ottla.kafka_python.settings import PRODUCER, properties
from ottla.kafka_python.structs import (
    ConsumerGroupMetadata,
    OffsetAndMetadata,
    RecordMetadata,
    TopicPartition,
    header_size,
)
from ottla.wire.errors import ErrorCode

_log = logging.getLogger(__name__)

_DEFAULT_MAX_BLOCK_MS = 60_000
_LOOK_AGAIN_SECONDS = 0.1
_MAX_IN_FLIGHT_IDEMPOTENT = 5
_CLOSED = "KafkaProducer already closed!"
_CODECS = (None, "none", "gzip", "snappy", "lz4", "zstd")


class KafkaProducer:
    """Sends messages; each ``send`` returns a future of where the message went.

    Takes kafka-python's settings as keywords. All methods may be called from any thread.

    Raises:
        ValueError: an unknown setting.
        KafkaConfigurationError: settings that exclude each other.
        KafkaTimeoutError: no broker could be reached within ``bootstrap_timeout_ms``.
    """

    def __init__(self, **configs: Any) -> None:
        self._key_serializer = configs.get("key_serializer")
        self._value_serializer = configs.get("value_serializer")
        self._partitioner = configs.get("partitioner")
        self._max_block_s = configs.get("max_block_ms", _DEFAULT_MAX_BLOCK_MS) / 1000
        self._transactional_id = configs.get("transactional_id")
        if configs.get("compression_type") not in _CODECS:
            raise ValueError(f"Not supported codec: {configs['compression_type']}")
        settings = {
            "linger.ms": 0,
            "partitioner": "murmur2_random",
            **properties(configs, PRODUCER, ValueError),
        }
        settings["enable.idempotence"] = _is_idempotent(configs)
        with _translated():
            self._producer = connected(Producer, settings, configs)
        self._partition_counts: dict[str, int] = {}
        self._unfinished: set[concurrent.futures.Future[Any]] = set()
        self._is_closed = False

    # Messages

    def send(
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> Future[RecordMetadata]:
        """Send a message.

        Args:
            topic: where it goes.
            value: what it says; None needs a key, and deletes what was there in compacted topics.
            key: decides about the partition, unless ``partition`` does.
            headers: (name, value) pairs.
            partition: the partition.
            timestamp_ms: its time since the epoch in milliseconds, by default now.

        Raises:
            KafkaTimeoutError: the topic is unknown, or there is no room, for ``max_block_ms``.
            TypeError: a value that can't be sent.
            ValueError: no such partition, or neither key nor value.
            IllegalStateError: the producer is closed, or there is no transaction.
        """
        if self._is_closed:
            raise IllegalStateError(_CLOSED)
        if not isinstance(topic, str):
            raise TypeError("All topics must be strings")
        if value is None and key is None:
            raise ValueError("Need at least one: key or value")
        listed = _checked_headers(headers)
        key_bytes = _bytes(serialized(self._key_serializer, topic, listed, key), "key")
        value_bytes = _bytes(serialized(self._value_serializer, topic, listed, value), "value")
        number = self._partition(topic, partition, key_bytes)
        with _translated():
            source = self._producer.send(
                topic,
                value_bytes,
                key_bytes,
                number,
                timestamp_ms or 0,
                listed,
                timeout=self._max_block_s,
            )
        self._unfinished.add(source)
        source.add_done_callback(self._unfinished.discard)
        sizes = (_size(key_bytes), _size(value_bytes), header_size(listed))
        return Future(source, lambda message: _metadata(message, sizes))

    def _partition(self, topic: str, partition: int | None, key: bytes | None) -> int:
        count = self._partition_counts.get(topic)
        if count is None or (partition is not None and partition >= count):
            count = len(self.partitions_for(topic))
        if partition is None:
            if self._partitioner is None:
                return -1
            numbers = list(range(count))
            return int(self._partitioner(key, numbers, numbers))
        if partition < 0:
            raise ValueError("partition must be >= 0")
        if partition >= count:
            raise ValueError(f"Unrecognized partition {partition} for topic {topic}")
        return partition

    def flush(self, timeout: float | None = None) -> None:
        """Send everything now, and wait until it is delivered or has failed.

        Args:
            timeout: in seconds; None for no limit.

        Raises:
            KafkaTimeoutError: it took longer.
        """
        if self._is_closed:
            return
        deadline = None if timeout is None else time.monotonic() + timeout
        unfinished = list(self._unfinished)
        left = self._producer.flush(-1 if timeout is None else timeout)
        left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        _, late = concurrent.futures.wait(unfinished, left_s)
        if left or late:
            raise KafkaTimeoutError(f"Failed to flush all messages within {timeout} secs.")

    def partitions_for(self, topic: str) -> set[int]:
        """The numbers of a topic's partitions.

        Raises:
            KafkaTimeoutError: nobody knows the topic for ``max_block_ms``.
        """
        deadline = time.monotonic() + self._max_block_s
        while True:
            left_s = deadline - time.monotonic()
            with _translated():
                listed = self._producer.list_topics(topic, max(0.01, left_s)).topics[topic]
            if listed.error is None and listed.partitions:
                self._partition_counts[topic] = len(listed.partitions)
                return set(listed.partitions)
            if listed.error is not None and listed.error.code() in _HOPELESS_TOPICS:
                raise error_of(listed.error)
            if left_s <= _LOOK_AGAIN_SECONDS:
                raise KafkaTimeoutError(
                    f"Failed to get metadata of {topic} within {self._max_block_s} secs."
                )
            self._producer.poll(_LOOK_AGAIN_SECONDS)

    def bootstrap_connected(self) -> bool:
        """Whether a broker could be reached, which the constructor waits for."""
        return not self._is_closed

    def metrics(self, raw: bool = False) -> dict[str, dict[str, float]]:
        """How much waits to be sent."""
        waiting = 0 if self._is_closed else len(self._producer)
        return {"producer-metrics": {"record-queue-size": float(waiting)}}

    def close(self, timeout: float | None = None, null_logger: bool = False) -> None:
        """Wait until everything is delivered, then end.

        Args:
            timeout: in seconds; what has no outcome by then is given up.
            null_logger: has no effect.
        """
        if self._is_closed:
            return
        if timeout is not None and self._producer.flush(timeout):
            _log.warning("messages were given up when the producer was closed")
            self._producer.purge()
        self._is_closed = True
        self._producer.close()
        close(self._key_serializer)
        close(self._value_serializer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Transactions

    def init_transactions(self) -> None:
        """Get ready for transactions; whoever uses the same ``transactional_id`` is fenced."""
        if self._transactional_id is None:
            raise IllegalStateError(
                "Cannot call init_transactions without setting a transactional_id."
            )
        with _translated():
            self._producer.init_transactions()

    def begin_transaction(self) -> None:
        """Begin a transaction."""
        self._check_transactional()
        with _translated():
            self._producer.begin_transaction()

    def send_offsets_to_transaction(
        self,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        group_metadata: ConsumerGroupMetadata | str,
    ) -> None:
        """Commit a consumer's offsets if, and only if, the transaction is committed.

        Args:
            offsets: the next offsets to consume.
            group_metadata: the consumer's ``group_metadata()``, or just the name of its group.
        """
        self._check_transactional()
        if isinstance(group_metadata, str):
            group = GroupMetadata(group_metadata)
        else:
            group = GroupMetadata(*group_metadata[:4])
        positions = [
            ClientPartition(*partition, offset=entry.offset or 0, metadata=entry.metadata or None)
            for partition, entry in offsets.items()
        ]
        with _translated():
            self._producer.send_offsets_to_transaction(positions, encode_group_metadata(group))

    def commit_transaction(self) -> None:
        """Wait for the outcome of all messages, and commit."""
        self._check_transactional()
        with _translated():
            self._producer.commit_transaction()

    def abort_transaction(self) -> None:
        """Give up all messages of the transaction."""
        self._check_transactional()
        with _translated():
            self._producer.abort_transaction()

    def _check_transactional(self) -> None:
        if self._transactional_id is None:
            raise IllegalStateError(
                "Cannot use transactional methods without enabling transactions"
            )


_HOPELESS_TOPICS = frozenset(
    {ErrorCode.INVALID_TOPIC_EXCEPTION, ErrorCode.TOPIC_AUTHORIZATION_FAILED}
)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except KafkaException as exception:
        raise raised(exception) from exception
    except BufferError as error:
        raise KafkaTimeoutError("there was no room for another message") from error


def _is_idempotent(configs: Mapping[str, Any]) -> bool:
    """On by default; settings that contradict it turn it off, unless it was asked for."""
    wanted = configs.get("enable_idempotence")
    is_asked_for = bool(wanted) or configs.get("transactional_id") is not None
    if wanted is False:
        if configs.get("transactional_id") is not None:
            raise KafkaConfigurationError("Cannot set transactional_id without enable_idempotence.")
        return False
    conflicts = [
        f"{name}={configs[name]}"
        for name, is_possible in (
            ("acks", lambda value: value in (-1, "all")),
            ("retries", lambda value: value > 0),
            (
                "max_in_flight_requests_per_connection",
                lambda value: value <= _MAX_IN_FLIGHT_IDEMPOTENT,
            ),
        )
        if name in configs and not is_possible(configs[name])
    ]
    if conflicts and is_asked_for:
        raise KafkaConfigurationError(
            f"enable_idempotence=True is incompatible with user-provided {', '.join(conflicts)}"
        )
    return not conflicts


def _checked_headers(headers: Headers | None) -> Headers:
    if headers is None:
        return []
    if not isinstance(headers, list):
        raise TypeError("headers must be list-type")
    for header in headers:
        is_pair = isinstance(header, tuple) and len(header) == 2
        if not (is_pair and isinstance(header[0], str) and isinstance(header[1], bytes)):
            raise TypeError("All headers items must be (str, bytes) tuples")
    return headers


def _bytes(data: Any, what: str) -> bytes | None:
    if data is None or isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"Unsupported type for serialized {what}: {type(data)}")


def _size(data: bytes | None) -> int:
    return -1 if data is None else len(data)


def _metadata(message: Message[Any, Any], sizes: tuple[int, int, int]) -> RecordMetadata:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    return RecordMetadata(
        topic,
        partition,
        TopicPartition(topic, partition),
        -1 if offset is None else offset,
        message.timestamp()[1],
        None,
        *sizes,
    )
