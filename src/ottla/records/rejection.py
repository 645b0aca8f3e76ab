"""Why records were refused, as numbers both twins share, and as words for the client.

The native twin finds the reason without the GIL; the sentence is made here for both.
"""

from __future__ import annotations

from ottla.records.errors import InvalidRecord

RECORD_LENGTH = 1
RECORD_ENDS_EARLY = 2
VARINT = 3
OFFSET_DELTA = 4
KEY_SIZE = 5
VALUE_SIZE = 6
HEADER_COUNT = 7
HEADER_KEY_SIZE = 8
HEADER_VALUE_SIZE = 9
RECORD_GOES_ON = 10
BATCH_GOES_ON = 11
RECORD_COUNT = 12

_SENTENCES = {
    RECORD_LENGTH: "its length is negative or beyond the end of the batch",
    RECORD_ENDS_EARLY: "it ends inside a field",
    VARINT: "a variable-length integer doesn't end",
    OFFSET_DELTA: "its offset delta is out of sequence",
    KEY_SIZE: "its key size is invalid",
    VALUE_SIZE: "its value size is invalid",
    HEADER_COUNT: "its number of headers is invalid",
    HEADER_KEY_SIZE: "a header's key size is invalid",
    HEADER_VALUE_SIZE: "a header's value size is invalid",
    RECORD_GOES_ON: "it goes on after its last field",
    BATCH_GOES_ON: "the batch goes on after it, its last record",
    RECORD_COUNT: "the record count of the batch is negative",
}


def invalid_record(reason: int, index: int) -> InvalidRecord:
    """The error for the record at ``index`` of its batch."""
    return InvalidRecord(f"Record {index} is invalid: {_SENTENCES[reason]}", (index,))
