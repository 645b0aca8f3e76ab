"""DescribeDelegationToken (key 41): tokens and their owners (KIP-48).

Version 3 tells who asked for the token (KIP-373).
"""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Bytes,
    Int16,
    Int32,
    Int64,
    Message,
    String,
    at,
    message,
    struct,
)


@struct
class TokenOwner:
    """A principal whose tokens are asked for."""

    principal_type: String
    principal_name: String


@message(key=41, versions="1-3", flexible=2)
class DescribeDelegationTokenRequest(Message):
    """Whose tokens to describe."""

    owners: Array[TokenOwner] | None  # null: everybody's


@struct
class TokenRenewer:
    """Somebody who may renew the token."""

    principal_type: String
    principal_name: String


@struct
class DescribedToken:
    """One token."""

    principal_type: String
    principal_name: String
    token_requester_principal_type: String = at("3+", default="")
    token_requester_principal_name: String = at("3+", default="")
    issue_timestamp: Int64
    expiry_timestamp: Int64
    max_timestamp: Int64
    token_id: String
    hmac: Bytes
    renewers: Array[TokenRenewer]


@message(key=41, versions="1-3", flexible=2)
class DescribeDelegationTokenResponse(Message):
    """The tokens found."""

    error_code: Int16
    tokens: Array[DescribedToken]
    throttle_time_ms: Int32 = at(default=0)
