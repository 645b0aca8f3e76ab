"""Finds out where to read: committed offsets, resets, and whether logs still agree (KIP-320)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from ottla.client.core.backoff import backoff_ms
from ottla.client.core.cluster import ClusterView
from ottla.client.core.consuming.partition import (
    EARLIEST_TIMESTAMP,
    LATEST_TIMESTAMP,
    NO_EPOCH,
    NO_POSITION,
    AssignedPartition,
    Key,
    PartitionError,
    Stage,
    Stored,
)
from ottla.client.errors import KafkaError
from ottla.wire.api.k02_list_offsets import (
    ListedPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    PartitionToList,
    TopicToList,
)
from ottla.wire.api.k23_offset_for_leader_epoch import (
    CheckedPartition,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    PartitionToCheck,
    TopicToCheck,
)
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ErrorCode

ResetPolicy = Literal["earliest", "latest", "error"]
_CONSUMER = -1
_READ_COMMITTED = 1
# The first version of OffsetForLeaderEpoch that consumers may send.
_CHECK_VERSION = 2


class Asked(NamedTuple):
    """Partitions that something is asked about, each with the version of its position."""

    partitions: tuple[tuple[AssignedPartition, int], ...]

    def current(self) -> dict[Key, AssignedPartition]:
        """Those whose position nobody has set since."""
        return {p.key: p for p, version in self.partitions if p.version == version}


class Plan(NamedTuple):
    """What to ask now.

    Attributes:
        committed: whose committed offsets to look up with the group's coordinator.
        listed: what to look up with which leader.
        validated: whose last epoch to look up with which leader.
        errors: what to tell the application.
    """

    committed: Asked | None
    listed: dict[int, tuple[Asked, ListOffsetsRequest]]
    validated: dict[int, tuple[Asked, OffsetForLeaderEpochRequest]]
    errors: list[PartitionError]


class Positions:
    """Decides what to ask about partitions that can't be fetched yet, and reads the answers.

    Args:
        policy: what ``auto.offset.reset`` says.
        is_read_committed: whether the end of a log is its last stable offset.
        first_backoff_ms: how long to wait after a failure (``retry.backoff.ms``).
        max_backoff_ms: how long at most after several.
    """

    def __init__(
        self,
        policy: ResetPolicy,
        *,
        is_read_committed: bool,
        first_backoff_ms: int = 100,
        max_backoff_ms: int = 1000,
    ) -> None:
        self._policy = policy
        self._isolation_level = _READ_COMMITTED if is_read_committed else 0
        self._first_backoff_ms = first_backoff_ms
        self._max_backoff_ms = max_backoff_ms
        self.needs_metadata = False
        """Whether an answer showed that the view of the cluster is out of date."""
        self.has_voided = False
        """Whether records that the application has not read yet became void."""

    def plan(
        self, partitions: Iterable[AssignedPartition], cluster: ClusterView, now_ms: float
    ) -> Plan:
        """What to ask now; it counts as asked."""
        committed: list[AssignedPartition] = []
        listed: dict[int, list[AssignedPartition]] = {}
        validated: dict[int, list[AssignedPartition]] = {}
        errors: list[PartitionError] = []
        for partition in partitions:
            self._notice_topic(partition, cluster)
            self._notice_leader(partition, cluster)
            if partition.stage is Stage.VALIDATED and 0 <= partition.leader_epoch <= (
                partition.fetch_epoch
            ):
                # The leader itself appended the record before the position: it still has it.
                partition.stage = Stage.FETCHED
            if partition.stage is Stage.FETCHED or not partition.is_ready(now_ms):
                continue
            if partition.stage is Stage.RESET:
                errors += self._reset(partition, cluster)
            if partition.stage is Stage.COMMITTED:
                committed.append(partition)
            elif partition.stage in (Stage.LISTED, Stage.VALIDATED):
                leader = cluster.leader(*partition.key)
                if leader is None:
                    self.needs_metadata = True
                    continue
                by_leader = listed if partition.stage is Stage.LISTED else validated
                by_leader.setdefault(leader.broker_id, []).append(partition)
        return Plan(
            _asked(committed) if committed else None,
            {leader: self._listing(group) for leader, group in listed.items()},
            {leader: _checking(group) for leader, group in validated.items()},
            errors,
        )

    def _notice_topic(self, partition: AssignedPartition, cluster: ClusterView) -> None:
        """A topic that was deleted and made anew has other records at the same offsets."""
        view = cluster.topics.get(partition.topic)
        if view is None or view.topic_id in (ZERO_UUID, partition.topic_id):
            return
        is_other = partition.topic_id != ZERO_UUID
        partition.topic_id = view.topic_id
        if is_other:
            self.has_voided = True
            partition.leader_epoch = NO_EPOCH
            partition.forget_offsets()
            partition.refetch()
            text = f"{partition.topic} was deleted and made anew"
            partition.reset(KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, text))

    def _notice_leader(self, partition: AssignedPartition, cluster: ClusterView) -> None:
        """A new leader may have a shorter log: positions are validated before going on."""
        view = cluster.partition(*partition.key)
        if view is None or view.leader_epoch <= partition.leader_epoch:
            return
        is_first = partition.leader_epoch == NO_EPOCH
        partition.leader_epoch = view.leader_epoch
        if partition.stage is Stage.FETCHED and partition.fetch_epoch >= 0 and not is_first:
            partition.stage = Stage.VALIDATED
            partition.is_asking = False

    def _reset(self, partition: AssignedPartition, cluster: ClusterView) -> list[PartitionError]:
        if self._policy != "error":
            is_earliest = self._policy == "earliest"
            partition.list_at(EARLIEST_TIMESTAMP if is_earliest else LATEST_TIMESTAMP)
            return []
        if cluster.partition(*partition.key) is None:
            # Whether there is such a partition at all is more important to know.
            self.needs_metadata = True
            return []
        reason = partition.reset_reason
        code = KafkaError._AUTO_OFFSET_RESET
        text = KafkaError(code).str()
        if reason is not None:
            if reason.code() == KafkaError._LOG_TRUNCATION:
                code = reason.code()
            text = reason.str()
        partition.stop()
        error = KafkaError(code, text)
        return [PartitionError(partition, partition.version, error, partition.fetch_offset)]

    # Committed offsets

    def committed_found(self, partition: AssignedPartition, offset: int, leader_epoch: int) -> None:
        """The group's committed offset was answered; negative if there is none."""
        if offset >= 0:
            partition.found(offset, leader_epoch)
            partition.committed = Stored(offset, leader_epoch)
        else:
            partition.committed = NO_POSITION
            no_offset = KafkaError(KafkaError._NO_OFFSET)
            partition.reset(
                KafkaError(
                    KafkaError._NO_OFFSET,
                    f"no previously committed offset available: {no_offset.str()}",
                )
            )

    def failed(self, asked: Asked, now_ms: float, randomness: float) -> None:
        """A question got no answer, or an error that a later try may not get."""
        for partition in asked.current().values():
            self._retry_later(partition, now_ms, randomness)

    def _retry_later(self, partition: AssignedPartition, now_ms: float, randomness: float) -> None:
        wait_ms = backoff_ms(
            partition.failures + 1,
            first_ms=self._first_backoff_ms,
            max_ms=self._max_backoff_ms,
            randomness=randomness,
        )
        partition.failed(now_ms, wait_ms)

    # Listed offsets

    def _listing(self, group: list[AssignedPartition]) -> tuple[Asked, ListOffsetsRequest]:
        wanted = [(p.topic, p.number, p.leader_epoch, p.list_timestamp) for p in group]
        return _asked(group), list_offsets_request(wanted, self._isolation_level)

    def listed(
        self, asked: Asked, response: ListOffsetsResponse, now_ms: float, randomness: float
    ) -> list[PartitionError]:
        """ListOffsets was answered."""
        errors: list[PartitionError] = []
        waiting = asked.current()
        for topic in response.topics:
            for answer in topic.partitions:
                partition = waiting.pop((topic.name, answer.partition_index), None)
                if partition is not None and partition.stage is Stage.LISTED:
                    errors += self._take_listed(partition, answer, now_ms, randomness)
        for partition in waiting.values():
            self._retry_later(partition, now_ms, randomness)
        return errors

    def _take_listed(
        self,
        partition: AssignedPartition,
        answer: ListedPartition,
        now_ms: float,
        randomness: float,
    ) -> list[PartitionError]:
        if answer.error_code != ErrorCode.NONE:
            return self._take_error(partition, answer.error_code, now_ms, randomness)
        if answer.offset < 0:
            # No record is that young: go on at the end.
            partition.list_at(LATEST_TIMESTAMP)
            partition.is_asking = False
            return []
        # The leader has just told it: there is nothing to validate.
        partition.found(answer.offset, answer.leader_epoch)
        partition.stage = Stage.FETCHED
        return []

    def _take_error(
        self, partition: AssignedPartition, error_code: int, now_ms: float, randomness: float
    ) -> list[PartitionError]:
        self._retry_later(partition, now_ms, randomness)
        if error_code in _STALE_METADATA:
            self.needs_metadata = True
            return []
        if error_code in _TRANSIENT or partition.reported_error == error_code:
            return []
        partition.reported_error = error_code
        error = KafkaError(error_code)
        return [PartitionError(partition, partition.version, error, partition.fetch_offset)]

    # Validation

    def checked(
        self,
        asked: Asked,
        response: OffsetForLeaderEpochResponse,
        now_ms: float,
        randomness: float,
    ) -> list[PartitionError]:
        """OffsetForLeaderEpoch was answered."""
        errors: list[PartitionError] = []
        waiting = asked.current()
        for topic in response.topics:
            for answer in topic.partitions:
                partition = waiting.pop((topic.topic, answer.partition), None)
                if partition is None or partition.stage is not Stage.VALIDATED:
                    continue
                if answer.error_code != ErrorCode.NONE:
                    errors += self._take_error(partition, answer.error_code, now_ms, randomness)
                else:
                    self._take_checked(partition, answer)
        for partition in waiting.values():
            self._retry_later(partition, now_ms, randomness)
        return errors

    def _take_checked(self, partition: AssignedPartition, answer: CheckedPartition) -> None:
        partition.succeeded()
        if answer.end_offset >= partition.fetch_offset:
            partition.stage = Stage.FETCHED
            return
        reason = KafkaError(
            KafkaError._LOG_TRUNCATION,
            f"{partition.topic} [{partition.number}]: the leader's log ends the epoch "
            f"{partition.fetch_epoch} at {answer.end_offset}, before {partition.fetch_offset}",
        )
        self.has_voided = True
        if answer.end_offset >= 0:
            partition.cut(answer.end_offset, answer.leader_epoch)
        if self._policy == "error" or answer.end_offset < 0:
            partition.refetch()
            partition.reset(reason)
            return
        # What was fetched beyond the common part is not in the log any more: nothing that was not
        # handed out may be.
        partition.begin_at(answer.end_offset, answer.leader_epoch)
        partition.stage = Stage.FETCHED

    def cannot_check(self, asked: Asked) -> None:
        """The leader is too old to be asked: go on without."""
        for partition in asked.current().values():
            partition.succeeded()
            partition.stage = Stage.FETCHED

    def next_deadline_ms(
        self, partitions: Iterable[AssignedPartition], now_ms: float
    ) -> float | None:
        """When a partition that waits after a failure is to be asked about again."""
        return min(
            (p.backoff_until_ms for p in partitions if p.backoff_until_ms > now_ms), default=None
        )


