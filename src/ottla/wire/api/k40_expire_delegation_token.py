"""ExpireDelegationToken (key 40): end a token's life sooner (KIP-48)."""

from __future__ import annotations

from ottla.wire.declare import Bytes, Int16, Int32, Int64, Message, at, message


@message(key=40, versions="1-2", flexible=2)
class ExpireDelegationTokenRequest(Message):
    """The token's HMAC, and when."""

    hmac: Bytes
    expiry_time_period_ms: Int64  # negative: at once


@message(key=40, versions="1-2", flexible=2)
class ExpireDelegationTokenResponse(Message):
    """When the token expires now."""

    error_code: Int16
    expiry_timestamp_ms: Int64
    throttle_time_ms: Int32 = at(default=0)
