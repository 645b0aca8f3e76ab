"""AddOffsetsToTxn (key 25): make a group's offsets part of a transaction (KIP-98).

Version 2 may answer PRODUCER_FENCED (KIP-588), 4 TRANSACTION_ABORTABLE (KIP-890).
"""

from __future__ import annotations

from ottla.wire.declare import Int16, Int32, Int64, Message, String, at, message


@message(key=25, versions="0-4", flexible=3)
class AddOffsetsToTxnRequest(Message):
    """The transaction and the group."""

    transactional_id: String
    producer_id: Int64
    producer_epoch: Int16
    group_id: String


@message(key=25, versions="0-4", flexible=3)
class AddOffsetsToTxnResponse(Message):
    """Whether the group's offsets are part of it now."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
