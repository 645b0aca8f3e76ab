"""A check of exactly-once copies: what came out is what went in, each record once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from ottla.testing.history.anomalies import Anomaly, AnomalyKind
from ottla.testing.history.operations import History, Operation, Poll


def check_copy(
    history: History,
    sources: Collection[str],
    targets: Collection[str],
    origin: Callable[[str], str],
) -> list[Anomaly]:
    """Compare what ``read_committed`` polls got of the copy with what they got of its source.

    Both must have been read to their ends, and the copier must have come to the source's.

    Args:
        sources: the source's partitions.
        targets: the copy's partitions.
        origin: of a copied value, the value of its source.
    """
    read = _committed_reads(history, {*sources, *targets})
    copies: dict[str, str] = {}
    anomalies = []
    for where, (value, poll) in _in(read, targets):
        before = copies.setdefault(origin(value), where)
        if before != where:
            text = f"{origin(value)!r} was copied to {before} and to {where} by {poll}"
            anomalies.append(Anomaly(AnomalyKind.COPY_DUPLICATE, value, text))
    for where, (value, poll) in _in(read, sources):
        if value not in copies:
            text = f"{where} {value!r}, which {poll} got, was never copied"
            anomalies.append(Anomaly(AnomalyKind.COPY_LOST, value, text))
    return anomalies


_Reads = dict[tuple[str, int], tuple[str, Operation]]


def _committed_reads(history: History, partitions: Collection[str]) -> _Reads:
    read: _Reads = {}
    for operation in history.operations:
        if isinstance(operation, Poll) and operation.is_ok and operation.is_committed:
            for partition, part in operation.read.items():
                if partition in partitions:
                    for offset, value in part.records:
                        read[partition, offset] = (value, operation)
    return read


def _in(read: _Reads, partitions: Collection[str]) -> Iterator[tuple[str, tuple[str, Operation]]]:
    for (partition, offset), found in sorted(read.items(), key=lambda each: each[0]):
        if partition in partitions:
            yield f"{partition}@{offset}", found
