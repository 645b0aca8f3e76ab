"""The client's errors: ``KafkaError`` says what happened, ``KafkaException`` raises it."""

from __future__ import annotations

import builtins
from operator import index
from typing import SupportsIndex

from ottla.client.arguments import int32
from ottla.client.error_codes import DESCRIPTIONS, NAMES, ErrorCodes


class KafkaError(ErrorCodes):
    """One error of the broker or of the client: a code, a text and what may be done about it.

    An error compares and hashes like its code, so ``error.code() == KafkaError._TIMED_OUT`` and
    ``error == KafkaError._TIMED_OUT`` say the same. It is always true, also with ``NO_ERROR``.
    Compared with anything but an error or an integer it is unequal, and has no order.

    Args:
        error: the code, one of this class's constants or any other 32-bit integer.
        reason: the text; without one, the code's own description.
        fatal: the client instance can't be used any more.
        retriable: the operation that failed may be tried again.
        txn_requires_abort: the transaction has to be aborted before anything else is done.
    """

    __slots__ = ("_code", "_fatal", "_reason", "_retriable", "_txn_requires_abort")

    def __init__(
        self,
        error: SupportsIndex,
        reason: builtins.str | None = None,
        fatal: SupportsIndex = False,
        retriable: SupportsIndex = False,
        txn_requires_abort: SupportsIndex = False,
    ) -> None:
        if reason is not None and not isinstance(reason, str):
            raise TypeError(f"argument 2 must be str or None, not {type(reason).__name__}")
        self._code = int32(error)
        self._reason = describe(self._code) if reason is None else reason
        self._fatal = int32(fatal) != 0
        self._retriable = int32(retriable) != 0
        self._txn_requires_abort = int32(txn_requires_abort) != 0

    def code(self) -> int:
        """The error's code."""
        return self._code

    def name(self) -> builtins.str:
        """The code's constant name, ``ERR_n?`` for one that nobody knows."""
        return NAMES.get(self._code, f"ERR_{self._code}?")

    def str(self) -> builtins.str:
        """What happened, in words."""
        return self._reason

    def fatal(self) -> bool:
        """Whether the client instance can't be used any more."""
        return self._fatal

    def retriable(self) -> bool:
        """Whether the operation that failed may be tried again."""
        return self._retriable

    def txn_requires_abort(self) -> bool:
        """Whether the current transaction has to be aborted."""
        return self._txn_requires_abort

    def __repr__(self) -> builtins.str:
        fatal = "FATAL," if self._fatal else ""
        return f'KafkaError{{{fatal}code={self.name()},val={self._code},str="{self._reason}"}}'

    def __hash__(self) -> int:
        return hash(self._code)

    def __eq__(self, other: object) -> bool:
        code = _code_of(other)
        return NotImplemented if code is None else self._code == code

    def __lt__(self, other: KafkaError | SupportsIndex) -> bool:
        code = _code_of(other)
        return NotImplemented if code is None else self._code < code

    def __le__(self, other: KafkaError | SupportsIndex) -> bool:
        code = _code_of(other)
        return NotImplemented if code is None else self._code <= code

    def __gt__(self, other: KafkaError | SupportsIndex) -> bool:
        code = _code_of(other)
        return NotImplemented if code is None else self._code > code

    def __ge__(self, other: KafkaError | SupportsIndex) -> bool:
        code = _code_of(other)
        return NotImplemented if code is None else self._code >= code

    def __reduce__(
        self,
    ) -> tuple[type[KafkaError], tuple[int, builtins.str, bool, bool, bool]]:
        return type(self), (
            self._code,
            self._reason,
            self._fatal,
            self._retriable,
            self._txn_requires_abort,
        )


def describe(code: int) -> str:
    """The description of a code, ``Err-n?`` for one that nobody knows."""
    return DESCRIPTIONS.get(code, f"Err-{code}?")


def _code_of(other: object) -> int | None:
    if isinstance(other, KafkaError):
        return other._code
    return index(other) if isinstance(other, SupportsIndex) else None


class KafkaException(Exception):  # noqa: N818 - the name that confluent_kafka gave it
    """Raised for every failure of Kafka or of the client; ``args[0]`` is the ``KafkaError``."""


class IllegalStateException(RuntimeError):  # noqa: N818 - the name that confluent_kafka gave it
    """The call does not fit the state of the (share) consumer."""


class ConcurrentModificationException(RuntimeError):  # noqa: N818 - as above
    """A share consumer was used by two threads at once."""
