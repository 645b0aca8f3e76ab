"""What every SASL mechanism is to the engine: tokens to send, answers to take."""

from __future__ import annotations

from typing import Protocol

from ottla.client.errors import KafkaError, KafkaException


class Conversation(Protocol):
    """One authentication. Each is used once; authenticating again takes a new one."""

    def start(self) -> bytes:
        """The first token to send."""
        ...

    def answer(self, challenge: bytes) -> bytes | None:
        """The token that answers the broker's; None when there is no more to say.

        Raises:
            KafkaException: ``_AUTHENTICATION``: the broker refused, or is not whom it claims to be.
        """
        ...


def refused(reason: str) -> KafkaException:
    """The exception for an authentication that failed."""
    return KafkaException(KafkaError(KafkaError._AUTHENTICATION, reason))
