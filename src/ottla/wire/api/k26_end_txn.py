"""EndTxn (key 26): commit or abort a transaction (KIP-98).

Version 2 may answer PRODUCER_FENCED (KIP-588), 4 TRANSACTION_ABORTABLE, and 5 raises the epoch with
every transaction (KIP-890).
"""

from __future__ import annotations

from ottla.wire.declare import Bool, Int16, Int32, Int64, Message, String, at, message


@message(key=26, versions="0-5", flexible=3)
class EndTxnRequest(Message):
    """The transaction, and how it ends."""

    transactional_id: String
    producer_id: Int64
    producer_epoch: Int16
    committed: Bool  # False: abort


@message(key=26, versions="0-5", flexible=3)
class EndTxnResponse(Message):
    """Whether the end is decided, and what to produce with next."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    producer_id: Int64 = at("5+", default=-1, ignorable=True)
    producer_epoch: Int16 = at("5+", default=-1, ignorable=True)
