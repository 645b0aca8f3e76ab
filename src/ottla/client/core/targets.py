"""To whom a request is sent: a broker's id, or one of these."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final, Literal, NamedTuple, TypeAlias


class _Role(Enum):
    ANY = "any broker"
    CONTROLLER = "the controller"


ANY: Final = _Role.ANY
"""Whichever broker can be reached, the least busy one first; before any broker is known, one of the
bootstrap servers."""
CONTROLLER: Final = _Role.CONTROLLER
"""The broker that Metadata names as the controller."""


class KeyType(IntEnum):
    """What a coordinator coordinates: FindCoordinator's key types."""

    GROUP = 0
    TRANSACTION = 1
    SHARE = 2


class Coordinator(NamedTuple):
    """The coordinator of a group, a transactional id or a share partition."""

    key_type: KeyType
    key: str


Target: TypeAlias = int | Coordinator | Literal[_Role.ANY, _Role.CONTROLLER]


class Lane(Enum):
    """Which of the connections to a broker carries a request.

    A broker answers the requests of one connection one after another, so what may park (a fetch, a
    group that gathers) does not share a connection with what must not wait.
    """

    MAIN = "main"
    FETCH = "fetch"
    COORDINATOR = "coordinator"
