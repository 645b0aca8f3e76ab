"""What ``ottla.aio.AdminClient`` raises when a call fails for some of its items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ottla.client.errors import KafkaError, KafkaException


class AdminException(KafkaException):
    """A call failed for some items; ``args[0]`` is the error of the first of them.

    Attributes:
        errors: the errors by item.
        results: what the call returned for the other items.
    """

    def __init__(self, errors: Mapping[Any, KafkaError], results: Mapping[Any, Any]) -> None:
        super().__init__(next(iter(errors.values())))
        self.errors = dict(errors)
        self.results = dict(results)

    def __str__(self) -> str:
        return ", ".join(f"{item}: {error}" for item, error in self.errors.items())

    def __reduce__(self) -> tuple[type[AdminException], tuple[Any, Any]]:
        return type(self), (self.errors, self.results)
