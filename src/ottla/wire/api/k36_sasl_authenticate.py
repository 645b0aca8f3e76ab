"""SaslAuthenticate (key 36): one step of a SASL exchange (KIP-152).

Version 1 tells when to authenticate again (KIP-368).
"""

from __future__ import annotations

from ottla.wire.declare import Bytes, Int16, Int64, Message, String, at, message


@message(key=36, versions="0-2", flexible=2)
class SaslAuthenticateRequest(Message):
    """The client's token."""

    auth_bytes: Bytes


@message(key=36, versions="0-2", flexible=2)
class SaslAuthenticateResponse(Message):
    """The server's token, or why authentication failed."""

    error_code: Int16
    error_message: String | None
    auth_bytes: Bytes
    session_lifetime_ms: Int64 = at("1+", default=0, ignorable=True)  # 0: no limit
