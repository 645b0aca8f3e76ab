"""What an error of a transactional request means for the transaction (KIP-98, KIP-360, KIP-890)."""

from __future__ import annotations

from enum import Enum

from ottla.client.core.reachability import UNREACHABLE
from ottla.client.errors import KafkaError
from ottla.wire.errors import ErrorCode


class Gravity(Enum):
    """How bad an error is."""

    RETRY = "ask again"
    LOST_COORDINATOR = "find the coordinator and ask it again"
    ABORTABLE = "the transaction has to be aborted"
    ABORTABLE_WITHOUT_ID = "and the coordinator does not know the producer's id any more"
    FATAL = "the producer can't go on"


_RETRY = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.CONCURRENT_TRANSACTIONS,
        ErrorCode.REQUEST_TIMED_OUT,
        # The partition's metadata has not reached the coordinator.
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        # Nothing wrong with this partition, but with another one of the request.
        ErrorCode.OPERATION_NOT_ATTEMPTED,
    }
)
_LOST_COORDINATOR = UNREACHABLE | {
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    KafkaError._BAD_MSG,
}
_WITHOUT_ID = frozenset({ErrorCode.UNKNOWN_PRODUCER_ID, ErrorCode.INVALID_PRODUCER_ID_MAPPING})
_FATAL = frozenset(
    {
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.PRODUCER_FENCED,
        ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode.INVALID_TXN_STATE,
        ErrorCode.INVALID_TRANSACTION_TIMEOUT,
        ErrorCode.UNSUPPORTED_VERSION,
        ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError._UNSUPPORTED_FEATURE,
        KafkaError._DESTROY,
    }
)
_FENCED = frozenset({ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.PRODUCER_FENCED})


def gravity_of(code: int) -> Gravity:
    """What an error of one of the coordinators, or of the way to it, means."""
    if code in _RETRY:
        return Gravity.RETRY
    if code in _LOST_COORDINATOR:
        return Gravity.LOST_COORDINATOR
    if code in _WITHOUT_ID:
        return Gravity.ABORTABLE_WITHOUT_ID
    return Gravity.FATAL if code in _FATAL else Gravity.ABORTABLE


def told_code(code: int) -> int:
    """The code as the application hears it: both ways to be fenced are one."""
    return KafkaError._FENCED if code in _FENCED else code
