"""RenewDelegationToken (key 39): let a token live longer (KIP-48)."""

from __future__ import annotations

from ottla.wire.declare import Bytes, Int16, Int32, Int64, Message, at, message


@message(key=39, versions="1-2", flexible=2)
class RenewDelegationTokenRequest(Message):
    """The token's HMAC, and for how long."""

    hmac: Bytes
    renew_period_ms: Int64  # -1: the broker's default


@message(key=39, versions="1-2", flexible=2)
class RenewDelegationTokenResponse(Message):
    """When the token expires now."""

    error_code: Int16
    expiry_timestamp_ms: Int64
    throttle_time_ms: Int32 = at(default=0)
