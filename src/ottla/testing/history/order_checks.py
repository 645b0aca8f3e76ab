"""Checks of order: a consumer's position and a producer's records go forward."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ottla.testing.history.anomalies import Anomaly, AnomalyKind
from ottla.testing.history.index import Index, PartitionView
from ottla.testing.history.operations import NO_OFFSET, Assign, Poll, Read, Send


class _Position(NamedTuple):
    offset: int
    poll: Poll


def check_polls(index: Index) -> Iterator[Anomaly]:
    """Between two polls of one process nothing is read twice and nothing is passed.

    Only for consumers that chose their partitions themselves: members of a group may be given a
    partition, lose it and get it back between two polls, and go on from what is committed.
    """
    positions: dict[tuple[str, str], _Position] = {}
    views: dict[tuple[str, bool], PartitionView] = {}
    for operation in index.operations:
        if isinstance(operation, Assign):
            for key in [key for key in positions if key[0] == operation.process]:
                del positions[key]
        elif isinstance(operation, Poll) and operation.is_ok and operation.group is None:
            for partition, read in operation.read.items():
                key = (operation.process, partition)
                before = positions.get(key)
                if before is not None:
                    yield from _check_step(index, views, before, operation, partition, read)
                positions[key] = _Position(read.to_offset, operation)


def _check_step(
    index: Index,
    views: dict[tuple[str, bool], PartitionView],
    before: _Position,
    poll: Poll,
    partition: str,
    read: Read,
) -> Iterator[Anomaly]:
    if read.from_offset < before.offset:
        text = f"{poll} went back to {partition}@{read.from_offset}; {before.poll} had come to"
        text = f"{text} {before.offset}"
        yield Anomaly(AnomalyKind.NONMONOTONIC_POLL, f"{poll.id} {partition}", text)
    elif read.from_offset > before.offset:
        view = views.get((partition, poll.is_committed))
        if view is None:
            view = index.view(partition, committed=poll.is_committed)
            views[partition, poll.is_committed] = view
        for offset, value in view.between(before.offset, read.from_offset):
            if not index.may_be_absent(partition, offset, value):
                text = f"{partition}@{offset} {value!r} lies between {before.poll} and {poll}"
                yield Anomaly(AnomalyKind.POLL_SKIP, value, text)


def check_sends(index: Index) -> Iterator[Anomaly]:
    """A process's records stand in the order in which it sent them."""
    last: dict[tuple[str, str], tuple[int, Send]] = {}
    for send in index.sends.values():
        place = index.places.get(send.value)
        if place is None or place.offset == NO_OFFSET or place.partition != send.partition:
            continue
        key = (send.process, send.partition)
        before = last.get(key)
        if before is not None and place.offset < before[0]:
            is_internal = send.transaction is not None and send.transaction == before[1].transaction
            kind = (
                AnomalyKind.INT_NONMONOTONIC_SEND if is_internal else AnomalyKind.NONMONOTONIC_SEND
            )
            text = (
                f"{send} of {send.value!r} stands at {send.partition}@{place.offset}, before "
                f"offset {before[0]} of the earlier {before[1]} of {before[1].value!r}"
            )
            yield Anomaly(kind, send.value, text)
        else:
            last[key] = (place.offset, send)
