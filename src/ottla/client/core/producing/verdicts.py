"""What an error in the answer to a Produce request means for the batch."""

from __future__ import annotations

from enum import Enum

from ottla.client.errors import KafkaError
from ottla.wire.errors import ErrorCode


class Verdict(Enum):
    """What to do with a batch that was answered with an error."""

    DELIVERED = "it was appended by an earlier attempt"
    RETRY = "send it again; it counts as one of the retries"
    MOVED = "send it again, as soon as the leader is known: nobody's failure"
    SPLIT = "send it again in smaller batches"
    OUT_OF_SEQUENCE = "the log lacks something that was sent before it"
    FAILED = "it will not be appended"


_VERDICTS = {
    ErrorCode.DUPLICATE_SEQUENCE_NUMBER: Verdict.DELIVERED,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: Verdict.MOVED,
    ErrorCode.LEADER_NOT_AVAILABLE: Verdict.MOVED,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: Verdict.MOVED,
    ErrorCode.FENCED_LEADER_EPOCH: Verdict.MOVED,
    ErrorCode.UNKNOWN_LEADER_EPOCH: Verdict.MOVED,
    ErrorCode.KAFKA_STORAGE_ERROR: Verdict.MOVED,
    ErrorCode.MESSAGE_TOO_LARGE: Verdict.SPLIT,
    ErrorCode.RECORD_LIST_TOO_LARGE: Verdict.SPLIT,
    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER: Verdict.OUT_OF_SEQUENCE,
    ErrorCode.UNKNOWN_PRODUCER_ID: Verdict.OUT_OF_SEQUENCE,
    # The transaction coordinator has to be asked again: the verification of a partition (KIP-890).
    ErrorCode.CONCURRENT_TRANSACTIONS: Verdict.RETRY,
    ErrorCode.NOT_COORDINATOR: Verdict.RETRY,
    KafkaError._TRANSPORT: Verdict.RETRY,
    KafkaError._TIMED_OUT: Verdict.RETRY,
    # The connection that was to carry it, or the answer, was of no use.
    KafkaError._BAD_MSG: Verdict.RETRY,
}
_CODES = frozenset(int(code) for code in ErrorCode)


def verdict_on(code: int) -> Verdict:
    """What an error of the broker, or of the connection, means for the batch that was sent."""
    known = _VERDICTS.get(code)
    if known is not None:
        return known
    is_retriable = code in _CODES and ErrorCode(code).retriable
    return Verdict.RETRY if is_retriable else Verdict.FAILED


# Errors after which the metadata that led to this broker is not to be trusted.
_IS_OUTDATED = frozenset(
    {code for code, verdict in _VERDICTS.items() if verdict is Verdict.MOVED}
    | {KafkaError._TRANSPORT, KafkaError._TIMED_OUT}
)


def asks_for_metadata(code: int) -> bool:
    """Whether the leader may be another by now."""
    return code in _IS_OUTDATED
