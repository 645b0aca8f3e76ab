"""Transactions that have no records in the partition yet, while the coordinator is asked (KIP-890).

A transaction's first batch is appended only when the transaction coordinator has said that the
partition is part of the transaction. Between question and answer the transaction may have ended: a
guard is worth something only until the next marker or batch of the producer. So no late batch can
begin a transaction that nobody will ever end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.log.errors import InvalidTransactionState, OutOfOrderSequence
from ottla.records.batch import BatchHeader

if TYPE_CHECKING:
    from ottla.log.producers import Producer


class VerificationGuard:
    """A question to the coordinator about one producer; compared by identity."""

    __slots__ = ()


class _Verification:
    """What is known of a producer whose transaction is being verified."""

    __slots__ = ("bumps_epochs", "guard", "lowest_sequence", "producer_epoch", "since_ms")

    def __init__(
        self, producer_epoch: int, lowest_sequence: int, since_ms: int, *, bumps_epochs: bool
    ) -> None:
        self.guard = VerificationGuard()
        self.producer_epoch = producer_epoch
        self.lowest_sequence = lowest_sequence
        self.since_ms = since_ms
        self.bumps_epochs = bumps_epochs


class Verifications:
    """The verifications under way in one partition."""

    __slots__ = ("_by_producer_id",)

    def __init__(self) -> None:
        self._by_producer_id: dict[int, _Verification] = {}

    def __len__(self) -> int:
        return len(self._by_producer_id)

    def begin(
        self,
        producer_id: int,
        producer_epoch: int,
        base_sequence: int,
        *,
        bumps_epochs: bool,
        now_ms: int,
    ) -> VerificationGuard:
        """A guard for the first batch of a transaction.

        Several batches may be on their way, all with the same guard.

        Args:
            bumps_epochs: the client's transactions each have an epoch of their own, so that an
                unknown producer's sequence starts at 0 (transaction.version 2).
        """
        known = self._by_producer_id.get(producer_id)
        if known is None:
            known = self._by_producer_id[producer_id] = _Verification(
                producer_epoch, base_sequence, now_ms, bumps_epochs=bumps_epochs
            )
        elif producer_epoch > known.producer_epoch:
            known.producer_epoch, known.lowest_sequence = producer_epoch, base_sequence
        elif producer_epoch == known.producer_epoch:
            known.lowest_sequence = min(known.lowest_sequence, base_sequence)
        return known.guard

    def check_guard(self, producer_id: int, guard: VerificationGuard | None) -> None:
        """Refuse a batch that would begin a transaction unverified.

        Raises:
            InvalidTransactionState: the guard is none, or not worth anything any more.
        """
        known = self._by_producer_id.get(producer_id)
        if known is None or guard is not known.guard:
            raise InvalidTransactionState(
                f"Producer {producer_id} has no transaction here, and none was verified"
            )

    def check_sequence(self, producer: Producer, header: BatchHeader) -> None:
        """Refuse a batch that overtook the transaction's first one while that was verified.

        Raises:
            OutOfOrderSequence: the producer will send it again.
        """
        known = self._by_producer_id.get(producer.producer_id)
        if known is None:
            return
        expected = known.lowest_sequence
        if known.bumps_epochs and not producer.batches:
            expected = 0
        if header.base_sequence > expected:
            raise OutOfOrderSequence(
                f"Producer {producer.producer_id}: sequence {header.base_sequence} where "
                f"{expected} was expected at the beginning of its transaction"
            )

    def withdraw(self, producer_id: int, guard: VerificationGuard) -> None:
        """The coordinator has refused: nothing is to be kept of it."""
        known = self._by_producer_id.get(producer_id)
        if known is not None and known.guard is guard:
            del self._by_producer_id[producer_id]

    def discard(self, producer_id: int) -> None:
        """The producer's transaction has begun, or ended: its guard is worth nothing any more."""
        self._by_producer_id.pop(producer_id, None)

    def remove_expired(self, now_ms: int, expiration_ms: int) -> None:
        """Forget verifications that never came to an end."""
        for producer_id, known in list(self._by_producer_id.items()):
            if now_ms - known.since_ms >= expiration_ms:
                del self._by_producer_id[producer_id]
