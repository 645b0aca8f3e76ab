"""InitProducerId (key 22): a producer's id and epoch.

Version 3 lets a producer raise its own epoch (KIP-360), 4 may answer PRODUCER_FENCED (KIP-588) and
5 TRANSACTION_ABORTABLE (KIP-890). Version 6, two-phase commit (KIP-939), is not stable in 4.3.
"""

from __future__ import annotations

from ottla.wire.declare import Int16, Int32, Int64, Message, String, at, message


@message(key=22, versions="0-5", flexible=2)
class InitProducerIdRequest(Message):
    """Who asks, and how long its transactions may stay open."""

    transactional_id: String | None  # null: idempotent only
    transaction_timeout_ms: Int32
    producer_id: Int64 = at("3+", default=-1)  # -1: none yet
    producer_epoch: Int16 = at("3+", default=-1)


@message(key=22, versions="0-5", flexible=2)
class InitProducerIdResponse(Message):
    """The id and epoch to produce with."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    producer_id: Int64 = at(default=-1)
    producer_epoch: Int16
