"""The client's log: standard ``logging``, with librdkafka's levels, facilities and contexts."""

from __future__ import annotations

import itertools
import logging
from typing import Any

# Syslog's levels, in which ``log_level`` counts.
ERROR, WARNING, NOTICE, INFO, DEBUG = 3, 4, 5, 6, 7
_LEVELS = {
    ERROR: logging.ERROR,
    WARNING: logging.WARNING,
    NOTICE: logging.INFO,
    INFO: logging.INFO,
    DEBUG: logging.DEBUG,
}
_NUMBERS = itertools.count(1)


def instance_name(client_id: str, client_type: str) -> str:
    """A name for one client instance that no other of the process has: ``id#producer-1``."""
    return f"{client_id}#{client_type}-{next(_NUMBERS)}"


class ClientLog:
    """Writes what one client instance has to say.

    Args:
        name: the instance's name.
        logger: a ``logging.Logger`` or what logs like one; by default the logger ``ottla``.
        level: the last of syslog's levels that is written (``log_level``).
        contexts: what is to be debugged (``debug``); any context lets debug messages through.
    """

    __slots__ = ("_contexts", "_level", "_logger", "name")

    def __init__(
        self, name: str, logger: Any = None, level: int = INFO, contexts: tuple[str, ...] = ()
    ) -> None:
        self.name = name
        self._logger = logger if logger is not None else logging.getLogger("ottla")
        self._level = max(level, DEBUG) if contexts else level
        self._contexts = frozenset(contexts)

    def write(self, level: int, facility: str, text: str) -> None:
        """Write one line; ``facility`` is a word that says what it is about."""
        if level <= self._level:
            self._logger.log(_LEVELS.get(level, logging.ERROR), f"{facility} [{self.name}] {text}")

    def debugs(self, context: str) -> bool:
        """Whether messages of a context of ``debug`` are wanted, to save making them."""
        return bool(self._contexts) and (context in self._contexts or "all" in self._contexts)

    def debug(self, context: str, facility: str, text: str) -> None:
        """Write a line that is only wanted where ``debug`` names the context."""
        if self.debugs(context):
            self.write(DEBUG, facility, text)

    def failure(self, text: str, error: BaseException) -> None:
        """Write of an error that nobody expected, with its traceback."""
        self._logger.error(
            f"ERROR [{self.name}] {text}: {error!r}",
            exc_info=(type(error), error, error.__traceback__),
        )
