"""FindCoordinator (key 10): the broker that coordinates a group, transaction or share partition.

Version 1 adds transactional ids as keys (KIP-98), 4 asks for several keys at once (KIP-699), 5 may
answer TRANSACTION_ABORTABLE (KIP-890), and 6 adds share partitions (KIP-932).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Int8, Int16, Int32, Message, String, at, message, struct


@message(key=10, versions="0-6", flexible=3)
class FindCoordinatorRequest(Message):
    """The keys to find coordinators for."""

    key: String = at("0-3", default="")
    key_type: Int8 = at("1+", default=0)  # 0: group, 1: transaction, 2: share partition
    coordinator_keys: Array[String] = at("4+", default=list)


@struct
class Coordinator:
    """One key's coordinator, or why there is none."""

    key: String
    node_id: Int32
    host: String
    port: Int32
    error_code: Int16
    error_message: String | None = at(default="")


@message(key=10, versions="0-6", flexible=3)
class FindCoordinatorResponse(Message):
    """The coordinators found."""

    throttle_time_ms: Int32 = at("1+", default=0, ignorable=True)
    error_code: Int16 = at("0-3", default=0)
    error_message: String | None = at("1-3", default="", ignorable=True)
    node_id: Int32 = at("0-3", default=0)
    host: String = at("0-3", default="")
    port: Int32 = at("0-3", default=0)
    coordinators: Array[Coordinator] = at("4+", default=list)
