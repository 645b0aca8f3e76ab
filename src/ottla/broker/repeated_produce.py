"""The short way of the commonest request: a producer's next batch for the partition it writes to.

A connection's produce requests for one partition differ in two places only, the correlation id and
the records. What lies before the records is decoded once, and remembered with what follows from it:
the partition, its settings, the bytes of the answer. A request with those very bytes then needs one
look at its records and one write.

Invariants:

* Whatever is not plain gets ``None``, which sends it the long way (``k00``): nothing is refused
  here, and no rule of producing is stated twice. Nothing has changed then but the base offset and
  leader epoch of its batch, which are the broker's to set anyway.
* What is answered here is answered with the bytes the long way would have sent: the encoder made
  them, and only offsets and error code are filled in.
* What is remembered holds as long as the partition object and its settings are the same; it was
  learned from bytes of the same connection, and ends with it.
"""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING

from ottla.broker.durable_reply import Deadlines
from ottla.broker.errors import error_code_of
from ottla.broker.produce import ACKS_ALL, ACKS_LEADER, ACKS_NONE
from ottla.broker.replies import Parts
from ottla.broker.session import Reply, Session
from ottla.log.errors import LogDirectoryFailed
from ottla.records.stamp import stamp_plain_batch
from ottla.wire.api.k00_produce import (
    ProducedPartition,
    ProducedTopic,
    ProduceRequest,
    ProduceResponse,
    TopicToProduce,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.node import BrokerNode
    from ottla.broker.partition import Partition

_logger = logging.getLogger(__name__)

_KEY_AND_VERSION_BYTES = 4
_BEFORE_CORRELATION_ID = 4
_AFTER_CORRELATION_ID = 8
# Answers have a log start offset from 5 on; lengths are compact, and tags follow, from 9 on.
_FIRST_VERSION = 5
_FIRST_FLEXIBLE_VERSION = 9
_FIRST_VERSION_WITH_TOPIC_IDS = 13
_INT32 = struct.Struct(">i")
# Of the partition, the topic and the request: none of the three has tagged fields.
_TAG_SECTIONS_BYTES = 3
# In an encoded request without records: their length (0 or compact 1), and the three sections.
_AFTER_PREFIX_BYTES = 4
_ATTRIBUTES_POSITION = 22
# Error code, base offset, append time, log start offset.
_RESULT = struct.Struct(">hqqq")
_NO_TIMESTAMP = -1
# What one connection may make the broker remember.
_MAX_PREFIX_BYTES = 1024
_MAX_PARTITIONS = 64


def remember(
    broker: BrokerNode,
    session: Session,
    frame: memoryview,
    body_position: int,
    version: int,
    request: ProduceRequest,
) -> None:
    """Learn from a request that comes the long way, so that the next like it need not."""
    topics = request.topic_data
    if len(topics) != 1 or len(topics[0].partition_data) != 1 or version < _FIRST_VERSION:
        return
    records = topics[0].partition_data[0].records
    if not isinstance(records, memoryview) or len(records) <= _ATTRIBUTES_POSITION:
        return
    if records[_ATTRIBUTES_POSITION]:
        # Compressed or transactional: its like would come the long way again.
        return
    known = session.repeated_produces
    if known is not None and known.has_declined:
        return
    partition = _plain_partition(broker, version, request)
    prefix = _prefix(frame, body_position, version, request)
    if partition is None or prefix is None:
        return
    start = bytes(frame[:_KEY_AND_VERSION_BYTES])
    if known is None or not known.takes(start, prefix):
        known = session.repeated_produces = RepeatedProduces(broker, start, len(prefix), version)
    known.add(prefix, _RepeatedProduce(partition, version, request))


def _plain_partition(broker: BrokerNode, version: int, request: ProduceRequest) -> Partition | None:
    """The request's partition, if batches are appended to it as they are."""
    topic = request.topic_data[0]
    name: str | None = topic.name
    if version >= _FIRST_VERSION_WITH_TOPIC_IDS:
        name = broker.partitions.topic_name(topic.topic_id)
    if name is None or request.transactional_id is not None:
        return None
    try:
        partition = broker.partitions.find(name, topic.partition_data[0].index)
    except ProtocolError:
        return None
    settings = partition.settings
    is_plain = (
        request.acks in (ACKS_ALL, ACKS_LEADER, ACKS_NONE)
        and not partition.is_internal
        and not settings.is_compacted
        and not settings.is_log_append_time
        and settings.codec is None
        and (request.acks != ACKS_ALL or len(partition.isr) >= settings.min_insync_replicas)
    )
    return partition if is_plain else None


def _prefix(
    frame: memoryview, body_position: int, version: int, request: ProduceRequest
) -> bytes | None:
    """What lies between the correlation id and the length of the records.

    Found by encoding the request anew, without its records: if that gives the bytes that came, it
    is certain where the records' length is.
    """
    wanted = request.topic_data[0].partition_data[0]
    records, wanted.records = wanted.records, b""
    try:
        body = request.encode(version)[:-_AFTER_PREFIX_BYTES]
    finally:
        wanted.records = records
    end = body_position + len(body)
    prefix = bytes(frame[_AFTER_CORRELATION_ID:end])
    if len(prefix) > _MAX_PREFIX_BYTES or frame[body_position:end] != body:
        return None
    return prefix


class RepeatedProduces:
    """What a connection's produce requests begin with: all of one version and one length."""

    __slots__ = (
        "_broker",
        "_end",
        "_is_flexible",
        "_known",
        "_start",
        "_unpack",
        "has_declined",
    )

    def __init__(self, broker: BrokerNode, start: bytes, prefix_bytes: int, version: int) -> None:
        self._broker = broker
        self._start = start
        self._end = _AFTER_CORRELATION_ID + prefix_bytes
        self._unpack = struct.Struct(f">4si{prefix_bytes}s").unpack_from
        self._is_flexible = version >= _FIRST_FLEXIBLE_VERSION
        self._known: dict[bytes, _RepeatedProduce] = {}
        self.has_declined = False
        """Whether the last request was known but not plain: there is nothing to learn from it."""

    def takes(self, start: bytes, prefix: bytes) -> bool:
        """Whether a request that begins so may be added."""
        return start == self._start and len(prefix) == self._end - _AFTER_CORRELATION_ID

    def add(self, prefix: bytes, known: _RepeatedProduce) -> None:
        if len(self._known) < _MAX_PARTITIONS:
            self._known[prefix] = known

    def answer(self, session: Session, frame: memoryview) -> Reply | Parts | None:
        """Run a request like one before; ``None`` for any other."""
        self.has_declined = False
        end = self._end
        size = len(frame)
        if size <= end + _INT32.size:
            return None
        start, correlation_id, prefix = self._unpack(frame)
        known = self._known.get(prefix)
        if known is None or start != self._start:
            return None
        if not known.holds():
            del self._known[prefix]
            return None
        if self._is_flexible:
            position, records_bytes = _compact_length(frame, end)
            size -= _TAG_SECTIONS_BYTES
            if frame[size] or frame[size + 1] or frame[size + 2]:
                return None
        else:
            position = end + _INT32.size
            (records_bytes,) = _INT32.unpack_from(frame, end)
        if position + records_bytes != size:
            return None
        outcome = known.append(self._broker, session, frame, position, size, correlation_id)
        self.has_declined = outcome is None
        return outcome


def _compact_length(frame: memoryview, position: int) -> tuple[int, int]:
    """Where records begin whose compact length is at ``position``, and the length.

    At least five bytes must follow. A length of more than that, or none, is -1.
    """
    shift = value = 0
    for index in range(position, position + 5):
        byte = frame[index]
        if byte < 0x80:
            return index + 1, value + (byte << shift) - 1
        value += (byte - 0x80) << shift
        shift += 7
    return position, -1


class _RepeatedProduce:
    """One partition's produce request as it comes again and again."""

    __slots__ = (
        "_acks",
        "_after_max_ms",
        "_answer",
        "_before_max_ms",
        "_isr",
        "_max_message_bytes",
        "_partition",
        "_settings",
        "_timeout_ms",
    )

    def __init__(self, partition: Partition, version: int, request: ProduceRequest) -> None:
        settings = partition.settings
        self._partition = partition
        self._settings = settings
        self._isr = partition.isr
        self._acks = request.acks
        self._timeout_ms = request.timeout_ms
        self._max_message_bytes = settings.max_message_bytes
        self._before_max_ms = settings.timestamp_before_max_ms
        self._after_max_ms = settings.timestamp_after_max_ms
        self._answer = _Answer(version, request.topic_data[0])

    def holds(self) -> bool:
        """Whether all is as it was when this was learned."""
        partition = self._partition
        return (
            partition.failure is None
            and partition.settings is self._settings
            and partition.isr is self._isr
        )

    def append(
        self,
        broker: BrokerNode,
        session: Session,
        frame: memoryview,
        position: int,
        end: int,
        correlation_id: int,
    ) -> Reply | Parts | None:
        """Append the records at ``position``; ``None`` if they need the long way."""
        if end - position > self._max_message_bytes:
            return None
        partition = self._partition
        log = partition.log
        header = stamp_plain_batch(
            frame,
            position,
            end,
            base_offset=log.log_end_offset,
            leader_epoch=partition.leader_epoch,
            now_ms=broker.clock.wall_ms(),
            before_max_ms=self._before_max_ms,
            after_max_ms=self._after_max_ms,
        )
        if header is None:
            return None
        try:
            if not partition.append_next(frame[position:end], header):
                return None
        except LogDirectoryFailed as failure:
            # The long way will find the partition offline, and say so.
            broker.storage_failed(partition, failure)
            return None
        if self._acks == ACKS_NONE:
            return ()
        data = self._answer.pack(correlation_id, header.base_offset, log.log_start_offset)
        next_offset = header.next_offset
        if self._acks == ACKS_LEADER or partition.high_watermark >= next_offset:
            return (data,)
        reply = DurableAnswer(session, self._answer, data, broker.deadlines, self._timeout_ms)
        partition.when_reached(next_offset, reply)
        return reply


class _Answer:
    """The bytes of a produce answer for one partition, but for its result."""

    __slots__ = ("_after", "_before", "_pack", "_result_position", "_size")

    def __init__(self, version: int, topic: TopicToProduce) -> None:
        zeros, ones = (_encoded_answer(version, topic, fill) for fill in (0, -1))
        pairs = enumerate(zip(zeros, ones, strict=True))
        differing = [index for index, (zero, one) in pairs if zero != one]
        start, end = differing[0], differing[-1] + 1
        assert end - start == len(differing) == _RESULT.size
        tags = b"\0" if version >= _FIRST_FLEXIBLE_VERSION else b""
        self._before = tags + zeros[:start]
        self._after = zeros[end:]
        layout = struct.Struct(f">ii{len(self._before)}shqqq{len(self._after)}s")
        self._pack = layout.pack
        self._size = layout.size - _INT32.size
        self._result_position = 2 * _INT32.size + len(self._before)

    def pack(self, correlation_id: int, base_offset: int, log_start_offset: int) -> bytes:
        """The whole frame of a good answer."""
        return self._pack(
            self._size,
            correlation_id,
            self._before,
            0,
            base_offset,
            _NO_TIMESTAMP,
            log_start_offset,
            self._after,
        )

    def with_error(self, data: bytes, code: ErrorCode) -> bytes:
        """The same frame with an error code."""
        position = self._result_position
        return data[:position] + code.to_bytes(2, "big", signed=True) + data[position + 2 :]


def _encoded_answer(version: int, topic: TopicToProduce, fill: int) -> bytes:
    produced = ProducedPartition(
        index=topic.partition_data[0].index,
        error_code=fill,
        base_offset=fill,
        log_append_time_ms=fill,
        log_start_offset=fill,
    )
    answered = ProducedTopic(
        name=topic.name, topic_id=topic.topic_id, partition_responses=[produced]
    )
    return ProduceResponse(responses=[answered]).encode(version)


class DurableAnswer(Reply):
    """A reply that leaves once its partition's high watermark has passed the records.

    It waits for the watermark, and for its deadline, without any other object.
    """

    __slots__ = ("_answer", "_data", "_deadlines", "_session", "deadline")

    def __init__(
        self,
        session: Session,
        answer: _Answer,
        data: bytes,
        deadlines: Deadlines,
        timeout_ms: int,
    ) -> None:
        super().__init__(overlaps=True)
        self._session = session
        self._answer = answer
        self._data = data
        self._deadlines = deadlines
        self.deadline = deadlines.add(self, timeout_ms)

    def reached(self) -> None:
        self._finish(self._data)

    def failed(self, error: Exception) -> None:
        """The disk failed, or the topic is gone: what was appended may be lost."""
        self._finish(self._answer.with_error(self._data, error_code_of(error)))

    def expire(self) -> None:
        """The client's time is up; what was appended stays appended, as in Kafka."""
        self._finish(self._answer.with_error(self._data, ErrorCode.REQUEST_TIMED_OUT))

    def _finish(self, data: bytes) -> None:
        if self.parts is not None:
            return
        self._deadlines.remove(self)
        try:
            self._session.complete(self, (data,))
        except Exception:
            # Whoever waits beside this connection must still be told.
            _logger.exception("closing %s: its produce failed", self._session.client_host)
            self._session.close()
