"""Kafka's errors as its tools name them: by the Java class of the exception."""

from __future__ import annotations

from ottla.cli.kafka.failures import ToolFailure
from ottla.wire.errors import ErrorCode

# Where the class is not called as the code is.
_CLASS_NAMES = {
    ErrorCode.UNKNOWN_SERVER_ERROR: "UnknownServerException",
    ErrorCode.CORRUPT_MESSAGE: "CorruptRecordException",
    ErrorCode.REQUEST_TIMED_OUT: "TimeoutException",
    ErrorCode.MESSAGE_TOO_LARGE: "RecordTooLargeException",
    ErrorCode.STALE_CONTROLLER_EPOCH: "ControllerMovedException",
    ErrorCode.RECORD_LIST_TOO_LARGE: "RecordBatchTooLargeException",
    ErrorCode.INVALID_TOPIC_EXCEPTION: "InvalidTopicException",
    ErrorCode.TOPIC_ALREADY_EXISTS: "TopicExistsException",
    ErrorCode.INVALID_CONFIG: "InvalidConfigurationException",
    ErrorCode.INVALID_REPLICA_ASSIGNMENT: "InvalidReplicaAssignmentException",
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS: "CoordinatorLoadInProgressException",
    ErrorCode.NON_EMPTY_GROUP: "GroupNotEmptyException",
    ErrorCode.FEATURE_UPDATE_FAILED: "FeatureUpdateFailedException",
}
_PACKAGE = "org.apache.kafka.common.errors."


class KafkaFailure(ToolFailure):
    """A broker refused: its error code and its words, or the code's own without any."""

    def __init__(self, code: int, message: str | None = None) -> None:
        try:
            self.code = ErrorCode(code)
        except ValueError:
            self.code = ErrorCode.UNKNOWN_SERVER_ERROR
        super().__init__(message or self.code.message)

    @property
    def class_name(self) -> str:
        """The full name of Java's exception."""
        return _PACKAGE + class_name(self.code)

    @property
    def qualified(self) -> str:
        """As Java prints an exception: its class and its message."""
        return f"{self.class_name}: {self.message}"

    @property
    def told(self) -> str:
        return self.qualified


def class_name(code: ErrorCode) -> str:
    """The name of the Java exception for an error code, without its package."""
    if code in _CLASS_NAMES:
        return _CLASS_NAMES[code]
    name = code.name.replace("_AUTHORIZATION_FAILED", "_AUTHORIZATION")
    name = name.replace("_AUTHENTICATION_FAILED", "_AUTHENTICATION")
    return "".join(word.capitalize() for word in name.split("_")) + "Exception"


def check(code: int, message: str | None = None) -> None:
    """Raise what an answer says is wrong.

    Raises:
        KafkaFailure: ``code`` is an error.
    """
    if code != 0:
        raise KafkaFailure(code, message)
