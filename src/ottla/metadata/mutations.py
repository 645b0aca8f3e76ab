"""What a transaction does to the metadata store."""

from __future__ import annotations

from typing import NamedTuple


class Put(NamedTuple):
    """Create or replace one entry."""

    key: str
    value: str


class Delete(NamedTuple):
    """Remove one entry; nothing happens if there is none."""

    key: str


class DeletePrefix(NamedTuple):
    """Remove every entry whose key starts with ``prefix``."""

    prefix: str


Mutation = Put | Delete | DeletePrefix
