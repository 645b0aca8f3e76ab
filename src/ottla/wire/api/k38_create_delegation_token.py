"""CreateDelegationToken (key 38): a token others can authenticate with (KIP-48).

Version 3 makes tokens for somebody else (KIP-373).
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
class RenewerToAdd:
    """Somebody who may renew the token."""

    principal_type: String
    principal_name: String


@message(key=38, versions="1-3", flexible=2)
class CreateDelegationTokenRequest(Message):
    """The token's owner, renewers and lifetime."""

    owner_principal_type: String | None = at("3+", default="")  # null: the asker is the owner
    owner_principal_name: String | None = at("3+", default="")
    renewers: Array[RenewerToAdd]
    max_lifetime_ms: Int64  # -1: the broker's limit


@message(key=38, versions="1-3", flexible=2)
class CreateDelegationTokenResponse(Message):
    """The token made."""

    error_code: Int16
    principal_type: String
    principal_name: String
    token_requester_principal_type: String = at("3+", default="")
    token_requester_principal_name: String = at("3+", default="")
    issue_timestamp_ms: Int64
    expiry_timestamp_ms: Int64
    max_timestamp_ms: Int64
    token_id: String
    hmac: Bytes
    throttle_time_ms: Int32 = at(default=0)
