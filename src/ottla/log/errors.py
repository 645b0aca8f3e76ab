"""What can go wrong with a log, each error with Kafka's code for it."""

# ruff: noqa: N818 - the names say what is wrong; that it is an error, the base class says

from __future__ import annotations


class LogError(Exception):
    """A log refused what was asked of it. ``code`` is Kafka's numeric error code."""

    code: int = -1


class OffsetOutOfRange(LogError):
    """The offset lies before the log's start or after its end: OFFSET_OUT_OF_RANGE."""

    code = 1


class MessageTooLarge(LogError):
    """A batch exceeds ``max.message.bytes``: MESSAGE_TOO_LARGE."""

    code = 10


class RecordListTooLarge(LogError):
    """What is appended at once exceeds ``segment.bytes``: RECORD_LIST_TOO_LARGE."""

    code = 18


class OutOfOrderSequence(LogError):
    """An idempotent producer's batch doesn't follow its last: OUT_OF_ORDER_SEQUENCE_NUMBER."""

    code = 45


class InvalidProducerEpoch(LogError):
    """A newer instance of the producer has written already: INVALID_PRODUCER_EPOCH."""

    code = 47


class InvalidTransactionState(LogError):
    """A plain batch inside the producer's open transaction: INVALID_TXN_STATE."""

    code = 48


class TransactionCoordinatorFenced(LogError):
    """A newer coordinator has written a marker already: TRANSACTION_COORDINATOR_FENCED."""

    code = 52


class LogDirectoryFailed(LogError):
    """The disk under the log directory failed; the directory is offline: KAFKA_STORAGE_ERROR."""

    code = 56


class UnexpectedAppendOffset(LogError):
    """A replicated batch doesn't lie after the log's end: UNKNOWN_SERVER_ERROR."""


class DirectoryRefused(LogError):
    """A log directory can't be used as asked; the message says why in plain words."""


class DirectoryLocked(DirectoryRefused):
    """Another process uses the log directory."""


class ForeignDirectory(DirectoryRefused):
    """The log directory belongs to another cluster or another node."""


class MalformedFile(LogError):
    """A checkpoint or metadata file isn't in the format of its name."""
