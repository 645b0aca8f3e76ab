"""Which errors say that a broker could not be reached, and nothing about what was asked."""

from __future__ import annotations

from typing import Final

from ottla.client.errors import KafkaError

UNREACHABLE: Final[frozenset[int]] = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError._SSL,
        KafkaError._AUTHENTICATION,
        KafkaError._UNKNOWN_BROKER,
    }
)
"""The connection came to nothing, for whatever reason. ``error_cb`` has been told which; whoever
asked tries again as long as there is time, for a password or a certificate can be mended, too."""
