"""What an append gives back, and what is refused whoever sent it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ottla.log.config import LogConfig
from ottla.log.errors import MessageTooLarge, RecordListTooLarge, UnexpectedAppendOffset
from ottla.records.batch import BatchHeader


class Appended(NamedTuple):
    """Where batches went, or, for a repeated batch, where it had gone the first time."""

    first_offset: int
    last_offset: int
    log_append_time_ms: int
    """The broker's time when it is the records' time, else -1."""
    log_start_offset: int
    is_duplicate: bool = False


def check_sizes(
    size_bytes: int,
    batches: Sequence[tuple[int, BatchHeader]],
    config: LogConfig,
    is_replica: bool,
) -> None:
    """Raise ``RecordListTooLarge`` or ``MessageTooLarge`` for what the topic doesn't take."""
    if size_bytes > config.segment_bytes:
        raise RecordListTooLarge(
            f"{size_bytes} bytes at once exceed segment.bytes ({config.segment_bytes})"
        )
    # A replica takes what its leader took, though the topic's limit may have shrunk since.
    if is_replica or size_bytes <= config.max_message_bytes:
        return
    for _, header in batches:
        if header.size_bytes > config.max_message_bytes:
            raise MessageTooLarge(
                f"A batch of {header.size_bytes} bytes exceeds max.message.bytes "
                f"({config.max_message_bytes})"
            )


def check_replicated(header: BatchHeader, log_end_offset: int) -> int:
    """A replicated batch's own offset; raises ``UnexpectedAppendOffset`` when it is taken."""
    if header.base_offset < log_end_offset:
        raise UnexpectedAppendOffset(
            f"A replicated batch starts at {header.base_offset}, before the log end offset "
            f"{log_end_offset}"
        )
    return header.base_offset
