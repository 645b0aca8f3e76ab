"""Quotas of clients: whose they are, and changes of them (KIP-546)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

USER: Final = "user"
CLIENT_ID: Final = "client-id"
IP: Final = "ip"

ClientQuotaEntity = frozenset[tuple[str, str | None]]
"""Whose quotas: pairs of a type (``user``, ``client-id``, ``ip``) and a name, None for the default
of that type."""


def quota_entity(entries: Mapping[str, str | None]) -> ClientQuotaEntity:
    """An entity from types and names: ``quota_entity({"user": "alice", "client-id": None})``."""
    return frozenset(entries.items())


class ClientQuotaFilter(NamedTuple):
    """Which entities ``describe_client_quotas`` is asked about.

    Attributes:
        names: by type the name that an entity must have, None for the default.
        of_any_name: types that an entity must have, whatever the name.
        strict: leave out entities that have further types.
    """

    names: Mapping[str, str | None] = {}
    of_any_name: frozenset[str] = frozenset()
    strict: bool = False


class ClientQuotaAlteration(NamedTuple):
    """Changes of one entity's quotas.

    Attributes:
        entity: whose, see :func:`quota_entity`.
        quotas: by name of the quota its new value, None to remove it.
    """

    entity: ClientQuotaEntity
    quotas: Mapping[str, float | None]
