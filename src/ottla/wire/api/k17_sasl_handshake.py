"""SaslHandshake (key 17): agree on a SASL mechanism.

Version 1 wraps the tokens that follow in SaslAuthenticate requests (KIP-152). The version was never
raised again: old clients negotiate it wrongly (KAFKA-9577).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Message, String, message


@message(key=17, versions="0-1")
class SaslHandshakeRequest(Message):
    """The mechanism the client wants."""

    mechanism: String


@message(key=17, versions="0-1")
class SaslHandshakeResponse(Message):
    """The mechanisms the server offers."""

    error_code: Int16
    mechanisms: Array[String]
