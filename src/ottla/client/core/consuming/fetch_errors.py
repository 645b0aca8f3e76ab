"""What the errors of a fetched partition mean for it."""

from __future__ import annotations

from enum import Enum

from ottla.client.core.consuming.partition import NO_REPLICA, AssignedPartition
from ottla.client.errors import KafkaError
from ottla.wire.errors import ErrorCode


class Resolution(Enum):
    """What is to be done beyond what was done to the partition."""

    NOTHING = "it is tried again later"
    REFRESH_METADATA = "the view of the cluster is out of date"


LEADER_UNKNOWN = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INCONSISTENT_TOPIC_ID,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.BROKER_NOT_AVAILABLE,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.OFFSET_NOT_AVAILABLE,
    }
)
# Retries are close together at first: leaders move within milliseconds.
_FIRST_RETRY_MS = 20.0


class BrokerRests:
    """Brokers whose answers were no use are left alone for a while: each time twice as long, at
    most ``fetch.error.backoff.ms``."""

    __slots__ = ("_backoff_ms", "_failures", "_until_ms")

    def __init__(self, backoff_ms: int) -> None:
        self._backoff_ms = backoff_ms
        self._failures: dict[int, int] = {}
        self._until_ms: dict[int, float] = {}

    def failed(self, broker_id: int, now_ms: float, *, is_first_free: bool = False) -> None:
        """An answer said that the request can't be answered, or made no sense."""
        failures = self._failures.get(broker_id, 0)
        self._failures[broker_id] = failures + 1
        if failures or not is_first_free:
            wait_ms = min(_FIRST_RETRY_MS * 2**failures, self._backoff_ms)
            self._until_ms[broker_id] = now_ms + wait_ms

    def succeeded(self, broker_id: int) -> None:
        """The next failure counts as the first."""
        self._failures.pop(broker_id, None)
        self._until_ms.pop(broker_id, None)

    def is_resting(self, broker_id: int, now_ms: float) -> bool:
        """Whether not to ask it now."""
        return now_ms < self._until_ms.get(broker_id, 0.0)

    def next_deadline_ms(self, now_ms: float) -> float | None:
        """When one of them may be asked again."""
        return min((each for each in self._until_ms.values() if each > now_ms), default=None)


class FetchErrors:
    """Decides it, and how long to wait for the next try (``fetch.error.backoff.ms``)."""

    __slots__ = ("_backoff_ms",)

    def __init__(self, backoff_ms: int) -> None:
        self._backoff_ms = backoff_ms

    def resolve(
        self, partition: AssignedPartition, error_code: int, broker_id: int, now_ms: float
    ) -> Resolution | KafkaError:
        """Do to the partition what its error asks for.

        Returns:
            What else to do; an error is for the application.
        """
        if error_code == ErrorCode.OFFSET_OUT_OF_RANGE:
            return self._out_of_range(partition, broker_id)
        is_new = partition.reported_error != error_code
        if error_code in LEADER_UNKNOWN:
            wait_ms = min(_FIRST_RETRY_MS * 2**partition.failures, self._backoff_ms)
            partition.failed(now_ms, wait_ms)
            partition.preferred_replica = NO_REPLICA
            return Resolution.REFRESH_METADATA
        partition.failed(now_ms, self._backoff_ms)
        if error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED and not is_new:
            return Resolution.NOTHING
        partition.reported_error = error_code
        reason = KafkaError(error_code).str()
        return KafkaError(error_code, f"Fetch from broker {broker_id} failed: {reason}")

    def _out_of_range(self, partition: AssignedPartition, broker_id: int) -> Resolution:
        if partition.preferred_replica != NO_REPLICA:
            # A follower may lag behind, only the leader can tell (KIP-392).
            partition.preferred_replica = NO_REPLICA
            return Resolution.NOTHING
        error = KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        text = (
            "fetch failed due to requested offset not available on the broker: "
            f"{error.str()} (broker {broker_id})"
        )
        partition.reset(KafkaError(error.code(), text))
        return Resolution.NOTHING
