"""From any room's typed error to Kafka's code: the one place where they meet."""

from __future__ import annotations

from ottla.log.errors import LogError
from ottla.records.errors import RecordsError
from ottla.wire.errors import ErrorCode, ProtocolError

# What a request may run into that is the client's or the disk's doing; anything else is a bug.
EXPECTED_ERRORS = (ProtocolError, RecordsError, LogError)


def code_of(number: int) -> ErrorCode:
    """The code of a number known to be Kafka's."""
    return ErrorCode(number)


def error_code_of(error: BaseException) -> ErrorCode:
    """Kafka's code for an error; ``UNKNOWN_SERVER_ERROR`` for what is not a typed one."""
    if isinstance(error, ProtocolError | RecordsError | LogError):
        return code_of(error.code)
    return ErrorCode.UNKNOWN_SERVER_ERROR


def fencing_error(code: ErrorCode, version: int, *, since: int) -> ErrorCode:
    """What a client hears whose producer was fenced: before the version that brought
    PRODUCER_FENCED to its API it was INVALID_PRODUCER_EPOCH (KIP-588)."""
    if code is ErrorCode.PRODUCER_FENCED and version < since:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    return code
