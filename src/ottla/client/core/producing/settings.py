"""The part of a producer's configuration that the sender goes by."""

from __future__ import annotations

from typing import NamedTuple

ACKS_ALL = -1
ACKS_NONE = 0


class SenderSettings(NamedTuple):
    """How batches are sent.

    ``delivery_timeout_ms`` 0 is no limit. ``max_in_flight`` counts requests of one connection.
    """

    acks: int = ACKS_ALL
    delivery_timeout_ms: float = 300_000
    retries: int = 2_147_483_647
    retry_backoff_ms: float = 100
    retry_backoff_max_ms: float = 1_000
    max_in_flight: int = 1_000_000
    max_request_bytes: int = 1_000_000
    # More would only fill the socket's queue, while batches that wait for their turn still grow.
    max_in_flight_bytes: int = 32 * 1024 * 1024
    is_idempotent: bool = False
    is_transactional: bool = False
