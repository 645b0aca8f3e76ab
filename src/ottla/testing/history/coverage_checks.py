"""Checks of what is missing: every poll that passed an offset must have got the record there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ottla.testing.history.anomalies import Anomaly, AnomalyKind
from ottla.testing.history.index import Fate, Index, PartitionView
from ottla.testing.history.operations import NO_OFFSET, Isolation, Poll


class _Sightings:
    """What polls of one isolation level got of one partition."""

    __slots__ = ("last_seen", "misses")

    def __init__(self) -> None:
        self.last_seen: dict[str, Poll] = {}
        self.misses: dict[str, tuple[int, Poll]] = {}
        """Of each record that some poll passed: its offset and the last such poll."""


def check_coverage(index: Index) -> Iterator[Anomaly]:
    """Lost writes, torn transactions, skips within a poll, and what nobody came to."""
    sightings: dict[tuple[str, Isolation], _Sightings] = defaultdict(_Sightings)
    views: dict[tuple[str, Isolation], PartitionView] = {}
    for poll in index.polls:
        for partition, read in poll.read.items():
            key = (partition, poll.isolation)
            view = views.get(key)
            if view is None:
                view = views[key] = index.view(partition, committed=poll.is_committed)
            found = sightings[key]
            got = dict(read.records)
            for value in got.values():
                found.last_seen[value] = poll
            for offset, value in view.between(read.from_offset, read.to_offset):
                if got.get(offset) != value and not index.may_be_absent(partition, offset, value):
                    found.misses[value] = (offset, poll)
    passed: set[str] = set()
    for (partition, isolation), found in sightings.items():
        for value, (offset, poll) in found.misses.items():
            passed.add(value)
            seen_by = found.last_seen.get(value)
            committed = isolation is Isolation.READ_COMMITTED
            yield _judge(index, f"{partition}@{offset}", value, poll, seen_by, committed)
    yield from _check_unseen(index, sightings, passed)


def _judge(
    index: Index, where: str, value: str, missed_by: Poll, seen_by: Poll | None, committed: bool
) -> Anomaly:
    if seen_by is not None and seen_by.completed > missed_by.invoked:
        text = f"{missed_by} passed {where} {value!r} without it, but {seen_by} got it"
        return Anomaly(AnomalyKind.POLL_SKIP, value, text)
    send = index.sends.get(value)
    transaction = index.transaction_of(send) if send is not None and committed else None
    if transaction is not None and transaction.seen_by is not None and seen_by is None:
        text = (
            f"{missed_by} passed {where} {value!r} of {transaction.name} without it, "
            f"but {transaction.seen_by} saw another part of it"
        )
        return Anomaly(AnomalyKind.TORN_TRANSACTION, value, text)
    known = index.places[value].witness if seen_by is None else seen_by
    text = f"{missed_by} passed {where} {value!r} without it, which is known from {known}"
    return Anomaly(AnomalyKind.LOST_WRITE, value, text)


def _check_unseen(
    index: Index, sightings: dict[tuple[str, Isolation], _Sightings], passed: set[str]
) -> Iterator[Anomaly]:
    seen: set[str] = set()
    for (_, isolation), found in sightings.items():
        if isolation is Isolation.READ_COMMITTED:
            seen |= found.last_seen.keys()
        else:
            # Of a transaction only the committed view tells.
            seen.update(
                value
                for value in found.last_seen
                if (send := index.sends.get(value)) is None or send.transaction is None
            )
    for value, send in index.sends.items():
        if not send.is_ok or value in seen or value in passed:
            continue
        transaction = index.transaction_of(send)
        if transaction is not None and transaction.fate is not Fate.COMMITTED:
            continue
        if index.may_be_absent(send.partition, send.offset, value):
            continue
        where = send.partition if send.offset == NO_OFFSET else f"{send.partition}@{send.offset}"
        told = f"{send} was acknowledged"
        if transaction is not None:
            told += f" and {transaction.name} committed"
        text = f"no poll got {where} {value!r}, though {told}"
        yield Anomaly(AnomalyKind.UNSEEN, value, text)
