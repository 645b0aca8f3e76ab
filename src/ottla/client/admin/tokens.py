"""Delegation tokens (KIP-48)."""

from __future__ import annotations

from typing import NamedTuple


class KafkaPrincipal(NamedTuple):
    """Somebody: ``User`` and a name."""

    principal_type: str
    name: str

    def __str__(self) -> str:
        return f"{self.principal_type}:{self.name}"


class DelegationToken:
    """A token that others can authenticate with.

    Its HMAC is the secret, and left out of ``repr``.

    Attributes:
        token_id: the token's name, which the user authenticates as.
        hmac: its secret.
        owner: on whose behalf it speaks.
        requester: who asked for it, None if the broker does not tell (KIP-373).
        renewers: who else may renew it.
        issue_timestamp_ms: when it was made.
        expiry_timestamp_ms: when it expires unless it is renewed.
        max_timestamp_ms: when it expires in any case.
    """

    __slots__ = (
        "expiry_timestamp_ms", "hmac", "issue_timestamp_ms", "max_timestamp_ms", "owner",
        "renewers", "requester", "token_id",
    )  # fmt: skip

    def __init__(
        self,
        token_id: str,
        hmac: bytes,
        owner: KafkaPrincipal,
        requester: KafkaPrincipal | None,
        renewers: list[KafkaPrincipal],
        issue_timestamp_ms: int,
        expiry_timestamp_ms: int,
        max_timestamp_ms: int,
    ) -> None:
        self.token_id = token_id
        self.hmac = hmac
        self.owner = owner
        self.requester = requester
        self.renewers = renewers
        self.issue_timestamp_ms = issue_timestamp_ms
        self.expiry_timestamp_ms = expiry_timestamp_ms
        self.max_timestamp_ms = max_timestamp_ms

    def __repr__(self) -> str:
        return f"DelegationToken({self.token_id!r}, owner={self.owner})"