def _asked(group: Sequence[AssignedPartition]) -> Asked:
    for partition in group:
        partition.is_asking = True
    return Asked(tuple((partition, partition.version) for partition in group))


def list_offsets_request(
    wanted: Iterable[tuple[str, int, int, int]], isolation_level: int
) -> ListOffsetsRequest:
    """A request for (topic, partition, current leader epoch, timestamp) of one leader."""
    topics: dict[str, list[PartitionToList]] = {}
    for topic, number, leader_epoch, timestamp in wanted:
        topics.setdefault(topic, []).append(
            PartitionToList(
                partition_index=number, current_leader_epoch=leader_epoch, timestamp=timestamp
            )
        )
    return ListOffsetsRequest(
        replica_id=_CONSUMER,
        isolation_level=isolation_level,
        topics=[TopicToList(name=name, partitions=parts) for name, parts in topics.items()],
    )


def _checking(group: list[AssignedPartition]) -> tuple[Asked, OffsetForLeaderEpochRequest]:
    topics: dict[str, list[PartitionToCheck]] = {}
    for partition in group:
        topics.setdefault(partition.topic, []).append(
            PartitionToCheck(
                partition=partition.number,
                current_leader_epoch=partition.leader_epoch,
                leader_epoch=partition.fetch_epoch,
            )
        )
    request = OffsetForLeaderEpochRequest(
        replica_id=_CONSUMER,
        topics=[TopicToCheck(topic=name, partitions=parts) for name, parts in topics.items()],
    )
    return _asked(group), request


_STALE_METADATA = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.BROKER_NOT_AVAILABLE,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.UNKNOWN_TOPIC_ID,
    }
)
_TRANSIENT = frozenset({ErrorCode.OFFSET_NOT_AVAILABLE, ErrorCode.REQUEST_TIMED_OUT})
