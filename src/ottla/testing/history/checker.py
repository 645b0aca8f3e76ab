"""The checker: one pass for each kind of question, each linear in the history but for sorting."""

from __future__ import annotations

from ottla.testing.history.anomalies import Anomaly, Report
from ottla.testing.history.coverage_checks import check_coverage
from ottla.testing.history.group_checks import (
    check_commits_follow_reads,
    check_committed_offsets,
    check_owners,
)
from ottla.testing.history.index import Cleaning, Index
from ottla.testing.history.operations import History
from ottla.testing.history.order_checks import check_polls, check_sends
from ottla.testing.history.record_checks import check_records

__all__ = ["Cleaning", "check"]

_NOTHING_CLEANED = Cleaning()


def check(history: History, cleaning: Cleaning = _NOTHING_CLEANED) -> Report:
    """Find everything in a history that a broker must never do.

    What is normal is not reported: writes of different transactions interleaved (G0), gaps where
    control records or aborted ones stand, a group's members reading again what was not committed,
    or starting anew where another left off.

    A record is only missed once somebody's poll has passed it, or at the end if nobody ever came
    to it: let consumers read all partitions to their ends before the history closes.

    Args:
        cleaning: where compaction and retention were at work.

    Raises:
        ValueError: two sends have the same value.
    """
    index = Index(history.operations, cleaning)
    anomalies: list[Anomaly] = [*check_records(index)]
    anomalies += check_committed_offsets(index)
    # From here on it is known which transactions of unknown end were committed.
    index.note_keys()
    anomalies += check_coverage(index)
    anomalies += check_polls(index)
    anomalies += check_sends(index)
    anomalies += check_owners(index)
    anomalies += check_commits_follow_reads(index)
    return Report(anomalies, len(history))
