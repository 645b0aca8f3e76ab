"""What the configuration of broker and group says about one group's share partitions."""

from __future__ import annotations

from typing import NamedTuple


class ShareSettings(NamedTuple):
    """Limits of the delivery to one share group; they may change at any time.

    record_lock_duration_ms: how long an acquired record is reserved for its consumer.
    delivery_count_limit: how often a record is delivered before it is given up.
    max_record_locks: how many records of a partition may be in delivery at once (a soft limit:
        a batch is not divided for it).
    is_renew_enabled: whether consumers may renew their locks.
    """

    record_lock_duration_ms: int = 30_000
    delivery_count_limit: int = 5
    max_record_locks: int = 2_000
    is_renew_enabled: bool = True
