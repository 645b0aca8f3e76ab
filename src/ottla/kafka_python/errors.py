"""kafka-python's exceptions: one class for each of the broker's errors, and those of the client.

``for_code(3)`` is ``UnknownTopicOrPartitionError``; :func:`raised` makes kafka-python's exception
of the one that Ottla's client raised.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ottla.client.errors import KafkaError as ClientError
from ottla.client.errors import KafkaException
from ottla.wire.errors import ErrorCode


class KafkaError(Exception):
    """The base of all."""

    retriable: ClassVar[bool] = False
    invalid_metadata: ClassVar[bool] = False

    def __str__(self) -> str:
        if not self.args:
            return type(self).__name__
        return f"{type(self).__name__}: {super().__str__()}"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.args == getattr(other, "args", None)

    __hash__ = Exception.__hash__


class RetriableError(KafkaError):
    """It may work the next time."""

    retriable = True


class InvalidMetadataError(RetriableError):
    """What is known of the cluster is out of date."""

    invalid_metadata = True


class Cancelled(RetriableError):  # noqa: N818 - the name that kafka-python gave it
    """It was given up before it was done."""


class CommitFailedError(KafkaError):
    """The group has given the partitions to others, so nothing could be committed."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(args or ("The group has rebalanced: nothing was committed.",)))


class IllegalArgumentError(KafkaError):
    """An argument that can't be meant."""


class IllegalStateError(KafkaError):
    """The call does not fit the state."""


class KafkaConfigurationError(KafkaError):
    """Settings that exclude each other, or have no such value."""


class KafkaConnectionError(InvalidMetadataError):
    """A broker can't be reached."""


class KafkaProtocolError(KafkaError):
    """What a broker said makes no sense."""


class KafkaTimeoutError(RetriableError):
    """It took too long."""


class NoOffsetForPartitionError(KafkaError):
    """Nothing is committed, and the consumer is told not to guess where to begin."""


class UnsupportedCodecError(KafkaError):
    """There is no such compression, or not here."""


class BrokerResponseError(KafkaError):
    """What a broker answered; ``errno`` is the code."""

    errno: ClassVar[int | None] = None
    message: ClassVar[str] = ""

    def __str__(self) -> str:
        return f"[Error {self.errno}] {super().__str__()}"


class AuthorizationError(BrokerResponseError):
    """It is not allowed."""


# Where kafka-python's name is not that of the code.
_OTHER_NAMES = {
    ErrorCode.UNKNOWN_SERVER_ERROR: "UnknownError",
    ErrorCode.NONE: "NoError",
    ErrorCode.CORRUPT_MESSAGE: "CorruptRecordError",
    ErrorCode.INVALID_FETCH_SIZE: "InvalidFetchRequestError",
    ErrorCode.NOT_LEADER_OR_FOLLOWER: "NotLeaderForPartitionError",
    ErrorCode.MESSAGE_TOO_LARGE: "MessageSizeTooLargeError",
    ErrorCode.INVALID_TOPIC_EXCEPTION: "InvalidTopicError",
    ErrorCode.INVALID_REPLICA_ASSIGNMENT: "InvalidReplicationAssignmentError",
    ErrorCode.INVALID_CONFIG: "InvalidConfigurationError",
    ErrorCode.KAFKA_STORAGE_ERROR: "KafkaStorageError",
    ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR: "FetchSessionTopicIdError",
}
_INVALID_METADATA = {3, 5, 6, 9, 13, 56, 72, 74, 75, 80, 83, 84, 100, 103}
_RETRIABLE = {7, 14, 15, 16, 19, 20, 41, 51, 70, 71, 78, 88, 89, 106, 122, 123}
_AUTHORIZATION = {29, 30, 31, 53, 65}


def _name(code: ErrorCode) -> str:
    other = _OTHER_NAMES.get(code)
    return other or "".join(part.capitalize() for part in code.name.split("_")) + "Error"


def _make(code: ErrorCode) -> type[BrokerResponseError]:
    bases: tuple[type, ...] = (BrokerResponseError,)
    if code in _INVALID_METADATA:
        bases = (InvalidMetadataError, BrokerResponseError)
    elif code in _RETRIABLE:
        bases = (RetriableError, BrokerResponseError)
    elif code in _AUTHORIZATION:
        bases = (AuthorizationError,)
    namespace = {
        "errno": int(code),
        "message": code.name,
        "__doc__": code.message,
        "__module__": __name__,
    }
    return type(_name(code), bases, namespace)


kafka_errors: dict[int, type[BrokerResponseError]] = {int(code): _make(code) for code in ErrorCode}
globals().update({error.__name__: error for error in kafka_errors.values()})


def __getattr__(name: str) -> type[BrokerResponseError]:
    # For type checkers: which classes there are is only known when the module runs.
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def for_code(error_code: int) -> type[BrokerResponseError]:
    """The class of a broker's error, one made for the purpose if nobody knows it."""
    known = kafka_errors.get(error_code)
    if known is not None:
        return known
    return type("UnrecognizedBrokerError", (BrokerResponseError,), {"errno": error_code})


_OF_THE_CLIENT: dict[int, type[KafkaError]] = {
    ClientError._TIMED_OUT: KafkaTimeoutError,
    ClientError._MSG_TIMED_OUT: KafkaTimeoutError,
    ClientError._TRANSPORT: KafkaConnectionError,
    ClientError._ALL_BROKERS_DOWN: KafkaConnectionError,
    ClientError._RESOLVE: KafkaConnectionError,
    ClientError._SSL: KafkaConnectionError,
    ClientError._AUTHENTICATION: kafka_errors[ErrorCode.SASL_AUTHENTICATION_FAILED],
    ClientError._UNSUPPORTED_FEATURE: kafka_errors[ErrorCode.UNSUPPORTED_VERSION],
    ClientError._INVALID_ARG: KafkaConfigurationError,
    ClientError._STATE: IllegalStateError,
    ClientError._NOT_CONFIGURED: IllegalStateError,
    ClientError._UNKNOWN_TOPIC: kafka_errors[ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    ClientError._UNKNOWN_PARTITION: kafka_errors[ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    ClientError._FENCED: kafka_errors[ErrorCode.PRODUCER_FENCED],
    ClientError._AUTO_OFFSET_RESET: NoOffsetForPartitionError,
    ClientError._PURGE_QUEUE: Cancelled,
    ClientError._PURGE_INFLIGHT: Cancelled,
    ClientError._BAD_MSG: KafkaProtocolError,
}


def error_of(error: ClientError) -> KafkaError:
    """kafka-python's exception for an error of Ottla's client."""
    code = error.code()
    if code >= ErrorCode.UNKNOWN_SERVER_ERROR:
        return for_code(code)(error.str())
    return _OF_THE_CLIENT.get(code, KafkaError)(error.str())


def raised(exception: BaseException) -> Any:
    """kafka-python's exception for one that Ottla's client raised; others are themselves."""
    if isinstance(exception, KafkaException):
        return error_of(exception.args[0])
    return exception
