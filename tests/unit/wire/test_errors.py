"""The error table and its exceptions."""

from __future__ import annotations

import copy

import pytest

from ottla.wire.errors import ErrorCode, Malformed, ProtocolError, Truncated, Unencodable


def test_every_code_of_kafka_4_3_is_there() -> None:
    assert [error.value for error in ErrorCode] == list(range(-1, 134))
    assert all(error.message.endswith(".") for error in ErrorCode)


def test_an_error_is_its_code() -> None:
    assert ErrorCode(3) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert ErrorCode.UNKNOWN_TOPIC_OR_PARTITION == 3
    assert ErrorCode.UNKNOWN_TOPIC_OR_PARTITION.retriable
    assert not ErrorCode.MESSAGE_TOO_LARGE.retriable


def test_a_protocol_error_speaks_for_its_code() -> None:
    error = ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert error.message == str(error) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION.message
    assert str(ProtocolError(ErrorCode.INVALID_CONFIG, "no such key")) == "no such key"
    assert repr(error).startswith("ProtocolError(UNKNOWN_TOPIC_OR_PARTITION, ")


@pytest.mark.parametrize(
    "error",
    [
        ProtocolError(ErrorCode.INVALID_CONFIG, "no such key"),
        Truncated("early"),
        Malformed("wrong"),
        Unencodable("lost"),
    ],
)
def test_errors_can_be_copied_and_so_pickled(error: ProtocolError) -> None:
    copied = copy.copy(error)
    assert type(copied) is type(error)
    assert (copied.code, copied.message) == (error.code, error.message)
