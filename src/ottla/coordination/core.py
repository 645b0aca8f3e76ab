"""What every coordinator's core is: a machine that decides and replays, for one shard of state."""

from __future__ import annotations

from typing import Any, Protocol

from ottla.coordination.outcome import (
    CoordinatorRecord,
    Outcome,
    Reply,
    SkippedRecord,
    TransactionalProducer,
)
from ottla.wire.errors import ErrorCode


class CoordinatorCore(Protocol):
    """One partition of an internal topic at work.

    `replay`, `end_transaction` and `apply` are the only ways its state changes; a decision says
    what is to happen and changes nothing. To load it: a new core, `replay` and `end_transaction`
    for everything in the log, then `loaded`, whose outcome is performed like any other.
    """

    def decide(self, command: Any, now_ms: int) -> Outcome:
        """What a command leads to."""
        ...

    def on_timer(self, key: Any, now_ms: int) -> Outcome:
        """What a timer's expiry leads to; nothing, if it outlived its cause."""
        ...

    def replay(
        self, record: CoordinatorRecord, producer: TransactionalProducer | None = None
    ) -> SkippedRecord | None:
        """Takes in one record of the log; says so if it was skipped.

        Args:
            producer: set for a record of a transaction, which `end_transaction` will end.
        """
        ...

    def end_transaction(self, producer_id: int, producer_epoch: int, is_committed: bool) -> None:
        """Takes in an end marker of the log: the producer's records take effect, or never will."""
        ...

    def apply(self, event: Any) -> None:
        """Takes in a change that a restart forgets."""
        ...

    def loaded(self, now_ms: int) -> Outcome:
        """What there is to do after the replay of the log."""
        ...

    def abandon(self, error: ErrorCode) -> list[Reply]:
        """The answers to all parked commands of a shard that is about to be thrown away.

        They are released at once: no record could make them true.
        """
        ...
