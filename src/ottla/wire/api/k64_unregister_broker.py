"""UnregisterBroker (key 64): forget a broker that won't come back (KIP-631)."""

from __future__ import annotations

from ottla.wire.declare import Int16, Int32, Message, String, at, message


@message(key=64, versions="0", flexible=0)
class UnregisterBrokerRequest(Message):
    """The broker to forget."""

    broker_id: Int32


@message(key=64, versions="0", flexible=0)
class UnregisterBrokerResponse(Message):
    """Whether it is forgotten."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None
