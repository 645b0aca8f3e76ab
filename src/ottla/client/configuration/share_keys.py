"""Keys of share consumers that librdkafka does not have yet; the others are among consumers'."""

from __future__ import annotations

from ottla.client.configuration.key import Key, same

KEYS: tuple[Key, ...] = (
    # KIP-1206: whole batches, or never more records than max.poll.records.
    Key(
        "share.acquire.mode",
        "choice",
        "batch_optimized",
        role="share consumer",
        choices=same("batch_optimized", "record_limit"),
    ),
)
