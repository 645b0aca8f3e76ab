"""Randomness as an argument."""

from __future__ import annotations

import os
import uuid
from typing import Protocol


class Entropy(Protocol):
    """Where a room takes randomness; a simulation passes a seeded one."""

    def uuid(self) -> uuid.UUID:
        """A fresh version 4 UUID that Kafka would accept as a topic, directory or cluster id."""
        ...

    def below(self, limit: int) -> int:
        """A uniform integer in ``range(limit)``."""
        ...

    def token(self, size_bytes: int) -> bytes:
        """Unguessable bytes."""
        ...


def _is_reserved(candidate: uuid.UUID) -> bool:
    # Kafka keeps the ids 0 and 1 for itself, and 2 to 100 for later use (KIP-516, KIP-858).
    return candidate.int <= 100


class SystemEntropy:
    """The operating system's generator."""

    def uuid(self) -> uuid.UUID:
        return uuid.uuid4()

    def below(self, limit: int) -> int:
        # Imported with the first use: with hashlib and random behind it, it costs every start.
        import secrets

        return secrets.randbelow(limit)

    def token(self, size_bytes: int) -> bytes:
        return os.urandom(size_bytes)


class SeededEntropy:
    """A reproducible generator for simulations: one seed, one sequence."""

    def __init__(self, seed: int) -> None:
        import random

        self._random = random.Random(seed)  # noqa: S311 - reproducibility is the point

    def uuid(self) -> uuid.UUID:
        while True:
            candidate = uuid.UUID(int=self._random.getrandbits(128), version=4)
            if not _is_reserved(candidate):
                return candidate

    def below(self, limit: int) -> int:
        return self._random.randrange(limit)

    def token(self, size_bytes: int) -> bytes:
        return self._random.randbytes(size_bytes)
