"""The half of ``KafkaConsumer`` that deals with offsets: positions, commits, ends of partitions."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ottla.client.errors import KafkaError as ClientError
from ottla.client.errors import KafkaException
from ottla.client.group_metadata import decode_group_metadata
from ottla.client.sync.consumer import Consumer
from ottla.client.values import OFFSET_BEGINNING, OFFSET_END, OFFSET_INVALID
from ottla.client.values import TopicPartition as ClientPartition
from ottla.kafka_python.connecting import connected
from ottla.kafka_python.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
    error_of,
    raised,
)
from ottla.kafka_python.future import Future
from ottla.kafka_python.settings import COMMON, CONSUMER, properties
from ottla.kafka_python.structs import (
    ConsumerGroupMetadata,
    OffsetAndMetadata,
    OffsetAndTimestamp,
    TopicPartition,
)
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.client.sync.admin import AdminClient

Offsets = Mapping[TopicPartition, OffsetAndMetadata]
OnCommit = Callable[[Any, Any], Any]

_DEFAULT_REQUEST_TIMEOUT_MS = 30_000
_DEFAULT_METADATA_AGE_MS = 300_000
_RESETS = {"earliest": OFFSET_BEGINNING, "latest": OFFSET_END, "none": None}
_INTERNAL_TOPICS = frozenset({"__consumer_offsets", "__share_group_state", "__transaction_state"})
_EXPELLED = frozenset(
    {
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.FENCED_INSTANCE_ID,
    }
)


class ConsumerOffsets:
    """Positions, committed offsets and the offsets of partitions."""

    def __init__(self, configs: Mapping[str, Any]) -> None:
        self._configs = configs
        group = configs.get("group_id")
        self._has_group = group is not None
        self._reset = _RESETS.get(configs.get("auto_offset_reset", "latest"), OFFSET_END)
        timeout_ms = configs.get("request_timeout_ms", _DEFAULT_REQUEST_TIMEOUT_MS)
        self._request_timeout_s = timeout_ms / 1000
        self._metadata_age_s = configs.get("metadata_max_age_ms", _DEFAULT_METADATA_AGE_MS) / 1000
        self._excludes_internal = configs.get("exclude_internal_topics", True)
        settings = {
            "isolation.level": "read_uncommitted",
            **properties(configs, CONSUMER),
            # The client wants a name, which nobody hears of.
            "group.id": group if self._has_group else f"none-{uuid.uuid4()}",
            "on_commit": self._on_auto_commit,
        }
        if not self._has_group:
            settings["enable.auto.commit"] = False
        _make_room(settings)
        with translated():
            self._client = connected(Consumer, settings, configs)
        self._is_closed = False
        self._is_assigned_by_hand = False
        # Where seek said to go on, until a message of the partition was handed out.
        self._sought: dict[TopicPartition, int] = {}
        # The leader epochs of the last messages that were handed out.
        self._epochs: dict[TopicPartition, int] = {}
        self._admin_client: AdminClient | None = None
        self._committer: concurrent.futures.ThreadPoolExecutor | None = None
        self._done_commits: collections.deque[Callable[[], Any]] = collections.deque()

    def _check_open(self) -> None:
        if self._is_closed:
            raise IllegalStateError("KafkaConsumer is closed")

    def _check_group(self) -> None:
        self._check_open()
        if not self._has_group:
            raise IllegalStateError("Requires group_id")

    # Positions

    def position(self, partition: TopicPartition, timeout_ms: float | None = None) -> int:
        """The offset of the next message of a partition.

        Raises:
            IllegalStateError: it is not assigned.
            NoOffsetForPartitionError: nothing says where to begin.
        """
        self._check_open()
        timeout_s = self._seconds(timeout_ms)
        offset = self._known_position(partition)
        if offset == OFFSET_INVALID and self._has_group:
            offset = self._committed([partition], timeout_s)[0].offset
        if offset == OFFSET_INVALID:
            if self._reset is None:
                raise NoOffsetForPartitionError({partition})
            offset = self._reset
        if offset in (OFFSET_BEGINNING, OFFSET_END):
            low, high = self._ends(partition, timeout_s)
            offset = low if offset == OFFSET_BEGINNING else high
        return offset

    def _known_position(self, partition: TopicPartition) -> int:
        if partition in self._sought:
            return self._sought[partition]
        if ClientPartition(*partition) not in self._client.assignment():
            raise IllegalStateError("Partition is not assigned")
        return self._client.position([ClientPartition(*partition)])[0].offset

    def _seek(self, partition: TopicPartition, offset: int) -> None:
        with translated():
            self._client.seek(ClientPartition(*partition, offset=offset))
        self._sought[partition] = offset

    def _handed_out(self, partition: TopicPartition, leader_epoch: int) -> None:
        self._sought.pop(partition, None)
        self._epochs[partition] = leader_epoch

    def _forget_positions(self) -> None:
        self._sought.clear()
        self._epochs.clear()

    # Commits

    def commit(self, offsets: Offsets | None = None, timeout_ms: float | None = None) -> None:
        """Commit offsets for the group, by default those of all messages handed out.

        Raises:
            CommitFailedError: the partitions have gone to others.
            KafkaTimeoutError: it took longer than ``timeout_ms``.
            KafkaError: the broker refused.
        """
        self._check_group()
        self._commit(self._consumed() if offsets is None else offsets)

    def commit_async(
        self, offsets: Offsets | None = None, callback: OnCommit | None = None
    ) -> Future[Offsets]:
        """Commit in the background; ``poll`` calls ``callback(offsets, exception or None)``."""
        self._check_group()
        wanted = self._consumed() if offsets is None else offsets
        if self._committer is None:
            self._committer = concurrent.futures.ThreadPoolExecutor(1)
        source = self._committer.submit(self._commit, wanted)
        tell = callback or self._configs.get("default_offset_commit_callback")
        if tell is not None:
            source.add_done_callback(
                lambda done: self._done_commits.append(lambda: tell(wanted, done.exception()))
            )
        return Future(source, lambda _: wanted)

    def _consumed(self) -> Offsets:
        assigned = [TopicPartition(p.topic, p.partition) for p in self._client.assignment()]
        positions = {partition: self._known_position(partition) for partition in assigned}
        return {
            partition: OffsetAndMetadata(offset, "", self._epochs.get(partition, -1))
            for partition, offset in positions.items()
            if offset >= 0
        }

    def _commit(self, offsets: Offsets) -> None:
        if not offsets:
            return
        wanted = [
            ClientPartition(
                *partition,
                offset=-1 if entry.offset is None else entry.offset,
                metadata=entry.metadata or None,
                leader_epoch=entry.leader_epoch,
            )
            for partition, entry in offsets.items()
        ]
        try:
            committed = self._client.commit(offsets=wanted, asynchronous=False)
        except KafkaException as exception:
            if exception.args[0].code() in _EXPELLED:
                raise CommitFailedError from exception
            raise raised(exception) from exception
        for each in committed or ():
            if each.error is not None:
                raise error_of(each.error)

    def _on_auto_commit(self, error: ClientError | None, partitions: list[ClientPartition]) -> None:
        tell = self._configs.get("default_offset_commit_callback")
        if tell is not None:
            offsets = {
                TopicPartition(p.topic, p.partition): OffsetAndMetadata(p.offset)
                for p in partitions
            }
            tell(offsets, None if error is None else error_of(error))

    def _serve_commits(self) -> None:
        while self._done_commits:
            self._done_commits.popleft()()

    def _forget_stored(self) -> None:
        """Let ``close`` commit nothing."""
        with contextlib.suppress(KafkaException):
            self._client.unassign()

    def committed(
        self,
        partition: TopicPartition,
        metadata: bool = False,
        timeout_ms: float | None = None,
    ) -> int | OffsetAndMetadata | None:
        """The group's committed offset, with its metadata if wanted; None if there is none."""
        self._check_group()
        (found,) = self._committed([partition], self._seconds(timeout_ms))
        if found.error is not None:
            raise error_of(found.error)
        if found.offset < 0:
            return None
        if not metadata:
            return found.offset
        epoch = found.leader_epoch
        return OffsetAndMetadata(found.offset, found.metadata or "", -1 if epoch is None else epoch)

    def _committed(
        self, partitions: list[TopicPartition], timeout_s: float
    ) -> list[ClientPartition]:
        with translated():
            return self._client.committed(
                [ClientPartition(*each) for each in partitions], timeout_s
            )

    def group_metadata(self) -> ConsumerGroupMetadata:
        """Who the consumer is for its group, for ``send_offsets_to_transaction``."""
        self._check_open()
        found = decode_group_metadata(self._client.consumer_group_metadata())
        state = "<unjoined>" if found.generation_id < 0 else "<stable>"
        return ConsumerGroupMetadata(*found, state)

    # The offsets of partitions

    def beginning_offsets(
        self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        """The offsets of the first messages."""
        timeout_s = self._seconds(timeout_ms)
        return {partition: self._ends(partition, timeout_s)[0] for partition in partitions}

    def end_offsets(
        self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        """The offsets after the last messages."""
        timeout_s = self._seconds(timeout_ms)
        return {partition: self._ends(partition, timeout_s)[1] for partition in partitions}

    def _ends(self, partition: TopicPartition, timeout_s: float) -> tuple[int, int]:
        self._check_open()
        with translated():
            return self._client.get_watermark_offsets(ClientPartition(*partition), timeout_s)

    def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int], timeout_ms: float | None = None
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """For each partition the first message at or after a time in milliseconds.

        Raises:
            ValueError: a time before the epoch.
        """
        from ottla.client.admin.offsets import OffsetSpec

        self._check_open()
        for partition, timestamp_ms in timestamps.items():
            if timestamp_ms < 0:
                raise ValueError(f"The target time for partition {partition} is {timestamp_ms}.")
        timeout_s = self._seconds(timeout_ms)
        wanted = {
            ClientPartition(*partition): OffsetSpec.for_timestamp(timestamp_ms)
            for partition, timestamp_ms in timestamps.items()
        }
        with translated():
            asked = self._admin().list_offsets(wanted, request_timeout=timeout_s)
            answers = {each: future.result(timeout_s) for each, future in asked.items()}
        return {
            TopicPartition(each.topic, each.partition): None
            if found.offset < 0
            else OffsetAndTimestamp(
                found.offset,
                found.timestamp,
                -1 if found.leader_epoch is None else found.leader_epoch,
            )
            for each, found in answers.items()
        }

    def highwater(self, partition: TopicPartition) -> int | None:
        """The offset after the last message, as the last answer with messages told it."""
        self._known_position(partition)
        with translated():
            _, high = self._client.get_watermark_offsets(ClientPartition(*partition), cached=True)
        return None if high < 0 else high

    # The cluster

    def topics(self) -> set[str]:
        """The names of all topics."""
        self._check_open()
        with translated():
            listed = self._client.list_topics(timeout=self._request_timeout_s).topics
        hidden = _INTERNAL_TOPICS if self._excludes_internal else frozenset()
        return set(listed) - hidden

    def partitions_for_topic(self, topic: str) -> set[int]:
        """The numbers of a topic's partitions; empty if nobody knows it."""
        self._check_open()
        with translated():
            listed = self._client.list_topics(topic, self._request_timeout_s).topics
        return set(listed[topic].partitions) if topic in listed else set()

    def bootstrap_connected(self) -> bool:
        """Whether a broker could be reached, which the constructor waits for."""
        return not self._is_closed

    def metrics(self, raw: bool = False) -> dict[str, dict[str, float]]:
        """How many partitions are read."""
        count = 0 if self._is_closed else len(self._client.assignment())
        return {"consumer-coordinator-metrics": {"assigned-partitions": float(count)}}

    def _matches(self, pattern: str, topic: str) -> bool:
        if self._excludes_internal and topic in _INTERNAL_TOPICS:
            return False
        return re.match(pattern, topic) is not None

    def _seconds(self, timeout_ms: float | None) -> float:
        return self._request_timeout_s if timeout_ms is None else timeout_ms / 1000

    def _admin(self) -> AdminClient:
        # Few need it, and importing it takes as long as everything else here.
        from ottla.client.sync.admin import AdminClient

        if self._admin_client is None:
            common = {name: value for name, value in self._configs.items() if name in COMMON}
            self._admin_client = AdminClient(properties(common, COMMON))
        return self._admin_client

    def _close_helpers(self) -> None:
        if self._committer is not None:
            self._committer.shutdown()
        self._serve_commits()
        if self._admin_client is not None:
            self._admin_client.close()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise what the client raises as kafka-python's exceptions."""
    try:
        yield
    except KafkaException as exception:
        raise raised(exception) from exception
    except concurrent.futures.TimeoutError as error:
        raise KafkaTimeoutError("no answer in time") from error


def _make_room(settings: dict[str, Any]) -> None:
    """The client wants to be able to fetch what it could send, so small fetches limit both."""
    fetch_max = settings.get("fetch.max.bytes")
    if fetch_max is not None:
        settings.setdefault("message.max.bytes", max(1000, min(1_000_000, int(fetch_max))))
