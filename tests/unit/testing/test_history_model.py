"""The checker against a model of Kafka: what the model allows is clean, forgeries are caught."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

import pytest

from ottla.testing.history import (
    AnomalyKind,
    Assign,
    Commit,
    EndTransaction,
    FetchCommitted,
    History,
    Isolation,
    Poll,
    Read,
    Send,
    check,
    read_json_lines,
    write_json_lines,
)
from ottla.testing.history.json_lines import MalformedHistory

PARTITIONS = ("t-0", "t-1")
GROUP = "g"
STEPS = 120


class Log:
    """One partition: entries of (value, transaction); a marker has no value."""

    def __init__(self) -> None:
        self.entries: list[tuple[str | None, str | None]] = []

    def last_stable_offset(self, open_transactions: set[str]) -> int:
        for offset, (_, transaction) in enumerate(self.entries):
            if transaction in open_transactions:
                return offset
        return len(self.entries)


class Model:
    """A log with transactions and one group, and clients that do legal things at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.history = History()
        self.logs = {name: Log() for name in PARTITIONS}
        self.open: set[str] = set()
        self.aborted: set[str] = set()
        self.transaction: str | None = None
        self.pending: dict[str, int] = {}
        self.committed: dict[str, int] = {}
        self.positions = {
            reader: dict.fromkeys(PARTITIONS, 0) for reader in ("committed", "uncommitted", "m")
        }
        self.count = 0
        self.generation = 0

    def run(self) -> History:
        steps: list[Callable[[], None]] = [
            self.send,
            self.send_in_transaction,
            self.send_in_transaction,
            self.end,
            lambda: self.poll("committed", Isolation.READ_COMMITTED),
            lambda: self.poll("uncommitted", Isolation.READ_UNCOMMITTED),
            lambda: self.poll("m", Isolation.READ_COMMITTED, GROUP),
            self.commit,
            self.rebalance,
        ]
        for _ in range(STEPS):
            self.random.choice(steps)()
        self.end()
        for reader in ("committed", "uncommitted"):
            isolation = Isolation(f"read_{reader}")
            for _ in range(STEPS * 2):
                self.poll(reader, isolation)
        return self.history

    def value(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def send(self, transaction: str | None = None) -> None:
        partition = self.random.choice(PARTITIONS)
        process = "producer" if transaction is None else "transactional"
        send = self.history.send(process, partition, self.value(), transaction=transaction)
        entries = self.logs[partition].entries
        dice = self.random.random()
        if dice < 0.05:
            self.history.fail(send)
        elif dice < 0.1:
            self.history.info(send, "lost on the way")
        elif dice < 0.15 and transaction is None:
            entries.append((send.value, transaction))
        else:
            entries.append((send.value, transaction))
            self.history.ok(send, offset=len(entries) - 1)

    def send_in_transaction(self) -> None:
        if self.transaction is None:
            self.transaction = f"x{self.value()}"
            self.open.add(self.transaction)
        self.send(self.transaction)

    def end(self) -> None:
        if self.transaction is None:
            return
        transaction, self.transaction = self.transaction, None
        commits = self.random.random() < 0.7
        is_known = self.random.random() < 0.8
        end = self.history.end_transaction("transactional", transaction, commits=commits)
        if not is_known:
            commits = commits and self.random.random() < 0.5
        self.open.discard(transaction)
        if not commits:
            self.aborted.add(transaction)
        for log in self.logs.values():
            log.entries.append((None, transaction))
        if commits:
            self.committed.update(self.pending)
        self.pending.clear()
        if is_known:
            self.history.ok(end)

    def poll(self, reader: str, isolation: Isolation, group: str | None = None) -> None:
        poll = self.history.poll(reader, isolation=isolation, group=group)
        positions = self.positions[reader]
        read = {}
        for partition, log in self.logs.items():
            start = positions[partition]
            end = min(len(log.entries), start + self.random.randrange(4))
            if isolation is Isolation.READ_COMMITTED:
                end = max(start, min(end, log.last_stable_offset(self.open)))
            records = [
                (offset, value)
                for offset in range(start, end)
                for value, transaction in [log.entries[offset]]
                if value is not None
                and not (isolation is Isolation.READ_COMMITTED and transaction in self.aborted)
            ]
            read[partition] = Read(start, end, records)
            positions[partition] = end
        self.history.ok(poll, read=read)

    def commit(self) -> None:
        transaction = self.transaction if self.random.random() < 0.5 else None
        if transaction is None and self.pending:
            return
        offsets = dict(self.positions["m"])
        commit = self.history.commit("m", GROUP, offsets, transaction=transaction)
        if self.random.random() < 0.1:
            self.history.fail(commit, "REBALANCE_IN_PROGRESS")
            return
        if transaction is None:
            self.committed.update(offsets)
        else:
            self.pending.update(offsets)
        if transaction is not None or self.random.random() < 0.9:
            self.history.ok(commit)

    def rebalance(self) -> None:
        self.generation += 1
        self.history.assign("m", PARTITIONS, group=GROUP, member="m", generation=self.generation)
        fetch = self.history.fetch_committed("m", GROUP)
        if self.pending:
            self.history.fail(fetch, "UNSTABLE_OFFSET_COMMIT")
        else:
            found = {partition: self.committed.get(partition, -1) for partition in PARTITIONS}
            self.history.ok(fetch, offsets=found)
        self.positions["m"] = {
            partition: self.committed.get(partition, 0) for partition in PARTITIONS
        }


@pytest.mark.parametrize("seed", range(60))
def test_what_the_model_does_is_clean(seed: int) -> None:
    report = check(Model(seed).run())
    assert report.is_clean, str(report)


# Forgeries: each changes a legal history so that it isn't, and names what must be found. It returns
# False when the history offers no occasion.


def polls(history: History, *, committed: bool = True) -> list[Poll]:
    return [
        each
        for each in history.operations
        if isinstance(each, Poll) and each.is_ok and each.is_committed is committed
    ]


def acknowledged(history: History) -> dict[str, Send]:
    return {
        each.value: each
        for each in history.operations
        if isinstance(each, Send) and each.is_ok and each.transaction is None
    }


def edit(history: History, change: Callable[[list[tuple[int, str]]], bool]) -> bool:
    """Apply the change to the first stretch of records that takes it."""
    for poll in polls(history):
        for partition, read in poll.read.items():
            records = list(read.records)
            if change(records):
                poll.read[partition] = read._replace(records=records)
                return True
    return False


def forget_record(history: History) -> bool:
    kept = acknowledged(history)
    lost = next((each for each in kept.values() if each.partition == "t-0"), None)
    if lost is None:
        return False
    for poll in [*polls(history), *polls(history, committed=False)]:
        for partition, read in poll.read.items():
            records = [each for each in read.records if each[1] != lost.value]
            poll.read[partition] = read._replace(records=records)
    return True


def repeat_record(history: History) -> bool:
    taken = {offset for poll in polls(history) for offset, _ in poll.read["t-0"].records}

    def change(records: list[tuple[int, str]]) -> bool:
        if not records:
            return False
        records.append((max(taken, default=0) + 1000, records[0][1]))
        return True

    return edit(history, change)


def replace_record(history: History) -> bool:
    def change(records: list[tuple[int, str]]) -> bool:
        if not records:
            return False
        records[0] = (records[0][0], "never sent")
        return True

    return edit(history, change)


def swap_records(history: History) -> bool:
    def change(records: list[tuple[int, str]]) -> bool:
        if len(records) < 2:
            return False
        records[0], records[1] = records[1], records[0]
        return True

    return edit(history, change)


def abort_after_all(history: History) -> bool:
    read = {value for poll in polls(history) for r in poll.read.values() for _, value in r.records}
    for each in history.operations:
        if isinstance(each, Send) and each.transaction is not None and each.value in read:
            for end in history.operations:
                if isinstance(end, EndTransaction) and end.transaction == each.transaction:
                    end.commits = False
            return True
    return False


def go_back(history: History) -> bool:
    for poll in reversed(polls(history)):
        read = poll.read["t-0"]
        if poll.group is None and read.from_offset > 0:
            poll.read["t-0"] = read._replace(from_offset=0)
            return True
    return False


def lose_commit(history: History) -> bool:
    is_certain = False
    for each in history.operations:
        if isinstance(each, Commit) and each.is_ok and each.transaction is None:
            is_certain = True
        if is_certain and isinstance(each, FetchCommitted) and each.is_ok:
            each.offsets = {"t-0": -1}
            return True
    return False


def commit_too_much(history: History) -> bool:
    for each in history.operations:
        if isinstance(each, Commit) and each.is_ok and each.transaction is None:
            each.offsets = {"t-0": 1_000}
            return True
    return False


def give_twice(history: History) -> bool:
    # The newest: a stranger in a generation long over is the first of a group made anew.
    for each in reversed(history.operations):
        if isinstance(each, Assign):
            history.assign(
                "n", each.partitions, group=GROUP, member="n", generation=each.generation
            )
            history.ok(history.poll(each.process, group=GROUP))
            return True
    return False


FORGERIES: dict[Callable[[History], bool], set[AnomalyKind]] = {
    forget_record: {AnomalyKind.LOST_WRITE},
    repeat_record: {AnomalyKind.DUPLICATE},
    replace_record: {AnomalyKind.INCONSISTENT_OFFSETS, AnomalyKind.PHANTOM},
    swap_records: {AnomalyKind.INT_NONMONOTONIC_POLL},
    abort_after_all: {AnomalyKind.ABORTED_READ},
    go_back: {AnomalyKind.NONMONOTONIC_POLL},
    lose_commit: {AnomalyKind.LOST_COMMIT},
    commit_too_much: {AnomalyKind.COMMIT_PAST_READ},
    give_twice: {AnomalyKind.TWO_OWNERS},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_every_forgery_is_caught(forgery: Callable[[History], bool]) -> None:
    occasions = 0
    for seed in range(40):
        history = Model(seed).run()
        if forgery(history):
            occasions += 1
            assert check(history).kinds & FORGERIES[forgery], f"seed {seed}"
    assert occasions


# Files


def written(history: History) -> str:
    file = io.StringIO()
    write_json_lines(history, file)
    return file.getvalue()


@pytest.mark.parametrize("seed", range(10))
def test_a_history_comes_back_from_its_file(seed: int) -> None:
    history = Model(seed).run()
    text = written(history)
    again = read_json_lines(text.splitlines())
    assert written(again) == text
    assert check(again).is_clean
    moments = [(each.invoked, each.completed, each.outcome) for each in history.operations]
    assert moments == [(each.invoked, each.completed, each.outcome) for each in again.operations]


@pytest.mark.parametrize(
    "line",
    ["no json", "[]", '{"type": "invoke", "id": 1, "kind": "dance"}', '{"type": "ok", "id": 7}'],
)
def test_a_line_that_is_no_event_is_named(line: str) -> None:
    with pytest.raises(MalformedHistory, match="line 1 is no event"):
        read_json_lines([line])
