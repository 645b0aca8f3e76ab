"""Which partitions to fetch from which broker, and what answers mean."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ottla.client.backend import active
from ottla.client.core.cluster import Broker, ClusterView
from ottla.client.core.consuming.budget import Budget, Portion
from ottla.client.core.consuming.fetch_errors import BrokerRests, FetchErrors, Resolution
from ottla.client.core.consuming.partition import (
    NO_REPLICA,
    AssignedPartition,
    Cursor,
    Key,
    PartitionError,
    Stage,
)
from ottla.client.core.consuming.sessions import (
    TOPIC_ID_VERSION,
    FetchSession,
    SessionRequest,
    Topic,
    Wanted,
)
from ottla.client.errors import KafkaError
from ottla.wire.api.k01_fetch import FetchedPartition, FetchRequest, FetchResponse
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ErrorCode

_CONSUMER = -1
_READ_COMMITTED = 1
# While partitions are left out because enough of them is fetched, the others must not make the
# broker wait long: the application may need those left out at any moment. The less it reads, the
# longer that may take.
_FIRST_WAIT_WHEN_CROWDED_MS = 20
# How long to read from the replica that the leader named, as Kafka's metadata.max.age.ms (KIP-392).
_PREFERENCE_MS = 300_000


class FetchSettings(NamedTuple):
    """The settings of the configuration that decide on it."""

    max_wait_ms: int = 500
    min_bytes: int = 1
    max_bytes: int = 52_428_800
    max_partition_bytes: int = 1_048_576
    queued_min_messages: int = 100_000
    queued_max_bytes: int = 65_536 * 1024
    is_read_committed: bool = True
    checks_crcs: bool = False
    reports_eof: bool = False
    rack: str = ""
    error_backoff_ms: int = 500


class FetchPlan(NamedTuple):
    """A request to send to a broker; the answer goes to :meth:`Fetcher.answered`."""

    broker_id: int
    version: int
    request: FetchRequest
    versions: dict[Key, tuple[AssignedPartition, int]]
    """What is asked for, each with the version of its position."""
    topics: dict[uuid.UUID, str]
    reserved_bytes: int
    asked_ms: float


class Frame:
    """The memory of one answer, which its partitions share."""

    __slots__ = ("in_use", "size_bytes")

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.in_use = 0


class FetchedRecords:
    """Records of one partition that wait for the application."""

    __slots__ = ("cursor", "frame", "partition", "size_bytes", "version")

    def __init__(self, partition: AssignedPartition, cursor: Cursor, frame: Frame) -> None:
        self.partition = partition
        self.version = partition.version
        self.cursor = cursor
        self.frame = frame
        self.size_bytes = 0
        """What it takes beyond the frame: the records that were decompressed."""

    @property
    def is_void(self) -> bool:
        """Whether the position was set since, or the partition taken away."""
        return not self.partition.is_current(self.version)


Delivered = FetchedRecords | PartitionError


class Fetcher:
    """Fetches partitions ahead of the application, as far as the budget allows.

    Args:
        settings: how to fetch.
    """

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings
        self.budget = Budget(settings.queued_max_bytes)
        self._sessions: dict[int, FetchSession] = {}
        self._asking: dict[int, FetchPlan] = {}
        self._portions: dict[int, Portion] = {}
        self._errors = FetchErrors(settings.error_backoff_ms)
        self._rests = BrokerRests(settings.error_backoff_ms)
        self._turn = 0
        self.is_crowded = False
        """Whether something was not fetched at the last plan because enough of it is there."""
        self._crowded_wait_ms = _FIRST_WAIT_WHEN_CROWDED_MS
        self.received_messages = 0
        self.received_bytes = 0
        self.needs_metadata = False
        """Whether an answer showed that the view of the cluster is out of date."""

    # Asking

    def plan(
        self,
        partitions: Iterable[AssignedPartition],
        cluster: ClusterView,
        now_ms: float,
        newest_version: Callable[[int, int | None], int | None],
    ) -> list[FetchPlan]:
        """What to ask now; each plan counts as sent.

        Args:
            partitions: all that are assigned.
            cluster: who leads them.
            now_ms: the time.
            newest_version: of Fetch for a broker, not above a version; None: it can't be asked now.
        """
        by_broker = self._fetchable(partitions, cluster, now_ms)
        plans = []
        for broker_id, group in by_broker.items():
            if broker_id in self._asking or self._rests.is_resting(broker_id, now_ms):
                continue
            has_ids = all(cluster.topics[p.topic].topic_id != ZERO_UUID for p in group)
            version = newest_version(broker_id, None if has_ids else TOPIC_ID_VERSION - 1)
            if version is None:
                continue
            portion = self._portions.setdefault(broker_id, Portion())
            size_bytes = self._reservation_bytes(portion, len(group), len(by_broker))
            if size_bytes <= 0:
                self.is_crowded = True
                continue
            plan = self._plan(broker_id, version, group, cluster, size_bytes, now_ms)
            self.budget.reserve(size_bytes)
            self._asking[broker_id] = plan
            plans.append(plan)
        return plans

    def brokers(
        self, partitions: Iterable[AssignedPartition], cluster: ClusterView, now_ms: float
    ) -> set[int]:
        """The brokers that partitions are to be fetched from now."""
        return set(self._fetchable(partitions, cluster, now_ms)) - set(self._asking)

    def _fetchable(
        self, partitions: Iterable[AssignedPartition], cluster: ClusterView, now_ms: float
    ) -> dict[int, list[AssignedPartition]]:
        by_broker: dict[int, list[AssignedPartition]] = {}
        self.is_crowded = False
        for partition in partitions:
            if (
                partition.is_paused
                or partition.is_revoked
                or partition.stage is not Stage.FETCHED
                or now_ms < partition.backoff_until_ms
            ):
                continue
            if partition.queued_messages >= self._settings.queued_min_messages:
                self.is_crowded = True
                continue
            broker_id = self._read_replica(partition, cluster, now_ms)
            if broker_id is not None:
                by_broker.setdefault(broker_id, []).append(partition)
        return by_broker

    def _read_replica(
        self, partition: AssignedPartition, cluster: ClusterView, now_ms: float
    ) -> int | None:
        """The broker to fetch from: the one that the leader prefers (KIP-392), or the leader."""
        if partition.preferred_replica != NO_REPLICA:
            view = cluster.partition(partition.topic, partition.number)
            if (
                now_ms < partition.preferred_until_ms
                and partition.preferred_replica in cluster.brokers
                and view is not None
                and partition.preferred_replica not in view.offline
            ):
                return partition.preferred_replica
            partition.preferred_replica = NO_REPLICA
        leader = cluster.leader(*partition.key)
        if leader is None:
            self.needs_metadata = True
            return None
        return leader.broker_id

    def _reservation_bytes(self, portion: Portion, partition_count: int, broker_count: int) -> int:
        """What an answer may take; 0: too little room for it to be worth while."""
        settings, budget = self._settings, self.budget
        wanted = min(settings.max_bytes, partition_count * settings.max_partition_bytes)
        wanted = min(wanted, portion.size_bytes)
        # A quarter, so that a broker is asked while what it sent is decompressed and read; an equal
        # share per broker, so that one that has nothing to say does not sit on the others' room.
        share = max(1, budget.limit_bytes // (4 * broker_count))
        wanted = max(1, min(wanted, share))
        worth_while = min(wanted, settings.max_partition_bytes)
        if budget.room_bytes < worth_while:
            is_idle = budget.held_bytes == 0 and budget.reserved_bytes == 0
            return wanted if is_idle else 0
        return min(wanted, budget.room_bytes)

    def _plan(
        self,
        broker_id: int,
        version: int,
        partitions: list[AssignedPartition],
        cluster: ClusterView,
        size_bytes: int,
        now_ms: float,
    ) -> FetchPlan:
        partitions.sort(key=lambda partition: partition.fetched_turn)
        topics = {p.topic: Topic(p.topic, cluster.topics[p.topic].topic_id) for p in partitions}
        wanted = {
            p.key: Wanted(
                topics[p.topic],
                p.number,
                p.fetch_offset,
                p.leader_epoch,
                min(self._settings.max_partition_bytes, size_bytes),
            )
            for p in partitions
        }
        session = self._sessions.setdefault(broker_id, FetchSession())
        request = self._request(session.request(wanted, version), size_bytes)
        return FetchPlan(
            broker_id,
            version,
            request,
            {p.key: (p, p.version) for p in partitions},
            {topic.topic_id: topic.name for topic in topics.values()},
            size_bytes,
            now_ms,
        )

    def _request(self, part: SessionRequest, size_bytes: int) -> FetchRequest:
        settings = self._settings
        wait_ms = settings.max_wait_ms
        if self.is_crowded:
            wait_ms = min(wait_ms, self._crowded_wait_ms)
            self._crowded_wait_ms = 2 * wait_ms
        return FetchRequest(
            replica_id=_CONSUMER,
            max_wait_ms=wait_ms,
            min_bytes=settings.min_bytes,
            max_bytes=size_bytes,
            isolation_level=_READ_COMMITTED if settings.is_read_committed else 0,
            session_id=part.session_id,
            session_epoch=part.session_epoch,
            topics=part.topics,
            forgotten_topics_data=part.forgotten,
            rack_id=settings.rack,
        )

    # Answers

    def next_deadline_ms(self, now_ms: float) -> float | None:
        """When a broker that is left alone may be asked again."""
        return self._rests.next_deadline_ms(now_ms)

    def failed(self, broker_id: int, now_ms: float, *, has_answered: bool) -> None:
        """The request to this broker got no answer, or none that can be read: the session may have
        moved on without us."""
        if has_answered:
            self._rests.failed(broker_id, now_ms)
        plan = self._asking.pop(broker_id)
        self.budget.release_reserved(plan.reserved_bytes)
        self._sessions[broker_id].failed()
        # Somebody else may lead by now, or a replica that was preferred be down.
        self.needs_metadata = True
        for partition, _ in plan.versions.values():
            if partition.preferred_replica == broker_id:
                partition.preferred_replica = NO_REPLICA

    def answered(
        self,
        broker_id: int,
        response: FetchResponse,
        size_bytes: int,
        cluster: ClusterView,
        now_ms: float,
    ) -> list[Delivered]:
        """Take over an answer.

        Args:
            broker_id: who answered.
            response: the answer; its records are kept.
            size_bytes: the memory that keeping any of it keeps.
            cluster: learns of new leaders.
            now_ms: the time.

        Returns:
            What to hand to the application, in this order.
        """
        plan = self._asking.pop(broker_id)
        self.budget.release_reserved(plan.reserved_bytes)
        session = self._sessions[broker_id]
        if response.error_code != ErrorCode.NONE:
            self._refused(broker_id, session, response.error_code, now_ms)
            return []
        self._rests.succeeded(broker_id)
        session.answered(response.session_id)
        self._portions[broker_id].answered(plan.reserved_bytes, size_bytes, now_ms - plan.asked_ms)
        self._turn += 1
        frame = Frame(size_bytes)
        delivered: list[Delivered] = []
        for partition, fetched in self._of_this_version(plan, response):
            if fetched.error_code and not self._is_read_from(partition, broker_id, cluster):
                # It does not lead any more: what it lacks, others have.
                continue
            delivered += self._take(partition, fetched, frame, broker_id, now_ms)
        if response.node_endpoints:
            self._learn_leaders(plan, response, cluster)
        if frame.in_use:
            self.budget.hold(size_bytes)
        if self._settings.reports_eof:
            for partition, version in plan.versions.values():
                if partition.version == version:
                    delivered += self._end_of_partition(partition, broker_id)
        return delivered

    def _refused(
        self, broker_id: int, session: FetchSession, error_code: int, now_ms: float
    ) -> None:
        if error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND:
            session.reset()
        else:
            session.failed()
            self.needs_metadata |= error_code in _STALE_TOPIC_IDS
        is_of_session = error_code in _SESSION_ENDED
        self._rests.failed(broker_id, now_ms, is_first_free=is_of_session)

    def _is_read_from(
        self, partition: AssignedPartition, broker_id: int, cluster: ClusterView
    ) -> bool:
        leader = cluster.leader(*partition.key)
        is_led = leader is None or leader.broker_id == broker_id
        return is_led or partition.preferred_replica == broker_id

    def _of_this_version(
        self, plan: FetchPlan, response: FetchResponse
    ) -> Iterator[tuple[AssignedPartition, FetchedPartition]]:
        """The partitions of an answer that were asked for, and whose position is what it was."""
        for topic in response.responses:
            name = topic.topic or plan.topics.get(topic.topic_id)
            if name is None:
                continue
            for fetched in topic.partitions:
                asked = plan.versions.get((name, fetched.partition_index))
                if asked is None:
                    continue
                partition, version = asked
                if partition.version == version and partition.stage is Stage.FETCHED:
                    yield partition, fetched

    def _take(
        self,
        partition: AssignedPartition,
        fetched: FetchedPartition,
        frame: Frame,
        broker_id: int,
        now_ms: float,
    ) -> Iterator[Delivered]:
        if fetched.error_code != ErrorCode.NONE:
            resolution = self._errors.resolve(partition, fetched.error_code, broker_id, now_ms)
            if resolution is Resolution.REFRESH_METADATA:
                self.needs_metadata = True
            elif isinstance(resolution, KafkaError):
                offset = partition.fetch_offset
                yield PartitionError(partition, partition.version, resolution, offset)
            return
        partition.high_watermark = fetched.high_watermark
        partition.last_stable_offset = fetched.last_stable_offset
        partition.log_start_offset = max(fetched.log_start_offset, partition.log_start_offset)
        partition.reported_error = 0
        if fetched.preferred_read_replica >= 0:
            partition.preferred_replica = fetched.preferred_read_replica
            partition.preferred_until_ms = now_ms + _PREFERENCE_MS
        if fetched.records:
            yield from self._take_records(partition, fetched, frame, now_ms)

    def _take_records(
        self, partition: AssignedPartition, fetched: FetchedPartition, frame: Frame, now_ms: float
    ) -> Iterator[Delivered]:
        records = fetched.records
        assert isinstance(records, bytes | bytearray | memoryview)
        cursor: Cursor = active.MessageCursor(
            partition.topic,
            partition.number,
            records,
            partition.fetch_offset,
            aborted=[
                (aborted.producer_id, aborted.first_offset)
                for aborted in fetched.aborted_transactions or ()
            ],
            is_read_committed=self._settings.is_read_committed,
            check_crcs=self._settings.checks_crcs,
        )
        partition.succeeded()
        if cursor.end_offset > partition.fetch_offset:
            partition.fetch_offset = cursor.end_offset
            if cursor.end_epoch >= 0:
                partition.fetch_epoch = cursor.end_epoch
            partition.fetched_turn = self._turn
        if cursor.record_count or cursor.end_offset > partition.position.offset:
            yield self._keep(partition, cursor, frame, len(records))
        if cursor.error is not None:
            yield from self._take_damage(partition, cursor, now_ms)

    def _take_damage(
        self, partition: AssignedPartition, cursor: Cursor, now_ms: float
    ) -> Iterator[PartitionError]:
        """Tell of records that can't be read. A batch whose checksum is wrong is skipped, as
        librdkafka means to do with ``check.crcs``; but what was damaged on its way comes whole the
        second time."""
        partition.failed(now_ms, self._settings.error_backoff_ms)
        offset = partition.fetch_offset
        has_wrong_checksum = cursor.damaged_offset >= 0
        if has_wrong_checksum and partition.damaged_offset != cursor.damaged_offset:
            partition.damaged_offset = cursor.damaged_offset
            return
        # The batch itself says how far it goes, and may be wrong there too.
        if has_wrong_checksum and offset < cursor.resume_offset <= partition.high_watermark:
            partition.fetch_offset = cursor.resume_offset
            partition.succeeded()
        error = KafkaError(KafkaError._BAD_MSG, f"Fetched records are damaged: {cursor.error}")
        yield PartitionError(partition, partition.version, error, offset)

    def _keep(
        self, partition: AssignedPartition, cursor: Cursor, frame: Frame, size_bytes: int
    ) -> FetchedRecords:
        frame.in_use += 1
        records = FetchedRecords(partition, cursor, frame)
        partition.queued_messages += cursor.record_count
        for counted in (partition, self):
            counted.received_messages += cursor.record_count
            counted.received_bytes += size_bytes
        return records

    def _end_of_partition(
        self, partition: AssignedPartition, broker_id: int
    ) -> Iterator[PartitionError]:
        """Tell once that an offset is the end; what a session leaves out has not grown."""
        is_committed = self._settings.is_read_committed
        end = partition.last_stable_offset if is_committed else partition.high_watermark
        if end < 0:
            end = partition.high_watermark
        offset = partition.fetch_offset
        if 0 <= end <= offset != partition.eof_offset and partition.stage is Stage.FETCHED:
            partition.eof_offset = offset
            text = (
                f"Fetch from broker {broker_id} reached end of partition at offset {offset} "
                f"(HighwaterMark {partition.high_watermark})"
            )
            error = KafkaError(KafkaError._PARTITION_EOF, text)
            yield PartitionError(partition, partition.version, error, offset)

    def _learn_leaders(
        self, plan: FetchPlan, response: FetchResponse, cluster: ClusterView
    ) -> None:
        """Take over who leads now, as answers tell from version 16 on (KIP-951)."""
        brokers = [
            Broker(node.node_id, node.host, node.port, node.rack)
            for node in response.node_endpoints
        ]
        for partition, fetched in self._of_this_version(plan, response):
            leader = fetched.current_leader
            if leader is not None and leader.leader_id >= 0:
                is_news = cluster.learn_leader(
                    *partition.key, leader.leader_id, leader.leader_epoch, brokers
                )
                if is_news:
                    partition.succeeded()

    # What the application reads

    def prepare(self, records: FetchedRecords) -> None:
        """Check records and decompress them, as far as there is room, before they are handed on.

        Best done when the next answer is already asked for: it is time that the broker can use.
        """
        cursor = records.cursor
        fetched_bytes = cursor.buffered_bytes
        # One batch is always decompressed, or it could not be read at all.
        cursor.prepare(min(fetched_bytes + self.budget.room_bytes, self.budget.limit_bytes))
        records.size_bytes = cursor.buffered_bytes - fetched_bytes
        self.budget.hold(records.size_bytes)

    def released(self, records: FetchedRecords) -> None:
        """The application has read these records, or they are thrown away."""
        self._crowded_wait_ms = _FIRST_WAIT_WHEN_CROWDED_MS
        partition = records.partition
        partition.queued_messages -= records.cursor.record_count
        self.budget.release(records.size_bytes)
        records.frame.in_use -= 1
        if not records.frame.in_use:
            self.budget.release(records.frame.size_bytes)

    # Sessions

    def close_sessions(self) -> list[tuple[int, FetchRequest]]:
        """What to tell brokers that keep a session: they need it no longer."""
        requests = []
        for broker_id, session in self._sessions.items():
            part = session.final_request()
            if part is not None and broker_id not in self._asking:
                requests.append((broker_id, self._request(part, 0)))
        return requests


_SESSION_ENDED = frozenset(
    {ErrorCode.FETCH_SESSION_ID_NOT_FOUND, ErrorCode.INVALID_FETCH_SESSION_EPOCH}
)
_STALE_TOPIC_IDS = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INCONSISTENT_TOPIC_ID,
        ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
    }
)
