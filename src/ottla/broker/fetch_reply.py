"""The bytes of a fetch reply, written without objects for its many parts.

A consumer that reads a lot is answered with many partitions in each of many replies, and what is
said of nearly all of them has one shape. Only that shape is written here; a reply that tells of
aborted transactions or of logs that diverge goes the long way, through the declared message. Both
ways give the same bytes.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

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
        "_array_length",
        "_has_log_start",
        "_is_flexible",
        "_pack_facts",
        "_version",
    )

    def __init__(self, version: int, *, read_committed: bool) -> None:
        self._version = version
        self._is_flexible = version >= _FIRST_FLEXIBLE_VERSION
        self._array_length: Callable[[int], bytes] = (
            _compact_array_length if self._is_flexible else _INT32.pack
        )
        self._has_log_start = version >= _FIRST_VERSION_WITH_LOG_START
        self._pack_facts = struct.Struct(">ihqqq" if self._has_log_start else ">ihqq").pack
        self._after_facts = self._array_length(0 if read_committed else _NULL)
        if version >= _FIRST_VERSION_WITH_REPLICAS:
            self._after_facts += _NO_PREFERRED_REPLICA

    def encode(self, session_id: int, results: Sequence[PartitionResult]) -> EncodedParts:
        """The reply's body; ``is_plain`` has to hold."""
        topics: dict[TopicKey, list[PartitionResult]] = {}
        for result in results:
            topic = topics.get(result.wanted.key[0])
            if topic is None:
                topics[result.wanted.key[0]] = [result]
            else:
                topic.append(result)
        body = _Body([self._start(session_id), self._array_length(len(topics))])
        for topic_key, of_topic in topics.items():
            body.run += (self._topic(topic_key), self._array_length(len(of_topic)))
            self._add_partitions(body, of_topic)
            if self._is_flexible:
                body.run.append(_NO_TAGS)
        if self._is_flexible:
            body.run.append(_NO_TAGS)
        return body.finish()

    def _start(self, session_id: int) -> bytes:
        if self._version < _FIRST_VERSION_WITH_SESSIONS:
            return bytes(_INT32.size)
        return _NONE_THROTTLED_NO_ERROR + _INT32.pack(session_id)

    def _topic(self, key: Any) -> bytes:
        if isinstance(key, uuid.UUID):
            return key.bytes
        name = key.encode()
        length = len(name)
        return (compact_length(length + 1) if self._is_flexible else _INT16.pack(length)) + name

    def _add_partitions(self, body: _Body, results: Sequence[PartitionResult]) -> None:
        pack, after_facts, is_flexible = self._pack_facts, self._after_facts, self._is_flexible
        for result in results:
            # First of all: reading may fail, which is a fact about the partition.
            records = result.content()
            facts = (
                result.wanted.key[1],
                result.error_code,
                result.high_watermark,
                result.last_stable_offset,
            )
            run = body.run
            run += (
                pack(*facts, result.log_start_offset) if self._has_log_start else pack(*facts),
                after_facts,
            )
            if type(records) is bytes:
                length = len(records)
                run.append(compact_length(length + 1) if is_flexible else _INT32.pack(length))
                run.append(records)
            else:
                length = records.size_bytes
                run.append(compact_length(length + 1) if is_flexible else _INT32.pack(length))
                body.add_slice(records)
            if is_flexible:
                body.run.append(_NO_TAGS)


class _Body:
    """Parts that grow: slices, and between them bytes that are joined."""

    __slots__ = ("_parts", "_size_bytes", "run")

    def __init__(self, run: list[bytes]) -> None:
        self.run = run
        self._parts: list[bytes | FileSlice] = []
        self._size_bytes = 0

    def add_slice(self, records: FileSlice) -> None:
        self._end_run()
        self._parts.append(records)
        self._size_bytes += records.size_bytes

    def finish(self) -> EncodedParts:
        if self.run:
            self._end_run()
        return EncodedParts(self._parts, self._size_bytes)

    def _end_run(self) -> None:
        data = b"".join(self.run)
        self._parts.append(data)
        self._size_bytes += len(data)
        self.run = []


def _compact_array_length(count: int) -> bytes:
    return compact_length(count + 1)
