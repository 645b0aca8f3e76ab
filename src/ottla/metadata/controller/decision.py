"""What a decision consists of, and the limits every decision keeps."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from ottla.metadata.records import MetadataRecord
from ottla.wire.errors import ErrorCode, ProtocolError

T = TypeVar("T")

# The most records that one request may make, as in Kafka: a transaction stays of a size that can
# be written at once.
MAX_RECORDS_PER_REQUEST = 10_000


class Decision(NamedTuple, Generic[T]):
    """What to write, all or nothing, and what to answer once it is durable."""

    records: tuple[MetadataRecord, ...]
    reply: T


class RecordBudget:
    """Counts a request's records, so that one item too many is refused and not the others."""

    def __init__(self, limit: int = MAX_RECORDS_PER_REQUEST) -> None:
        self._left = limit

    def take(self, count: int) -> None:
        """Count records before they are made.

        Raises:
            ProtocolError: POLICY_VIOLATION, if they are more than are left.
        """
        if count > self._left:
            raise ProtocolError(
                ErrorCode.POLICY_VIOLATION,
                "Excessively large number of partitions per request.",
            )
        self._left -= count
