"""Checks of groups: committed offsets are a register, and never run ahead of what was read."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator

from ottla.testing.history.anomalies import Anomaly, AnomalyKind
from ottla.testing.history.index import Fate, Index, PartitionView
from ottla.testing.history.operations import (
    NEVER,
    NO_OFFSET,
    Assign,
    Commit,
    FetchCommitted,
    Outcome,
)

GroupPartition = tuple[str, str]


class _Owners:
    """Who owned what in a group, as long as the group existed."""

    def __init__(self) -> None:
        self.owners: dict[tuple[int, str], Assign] = {}
        self._members: set[str] = set()
        self._generation = 0

    def note(self, assign: Assign) -> None:
        """Notice a group that was deleted and made anew, as an empty one may be: its generations
        begin again. Nobody else can be new in a generation that is over."""
        if assign.generation < self._generation and assign.member not in self._members:
            self.owners.clear()
            self._members.clear()
            self._generation = 0
        self._members.add(assign.member)
        self._generation = max(self._generation, assign.generation)


def check_owners(index: Index) -> Iterator[Anomaly]:
    """In one generation a partition belongs to one member.

    An owner that succeeds in nothing any more once another has its partition is none: it was
    removed, and a group of which nobody was left begins its generations again.
    """
    groups: dict[str, _Owners] = defaultdict(_Owners)
    for assign in index.assigns:
        if assign.group is None or assign.generation < 0:
            continue
        group = groups[assign.group]
        group.note(assign)
        for partition in assign.partitions:
            owner = group.owners.setdefault((assign.generation, partition), assign)
            if owner.member == assign.member:
                continue
            if index.last_sign_of[owner.process] < assign.invoked:
                group.owners[assign.generation, partition] = assign
            else:
                yield Anomaly(
                    AnomalyKind.TWO_OWNERS,
                    f"{assign.group} {assign.generation} {partition}",
                    f"generation {assign.generation} of {assign.group} gives {partition} to "
                    f"{owner.member} by {owner} and to {assign.member} by {assign}",
                )


class _Committed:
    """One commit of one offset, and when it may and must be in force."""

    __slots__ = ("appended_at_the_latest", "fate", "in_force_by", "offset", "operation", "possible")

    def __init__(self, index: Index, operation: Commit, offset: int) -> None:
        self.operation = operation
        self.offset = offset
        self.appended_at_the_latest = operation.completed
        transaction = index.transaction_of(operation)
        if transaction is None:
            self.possible = operation.invoked
            self.in_force_by = operation.completed if operation.is_ok else NEVER
            self.fate = Fate.COMMITTED if operation.is_ok else Fate.UNKNOWN
        else:
            self.possible = max(operation.invoked, transaction.commit_requested)
            is_certain = operation.is_ok and transaction.fate is Fate.COMMITTED
            self.in_force_by = transaction.commit_acknowledged if is_certain else NEVER
            self.fate = transaction.fate
        if operation.outcome is Outcome.FAIL:
            self.fate = Fate.ABORTED


class _Register:
    """All commits of one group and partition."""

    def __init__(self) -> None:
        self.of_offset: dict[int, list[_Committed]] = defaultdict(list)
        self._certain: list[_Committed] = []
        self._in_force_by: list[int] = []
        self._newest: list[_Committed] = []

    def add(self, committed: _Committed) -> None:
        self.of_offset[committed.offset].append(committed)
        if committed.in_force_by != NEVER:
            self._certain.append(committed)

    def settle(self) -> None:
        """All commits are in: order those that are certain by when they are."""
        self._certain.sort(key=lambda each: each.in_force_by)
        for each in self._certain:
            newest = self._newest[-1] if self._newest else each
            is_newer = each.operation.invoked >= newest.operation.invoked
            self._newest.append(each if is_newer else newest)
            self._in_force_by.append(each.in_force_by)

    def newest_before(self, moment: int) -> _Committed | None:
        """Of the commits certainly in force by then, the one that was asked for last."""
        count = bisect_right(self._in_force_by, moment)
        return self._newest[count - 1] if count else None


def check_committed_offsets(index: Index) -> Iterator[Anomaly]:
    """What is read as committed was committed, and not replaced before the question."""
    registers: dict[GroupPartition, _Register] = defaultdict(_Register)
    for commit in index.commits:
        for partition, offset in commit.offsets.items():
            registers[commit.group, partition].add(_Committed(index, commit, offset))
    for register in registers.values():
        register.settle()
    for fetch in index.fetches:
        for partition, offset in fetch.offsets.items():
            register = registers[fetch.group, partition]
            yield from _check_fetched(index, register, fetch, partition, offset)


def _check_fetched(
    index: Index, register: _Register, fetch: FetchCommitted, partition: str, offset: int
) -> Iterator[Anomaly]:
    must = _certain_for(register, fetch)
    subject = f"{fetch.group} {partition}@{offset}"
    what = f"{fetch} found offset {offset} of {fetch.group} for {partition}"
    candidates = register.of_offset.get(offset, [])
    if offset == NO_OFFSET and must is None:
        return
    possible = [
        each
        for each in candidates
        if each.possible < fetch.completed and each.fate is not Fate.ABORTED
    ]
    fitting = [
        each
        for each in possible
        if must is None or each.appended_at_the_latest >= must.operation.invoked
    ]
    if fitting:
        if len(fitting) == 1:
            transaction = index.transaction_of(fitting[0].operation)
            if transaction is not None and transaction.seen_by is None:
                transaction.seen_by = fetch
        return
    if must is not None and (possible or offset == NO_OFFSET):
        text = f"{what} after {must.operation} of offset {must.offset} had been acknowledged"
        yield Anomaly(AnomalyKind.LOST_COMMIT, subject, text)
    elif not candidates:
        yield Anomaly(AnomalyKind.PHANTOM, subject, f"{what}, which nobody committed")
    elif all(each.fate is Fate.ABORTED for each in candidates):
        text = f"{what}; {candidates[0].operation} failed"
        yield Anomaly(AnomalyKind.ABORTED_READ, subject, text)
    else:
        text = f"{what} before anyone asked to commit {candidates[0].operation}"
        yield Anomaly(AnomalyKind.PRECOMMITTED_READ, subject, text)


def _certain_for(register: _Register, fetch: FetchCommitted) -> _Committed | None:
    must = register.newest_before(fetch.invoked)
    if must is None or fetch.is_stable or must.operation.transaction is None:
        return must
    # Without require_stable an acknowledged transaction's offsets may still wait for its marker.
    return None


class _Progress:
    """How far one group has read and committed one partition."""

    __slots__ = ("read", "verified")

    def __init__(self) -> None:
        self.read: set[int] = set()
        self.verified = 0


def check_commits_follow_reads(index: Index) -> Iterator[Anomaly]:
    """A commit lies behind records that members of the group have got."""
    views = _group_views(index)
    progress: dict[GroupPartition, _Progress] = defaultdict(_Progress)
    polls = sorted(
        (poll for poll in index.polls if poll.group is not None), key=lambda poll: poll.completed
    )
    done = 0
    for commit in index.commits:
        while done < len(polls) and polls[done].completed < commit.invoked:
            for partition, read in polls[done].read.items():
                # The filter above leaves only polls of groups.
                key = (polls[done].group or "", partition)
                progress[key].read.update(offset for offset, _ in read.records)
            done += 1
        if commit.has_failed or _is_aborted(index, commit):
            continue
        for partition in commit.offsets:
            key = (commit.group, partition)
            if key in views:
                yield from _check_commit(index, views[key], progress[key], commit, partition)


def _is_aborted(index: Index, commit: Commit) -> bool:
    transaction = index.transaction_of(commit)
    return transaction is not None and transaction.fate is Fate.ABORTED


def _group_views(index: Index) -> dict[GroupPartition, PartitionView]:
    committed: dict[GroupPartition, bool] = {}
    for poll in index.polls:
        if poll.group is not None:
            for partition in poll.read:
                key = (poll.group, partition)
                committed[key] = committed.get(key, False) or poll.is_committed
    return {key: index.view(key[1], committed=value) for key, value in committed.items()}


def _check_commit(
    index: Index, view: PartitionView, progress: _Progress, commit: Commit, partition: str
) -> Iterator[Anomaly]:
    end = bisect_left(view.offsets, commit.offsets[partition])
    for number in range(progress.verified, end):
        offset, value = view.offsets[number], view.values[number]
        if offset in progress.read or index.may_be_absent(partition, offset, value):
            continue
        yield Anomaly(
            AnomalyKind.COMMIT_PAST_READ,
            f"{commit.group} {value}",
            f"{commit} of offset {commit.offsets[partition]} for {partition} lies beyond "
            f"{partition}@{offset} {value!r}, which no member of {commit.group} had read",
        )
    progress.verified = max(progress.verified, end)
