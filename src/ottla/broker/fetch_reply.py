"""The bytes of a fetch reply, written without objects for its many parts.

A consumer that reads a lot is answered with many partitions in each of many replies, and what is
said of nearly all of them has one shape. Only that shape is written here; a reply that tells of
aborted transactions or of logs that diverge goes the long way, through the declared message. Both
ways give the same bytes.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ottla.broker.dispatch import EncodedParts
from ottla.wire.primitives import compact_length

if TYPE_CHECKING:
    from ottla.broker.fetch import PartitionResult
    from ottla.broker.fetch_sessions import TopicKey
    from ottla.broker.replies import FileSlice

_FIRST_VERSION_WITH_LOG_START = 5
_FIRST_VERSION_WITH_SESSIONS = 7
_FIRST_VERSION_WITH_REPLICAS = 11
_FIRST_FLEXIBLE_VERSION = 12
_INT16, _INT32 = struct.Struct(">h"), struct.Struct(">i")
# Index, error code, high watermark, last stable offset, log start offset.
_WITH_LOG_START, _WITHOUT_LOG_START = struct.Struct(">ihqqq"), struct.Struct(">ihqq")
_NULL = -1
_NO_PREFERRED_REPLICA = _INT32.pack(-1)
_NO_TAGS = b"\0"
_NONE_THROTTLED_NO_ERROR = bytes(6)


def is_plain(results: Sequence[PartitionResult]) -> bool:
    """Whether nothing has to be said that isn't written here."""
    for result in results:
        if result.diverging_epoch is not None or result.aborted_transactions:
            return False
    return True


class FetchReplies:
    """Encodes plain replies of one version.

    Args:
        read_committed: what is asked for; aborted transactions are an empty list then, else null.
    """

    __slots__ = (
        "_after_facts",
        "_is_flexible",
        "_length",
        "_pack_facts",
        "_tags",
        "_version",
    )

    def __init__(self, version: int, *, read_committed: bool) -> None:
        self._version = version
        self._is_flexible = version >= _FIRST_FLEXIBLE_VERSION
        self._tags = _NO_TAGS if self._is_flexible else b""
        # Of an array, and of records.
        self._length = _compact_length_of if self._is_flexible else _INT32.pack
        has_log_start = version >= _FIRST_VERSION_WITH_LOG_START
        self._pack_facts = _WITH_LOG_START.pack if has_log_start else _pack_without_log_start
        self._after_facts = self._length(0 if read_committed else _NULL)
        if version >= _FIRST_VERSION_WITH_REPLICAS:
            self._after_facts += _NO_PREFERRED_REPLICA

    def encode(self, session_id: int, results: Sequence[PartitionResult]) -> EncodedParts:
        """The reply's body; ``is_plain`` has to hold."""
        topics: dict[TopicKey, list[PartitionResult]] = {}
        for result in results:
            topic_key = result.wanted.key[0]
            if topic_key in topics:
                topics[topic_key].append(result)
            else:
                topics[topic_key] = [result]
        parts: list[bytes | FileSlice] = []
        size_bytes = 0
        run = [self._start(session_id), self._length(len(topics))]
        for topic_key, of_topic in topics.items():
            run += (self._topic(topic_key), self._length(len(of_topic)))
            size_bytes += self._add_partitions(parts, run, of_topic)
            run.append(self._tags)
        run.append(self._tags)
        rest = b"".join(run)
        if rest or not parts:
            parts.append(rest)
            size_bytes += len(rest)
        return EncodedParts(parts, size_bytes)

    def _start(self, session_id: int) -> bytes:
        if self._version < _FIRST_VERSION_WITH_SESSIONS:
            return bytes(_INT32.size)
        return _NONE_THROTTLED_NO_ERROR + _INT32.pack(session_id)

    def _topic(self, key: TopicKey) -> bytes:
        if isinstance(key, uuid.UUID):
            return key.bytes
        name = key.encode()
        length = len(name)
        return (compact_length(length + 1) if self._is_flexible else _INT16.pack(length)) + name

    def _add_partitions(
        self,
        parts: list[bytes | FileSlice],
        run: list[bytes],
        results: Sequence[PartitionResult],
    ) -> int:
        """Bytes go to ``run``, which is joined and becomes a part before each slice.

        Returns the size of the parts added.
        """
        pack, after_facts, tags = self._pack_facts, self._after_facts, self._tags
        length = self._length
        size_bytes = 0
        for result in results:
            # First of all: reading may fail, which is a fact about the partition.
            records = result.records if result.is_slice else result.content()
            facts = pack(
                result.wanted.key[1],
                result.error_code,
                result.high_watermark,
                result.last_stable_offset,
                result.log_start_offset,
            )
            if isinstance(records, bytes):
                run += (facts, after_facts, length(len(records)), records, tags)
                continue
            assert records is not None
            slice_bytes = records.size_bytes
            run += (facts, after_facts, length(slice_bytes))
            before = b"".join(run)
            parts += (before, records)
            size_bytes += len(before) + slice_bytes
            run[:] = (tags,)
        return size_bytes


def _pack_without_log_start(
    index: int, error_code: int, high_watermark: int, last_stable_offset: int, _: int
) -> bytes:
    return _WITHOUT_LOG_START.pack(index, error_code, high_watermark, last_stable_offset)


_SHORT_LENGTHS = tuple(compact_length(count + 1) for count in range(127))


def _compact_length_of(count: int) -> bytes:
    return _SHORT_LENGTHS[count] if 0 <= count < 127 else compact_length(count + 1)
