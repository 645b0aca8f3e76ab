"""What cleaning has to know of transactions, as it comes along their batches in order.

Records of aborted transactions go. An end marker may go (after its delete horizon) once none of its
transaction's batches is left before it; until then a reader needs it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ottla.log.transactions import AbortedTransaction
from ottla.records.batch import BatchHeader
from ottla.records.control import ControlType, decode_control_key
from ottla.records.decode import decode_records
from ottla.records.errors import InvalidRecord
from ottla.records.record import BytesLike


class CleanedTransactions:
    """The transactions that are open at the place cleaning has reached.

    Args:
        aborted: every aborted transaction with records in the part of the log that is walked.
    """

    def __init__(self, aborted: Iterable[AbortedTransaction]) -> None:
        self._coming = deque(sorted(aborted, key=lambda each: each.first_offset))
        self._aborted: dict[int, AbortedTransaction] = {}
        self._seen_aborted: set[int] = set()
        self._seen_committed: set[int] = set()
        self.still_aborted: list[AbortedTransaction] = []
        """Those whose marker stays with something before it, since this was last emptied: what the
        new segment's transaction index has to say."""

    def is_aborted(self, header: BatchHeader) -> bool:
        """Take note of a batch of records; whether its transaction was aborted."""
        if not header.is_transactional:
            return False
        self._advance(header.last_offset)
        begun = self._aborted.get(header.producer_id)
        # One that ended before what is walked is none of ours; its marker was not seen.
        if begun is not None and header.last_offset < begun.last_offset:
            self._seen_aborted.add(header.producer_id)
            return True
        self._seen_committed.add(header.producer_id)
        return False

    def may_drop_marker(self, header: BatchHeader, batch: BytesLike) -> bool:
        """Take note of a control batch; whether nothing before it needs it any more.

        Raises:
            RecordsError: the batch is damaged.
        """
        self._advance(header.last_offset)
        producer_id = header.producer_id
        match _control_type(batch):
            case None:
                # Emptied by an earlier cleaning.
                return True
            case ControlType.ABORT:
                ended = self._aborted.pop(producer_id, None)
                if ended is None or producer_id not in self._seen_aborted:
                    return True
                self._seen_aborted.discard(producer_id)
                self.still_aborted.append(ended)
                return False
            case ControlType.COMMIT:
                if producer_id not in self._seen_committed:
                    return True
                self._seen_committed.discard(producer_id)
                return False
            case _:
                return False

    def _advance(self, offset: int) -> None:
        while self._coming and self._coming[0].first_offset <= offset:
            begun = self._coming.popleft()
            self._aborted[begun.producer_id] = begun


def _control_type(batch: BytesLike) -> ControlType | None:
    records = decode_records(batch)
    if not records:
        return None
    try:
        return decode_control_key(records[0].key)
    except InvalidRecord:
        return ControlType.UNKNOWN
