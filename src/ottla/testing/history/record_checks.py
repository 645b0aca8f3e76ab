"""Checks of single records: what stands where, and what was read though it must not be."""

from __future__ import annotations

from collections.abc import Iterator

from ottla.testing.history.anomalies import Anomaly, AnomalyKind
from ottla.testing.history.index import Fate, Index, Place
from ottla.testing.history.operations import NO_OFFSET, Operation, Poll, Read, Send


def check_records(index: Index) -> Iterator[Anomaly]:
    """Go through all acknowledgements and polls once; fills the index's places on the way."""
    for send in index.sends.values():
        if send.is_ok and send.offset != NO_OFFSET:
            yield from _place(index, send.partition, send.offset, send.value, send)
    for poll in index.polls:
        for partition, read in poll.read.items():
            yield from _check_order(poll, partition, read)
            for offset, value in read.records:
                yield from _place(index, partition, offset, value, poll)
                yield from _check_readable(index, poll, partition, offset, value)


def _place(
    index: Index, partition: str, offset: int, value: str, witness: Operation
) -> Iterator[Anomaly]:
    at = index.at[partition]
    known = at.get(offset)
    if known is None:
        at[offset] = (value, witness)
    elif known[0] != value:
        yield Anomaly(
            AnomalyKind.INCONSISTENT_OFFSETS,
            f"{partition}@{offset} {value!r}",
            f"{partition}@{offset} is {known[0]!r} by {known[1]}, but {value!r} by {witness}",
        )
    place = index.places.get(value)
    if place is None:
        index.places[value] = Place(partition, offset, witness)
    elif place.offset != offset or place.partition != partition:
        yield Anomaly(
            AnomalyKind.DUPLICATE,
            f"{partition}@{offset} {value!r}",
            f"{value!r} stands at {place.partition}@{place.offset} by {place.witness}, "
            f"and at {partition}@{offset} by {witness}",
        )


def _check_order(poll: Poll, partition: str, read: Read) -> Iterator[Anomaly]:
    last = NO_OFFSET
    for offset, value in read.records:
        if offset <= last:
            yield Anomaly(
                AnomalyKind.INT_NONMONOTONIC_POLL,
                f"{poll.id} {partition}@{offset}",
                f"{partition}@{offset} {value!r} came after offset {last} within {poll}",
            )
        last = offset


def _check_readable(
    index: Index, poll: Poll, partition: str, offset: int, value: str
) -> Iterator[Anomaly]:
    send = index.sends.get(value)
    if send is None:
        yield _read_too_much(AnomalyKind.PHANTOM, poll, partition, offset, value, "nobody sent it")
        return
    if send.has_failed:
        yield _aborted(poll, partition, offset, send, f"{send} failed: {send.error}")
        return
    transaction = index.transaction_of(send) if poll.is_committed else None
    if transaction is None:
        return
    if transaction.fate is Fate.ABORTED:
        yield _aborted(poll, partition, offset, send, f"{transaction.name} was not committed")
    elif transaction.commit_requested > poll.completed:
        why = f"nobody had asked to commit {transaction.name}"
        yield _read_too_much(
            AnomalyKind.PRECOMMITTED_READ, poll, partition, offset, value, f"{send}; {why}"
        )
    elif transaction.seen_by is None:
        transaction.seen_by = poll


def _aborted(poll: Poll, partition: str, offset: int, send: Send, why: str) -> Anomaly:
    return _read_too_much(
        AnomalyKind.ABORTED_READ, poll, partition, offset, send.value, f"{send}; {why}"
    )


def _read_too_much(
    kind: AnomalyKind, poll: Poll, partition: str, offset: int, value: str, why: str
) -> Anomaly:
    what = f"{partition}@{offset} {value!r}"
    return Anomaly(kind, what, f"{poll} read {what}: {why}")
