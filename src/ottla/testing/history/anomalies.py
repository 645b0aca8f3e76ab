"""What a checker finds, and how it tells it."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

_MOST_SHOWN = 10


class AnomalyKind(enum.Enum):
    """What a broker must never do. Names are Jepsen's where it has one."""

    LOST_WRITE = "lost-write"
    """Consumers passed the offset of an acknowledged record and did not get it."""
    DUPLICATE = "duplicate"
    """One record stands at two places."""
    ABORTED_READ = "aborted-read"
    """G1a: a record, or an offset, of a failed operation or an aborted transaction was read."""
    PRECOMMITTED_READ = "precommitted-read"
    """A record, or an offset, was read before anyone asked for its transaction's commit."""
    UNSEEN = "unseen"
    """An acknowledged record that no consumer ever came to."""
    PHANTOM = "phantom"
    """A record, or an offset, was read that nobody sent."""
    INCONSISTENT_OFFSETS = "inconsistent-offsets"
    """Two records at one offset."""
    NONMONOTONIC_POLL = "nonmonotonic-poll"
    """A consumer's next poll went back without a new assignment."""
    INT_NONMONOTONIC_POLL = "int-nonmonotonic-poll"
    """Within one poll, offsets went back."""
    NONMONOTONIC_SEND = "nonmonotonic-send"
    """A producer's later record stands before its earlier one."""
    INT_NONMONOTONIC_SEND = "int-nonmonotonic-send"
    """The same, within one transaction."""
    POLL_SKIP = "poll-skip"
    """A consumer passed a record, which others got, without a new assignment."""
    TORN_TRANSACTION = "torn-transaction"
    """Part of a transaction can be read, another part can't."""
    COMMIT_PAST_READ = "commit-past-read"
    """A group committed an offset beyond a record that none of its members had read."""
    LOST_COMMIT = "lost-commit"
    """A committed offset was acknowledged, and later an older one was found."""
    TWO_OWNERS = "two-owners"
    """Two members of a group were given the same partition in one generation."""
    COPY_LOST = "copy-lost"
    """An exactly-once copy lacks a record of its source."""
    COPY_DUPLICATE = "copy-duplicate"
    """An exactly-once copy has a record of its source twice."""


class Anomaly(NamedTuple):
    """One thing that must not be: what, where, and who saw it when."""

    kind: AnomalyKind
    subject: str
    """What it is about; a report has one anomaly of a kind for each subject."""
    explanation: str

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.explanation}"


class Report:
    """The anomalies of a history."""

    def __init__(self, anomalies: Iterable[Anomaly], operations: int) -> None:
        firsts: dict[tuple[AnomalyKind, str], Anomaly] = {}
        for anomaly in anomalies:
            firsts.setdefault((anomaly.kind, anomaly.subject), anomaly)
        self.anomalies = list(firsts.values())
        self.operations = operations

    @property
    def is_clean(self) -> bool:
        return not self.anomalies

    @property
    def kinds(self) -> set[AnomalyKind]:
        return {anomaly.kind for anomaly in self.anomalies}

    def __str__(self) -> str:
        if self.is_clean:
            return f"{self.operations:,} operations without an anomaly"
        counts = Counter(anomaly.kind.value for anomaly in self.anomalies)
        each = [f"{count} x {kind}" for kind, count in sorted(counts.items())]
        summary = ", ".join(each)
        lines = [f"{self.operations:,} operations, {summary}"]
        lines += [f"  {anomaly}" for anomaly in self.anomalies[:_MOST_SHOWN]]
        if len(self.anomalies) > _MOST_SHOWN:
            lines.append(f"  and {len(self.anomalies) - _MOST_SHOWN} more")
        return "\n".join(lines)
