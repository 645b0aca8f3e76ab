"""What can be wrong with record batches, each error with Kafka's code for it."""

# ruff: noqa: N818 - the names say what is wrong; that it is an error, the base class says

from __future__ import annotations


class RecordsError(Exception):
    """A record batch was refused. ``code`` is Kafka's numeric error code."""

    code: int = -1


class CorruptBatch(RecordsError):
    """The bytes are not what their sender wrote: CORRUPT_MESSAGE."""

    code = 2


class TruncatedBatch(CorruptBatch):
    """The buffer ends before the batch does; normal at the end of a fetch or a torn log."""


class InvalidRecord(RecordsError):
    """The batch is intact but breaks a rule of the format or the topic: INVALID_RECORD.

    ``record_indexes`` names the records at fault, when single records are.
    """

    code = 87

    def __init__(self, message: str, record_indexes: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.record_indexes = record_indexes


class UnsupportedFormat(RecordsError):
    """Message format v0 or v1.

    Kafka 4 answers INVALID_RECORD to a produce request that contains them; its
    UNSUPPORTED_FOR_MESSAGE_FORMAT is about topics kept in an old format, of which there are none.
    """

    code = 87


class UnsupportedCompression(RecordsError):
    """A codec number nobody has defined: UNSUPPORTED_COMPRESSION_TYPE."""

    code = 76


class BatchTooLarge(RecordsError):
    """The batch, or what it decompresses to, exceeds the limit: MESSAGE_TOO_LARGE."""

    code = 10
