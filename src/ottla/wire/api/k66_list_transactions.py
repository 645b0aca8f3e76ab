"""ListTransactions (key 66): the transactions a broker coordinates (KIP-664).

Version 1 filters by duration (KIP-994), 2 by transactional id (KIP-1152).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Int64, Message, String, at, message, struct


@message(key=66, versions="0-2", flexible=0)
class ListTransactionsRequest(Message):
    """Filters; an empty one lets everything through."""

    state_filters: Array[String]
    producer_id_filters: Array[Int64]
    duration_filter: Int64 = at("1+", default=-1)  # ms a transaction must be open; negative: any
    transactional_id_pattern: String | None = at("2+", default=None)


@struct
class ListedTransaction:
    """One transaction and its state."""

    transactional_id: String
    producer_id: Int64
    transaction_state: String


@message(key=66, versions="0-2", flexible=0)
class ListTransactionsResponse(Message):
    """The transactions found."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    unknown_state_filters: Array[String]
    transaction_states: Array[ListedTransaction]
