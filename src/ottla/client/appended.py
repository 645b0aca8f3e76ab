"""What ``Accumulator.append`` answers, and the exception that ``produce`` makes of a refusal."""

from __future__ import annotations

from ottla.client.errors import KafkaError, KafkaException

APPENDED = 0
"""The record waits in its batch; nothing to do."""
WAKE = 1
"""As ``APPENDED``, and the engine has to look at ``Accumulator.ready``."""
QUEUE_FULL = 2
"""Refused: ``queue.buffering.max.messages`` or ``queue.buffering.max.kbytes`` is reached."""
TOO_LARGE = 3
"""Refused: alone in a batch, the record is larger than ``message.max.bytes``."""
UNKNOWN_PARTITION = 4
"""Refused: the topic is known and has no such partition."""
UNKNOWN_TOPIC = 5
"""Refused: the topic did not appear in time; see ``Accumulator.refuse_topic``."""

PARTITIONERS = (
    "random",
    "consistent",
    "consistent_random",
    "murmur2",
    "murmur2_random",
    "fnv1a",
    "fnv1a_random",
)
"""The values of the ``partitioner`` property, by the numbers the accumulator uses for them."""

_CODES = {
    QUEUE_FULL: KafkaError._QUEUE_FULL,
    TOO_LARGE: KafkaError.MSG_SIZE_TOO_LARGE,
    UNKNOWN_PARTITION: KafkaError._UNKNOWN_PARTITION,
    UNKNOWN_TOPIC: KafkaError._UNKNOWN_TOPIC,
}


def refusal(answer: int) -> BufferError | KafkaException:
    """The exception for one of the refusals above."""
    if answer == QUEUE_FULL:
        return BufferError("Local: Queue full")
    code = _CODES[answer]
    return KafkaException(KafkaError(code, f"Unable to produce message: {KafkaError(code).str()}"))


def code_of_refusal(answer: int) -> int:
    """The error code for one of the refusals above."""
    return _CODES[answer]


def header_pairs(headers: object) -> list[bytes | None]:
    """Names and values of headers in turn, encoded; what ``produce`` accepts as headers.

    Raises:
        TypeError: not a dictionary or list of pairs, or a value that is no str, bytes or None.
    """
    if headers is None:
        return []
    if isinstance(headers, dict):
        pairs: list[object] = list(headers.items())
    elif isinstance(headers, list):
        pairs = headers
    else:
        kind = type(headers).__name__
        raise TypeError(f"headers must be a dict or a list of (name, value) tuples, not {kind}")
    encoded: list[bytes | None] = []
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError("headers must be a list of (name, value) tuples")
        name, value = pair
        encoded.append((name if isinstance(name, str) else str(name)).encode())
        if value is not None and not isinstance(value, bytes | str):
            kind = type(value).__name__
            raise TypeError(f"a header's value must be bytes, str or None, not {kind}")
        encoded.append(value.encode() if isinstance(value, str) else value)
    return encoded
