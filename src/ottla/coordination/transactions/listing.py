"""Which transactional ids a list shows (KIP-664, KIP-994, KIP-1152)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from ottla.coordination.regular_expressions import compiled
from ottla.coordination.transactions.transaction import STATE_NAMES, Transaction, TransactionState

_STATES = {name: state for state, name in STATE_NAMES.items()}


class ListFilter(NamedTuple):
    """What is wanted; an empty collection lets everything through.

    Attributes:
        states: by their names in the protocol.
        open_longer_than_ms: how long the transaction must have been open; negative for any time.
        pattern: a regular expression for whole transactional ids.
    """

    states: Collection[str] = ()
    producer_ids: Collection[int] = ()
    open_longer_than_ms: int = -1
    pattern: str | None = None

    def unknown_states(self) -> list[str]:
        """The names that no state has."""
        return [name for name in dict.fromkeys(self.states) if name not in _STATES]

    def select(self, transactions: Iterable[Transaction], now_ms: int) -> list[Transaction]:
        """Those that pass.

        Raises:
            ProtocolError: INVALID_REGULAR_EXPRESSION.
        """
        pattern = compiled(self.pattern, "Transaction ID pattern") if self.pattern else None
        states: set[TransactionState | None] = {_STATES.get(name) for name in self.states}
        producer_ids = frozenset(self.producer_ids)
        return [
            transaction
            for transaction in transactions
            if (not states or transaction.state in states)
            and (not producer_ids or transaction.producer_id in producer_ids)
            and self._is_old_enough(transaction, now_ms)
            and (pattern is None or pattern.fullmatch(transaction.transactional_id) is not None)
        ]

    def _is_old_enough(self, transaction: Transaction, now_ms: int) -> bool:
        # As in Kafka, one that is over still counts from when it began.
        longer_than_ms = self.open_longer_than_ms
        return longer_than_ms < 0 or now_ms - transaction.started_ms > longer_than_ms
