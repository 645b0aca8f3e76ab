"""What an answer says about one item: its value, or the error that there is instead."""

from __future__ import annotations

from typing import TypeVar

from ottla.client.enumerations import AclOperation
from ottla.client.error_codes import DESCRIPTIONS
from ottla.client.errors import KafkaError, KafkaException
from ottla.wire.errors import ErrorCode

V = TypeVar("V")

# The least int32 says that the operations were not asked for.
_NOT_ASKED_FOR = -(2**31)


def error_of(code: int, message: str | None = None) -> KafkaError | None:
    """The error of an answer, None if it has none; without a message the code describes itself."""
    return _error(code, message) if code != ErrorCode.NONE else None


def _error(code: int, message: str | None) -> KafkaError:
    if not message and code not in DESCRIPTIONS and code in ErrorCode._value2member_map_:
        # librdkafka has no word for it.
        message = f"Broker: {ErrorCode(code).message}"
    return KafkaError(code, message or None)


def outcome(code: int, message: str | None, value: V) -> V | KafkaError:
    """The value, or the error that makes it worthless."""
    return value if code == ErrorCode.NONE else _error(code, message)


def raise_for(code: int, message: str | None = None) -> None:
    """Raise what went wrong with a whole request.

    Raises:
        KafkaException: the code is an error.
    """
    if code != ErrorCode.NONE:
        raise KafkaException(_error(code, message))


def invalid(message: str) -> KafkaException:
    """What confluent_kafka's futures say of arguments that are only refused when it is asked."""
    return KafkaException(KafkaError(KafkaError._INVALID_ARG, message))


def operations(bits: int) -> list[AclOperation] | None:
    """The allowed operations from an answer's bit set, None if they were not asked for."""
    if bits == _NOT_ASKED_FOR:
        return None
    return [operation for operation in AclOperation if bits >> operation.value & 1]
