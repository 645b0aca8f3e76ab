"""What is asked of a share partition, and what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class LogBatch(NamedTuple):
    """A batch as it was read from the partition's log.

    last_offset: inclusive.
    is_deliverable: not so for control batches and, where only committed records are delivered, for
        those of aborted transactions.
    """

    base_offset: int
    last_offset: int
    is_deliverable: bool = True


class AcquireLimits(NamedTuple):
    """How much a fetch wants.

    max_records: a soft limit, because batches are not divided for it; a strict one where
        ``is_record_limit`` (share acquire mode ``record_limit``, KIP-1206).
    batch_size: records in one acquired range, as a wish.
    """

    max_records: int
    batch_size: int
    is_record_limit: bool = False


class AcquiredRange(NamedTuple):
    """Offsets now locked for the member, first and last inclusive."""

    first_offset: int
    last_offset: int
    delivery_count: int


class Acknowledgement(NamedTuple):
    """What a member says of offsets it acquired.

    types: one for all offsets, or one for each.
    """

    first_offset: int
    last_offset: int
    types: Sequence[int]
