"""Every anomaly in its smallest history, and beside it the legal one it must not be taken for."""

from __future__ import annotations

import pytest

from ottla.testing.history import (
    AnomalyKind,
    Cleaning,
    History,
    Isolation,
    Poll,
    Read,
    Send,
    check,
    check_copy,
)

UNCOMMITTED = Isolation.READ_UNCOMMITTED
P = "t-0"
Q = "t-1"


class Story:
    """A history told in a few words; everything succeeds unless said otherwise."""

    def __init__(self) -> None:
        self.history = History()

    def sent(
        self,
        value: str,
        offset: int,
        partition: str = P,
        process: str = "producer",
        transaction: str | None = None,
        key: str | None = None,
        is_tombstone: bool = False,
    ) -> Send:
        send = self.history.send(
            process,
            partition,
            value,
            transaction=transaction,
            key=key,
            is_tombstone=is_tombstone,
        )
        self.history.ok(send, offset=offset)
        return send

    def polled(
        self,
        *records: tuple[int, str],
        partition: str = P,
        start: int = 0,
        end: int = -1,
        process: str = "consumer",
        group: str | None = None,
        isolation: Isolation = Isolation.READ_COMMITTED,
    ) -> Poll:
        poll = self.history.poll(process, group=group, isolation=isolation)
        to_offset = end if end >= 0 else (records[-1][0] + 1 if records else start)
        self.history.ok(poll, read={partition: Read(start, to_offset, list(records))})
        return poll

    def ended(self, transaction: str, *, commits: bool = True) -> None:
        end = self.history.end_transaction("producer", transaction, commits=commits)
        self.history.ok(end)

    def committed(
        self, offset: int, process: str = "consumer", transaction: str | None = None
    ) -> None:
        commit = self.history.commit(process, "g", {P: offset}, transaction=transaction)
        self.history.ok(commit)

    def found(self, offset: int, *, is_stable: bool = True) -> None:
        fetch = self.history.fetch_committed("consumer", "g", is_stable=is_stable)
        self.history.ok(fetch, offsets={P: offset})

    def kinds(self, cleaning: Cleaning | None = None) -> list[str]:
        report = check(self.history, cleaning or Cleaning())
        return [anomaly.kind.value for anomaly in report.anomalies]


@pytest.fixture
def story() -> Story:
    return Story()


# Writes


def test_records_sent_and_read_are_no_anomaly(story: Story) -> None:
    story.sent("a", 0)
    story.sent("b", 1)
    story.polled((0, "a"))
    story.polled((1, "b"), start=1)
    assert story.kinds() == []


def test_an_acknowledged_record_that_polls_passed_is_lost(story: Story) -> None:
    story.sent("a", 0)
    story.sent("b", 1)
    story.polled((1, "b"))
    assert story.kinds() == ["lost-write"]


def test_a_record_without_acknowledgement_may_be_missing_or_there(story: Story) -> None:
    story.history.send("producer", P, "a")
    story.history.send("producer", P, "b")
    story.polled((0, "b"))
    assert story.kinds() == []


def test_a_record_that_was_read_and_is_gone_later_is_lost(story: Story) -> None:
    story.sent("a", 0)
    story.sent("b", 1)
    story.polled((0, "a"), (1, "b"))
    story.polled((1, "b"), process="other")
    assert story.kinds() == ["lost-write"]


def test_a_record_whose_offset_was_given_to_another_is_lost(story: Story) -> None:
    story.sent("a", 0)
    story.sent("b", 0, process="other")
    story.polled((0, "b"))
    assert sorted(story.kinds()) == ["inconsistent-offsets", "lost-write"]


def test_an_acknowledged_record_nobody_came_to_is_unseen(story: Story) -> None:
    story.sent("a", 0)
    story.sent("b", 1)
    story.polled((0, "a"))
    assert story.kinds() == ["unseen"]


def test_a_record_at_two_offsets_is_a_duplicate(story: Story) -> None:
    story.sent("a", 0)
    story.polled((0, "a"), (1, "a"))
    assert story.kinds() == ["duplicate"]


def test_a_record_in_another_partition_is_a_duplicate(story: Story) -> None:
    story.sent("a", 0)
    story.polled((0, "a"))
    story.polled((0, "a"), partition=Q)
    assert story.kinds() == ["duplicate"]


def test_two_values_at_one_offset_are_inconsistent(story: Story) -> None:
    story.history.send("producer", P, "a")
    story.history.send("producer", P, "b")
    story.polled((0, "a"), process="one")
    story.polled((0, "b"), process="two")
    assert "inconsistent-offsets" in story.kinds()


def test_a_value_nobody_sent_is_a_phantom(story: Story) -> None:
    story.polled((0, "a"))
    assert story.kinds() == ["phantom"]


def test_a_record_that_was_refused_and_read_is_an_aborted_read(story: Story) -> None:
    send = story.history.send("producer", P, "a")
    story.history.fail(send, "NOT_ENOUGH_REPLICAS")
    story.polled((0, "a"), isolation=UNCOMMITTED)
    assert story.kinds() == ["aborted-read"]


def test_compaction_may_remove_what_a_later_record_replaced(story: Story) -> None:
    story.sent("a", 0, key="k")
    story.sent("b", 1, key="k")
    story.polled((1, "b"))
    assert story.kinds() == ["lost-write"]
    assert story.kinds(Cleaning(compacted={P})) == []


def test_compaction_must_keep_the_last_record_of_a_key(story: Story) -> None:
    story.sent("a", 0, key="k")
    story.sent("b", 1, key="k")
    story.sent("c", 2, key="other")
    story.polled((0, "a"), (2, "c"))
    assert story.kinds(Cleaning(compacted={P})) == ["lost-write"]


def test_compaction_must_not_count_an_aborted_record_as_the_last(story: Story) -> None:
    story.sent("a", 0, key="k")
    story.sent("b", 1, key="k", transaction="x")
    story.ended("x", commits=False)
    story.sent("c", 3, key="other")
    story.polled((3, "c"))
    assert story.kinds(Cleaning(compacted={P})) == ["lost-write"]


def test_tombstones_go_and_what_retention_deleted_is_gone(story: Story) -> None:
    story.sent("a", 0, key="k")
    story.sent("b", 1, key="k", is_tombstone=True)
    story.sent("c", 2, key="l")
    story.polled((2, "c"))
    assert story.kinds(Cleaning(compacted={P})) == []
    assert story.kinds(Cleaning(start_offsets={P: 2})) == []
    assert story.kinds(Cleaning(start_offsets={P: 1})) == ["lost-write"]


# Order


def test_offsets_that_go_back_within_a_poll(story: Story) -> None:
    story.sent("a", 0)
    story.sent("b", 1)
    poll = story.history.poll("consumer")
    story.history.ok(poll, read={P: Read(0, 2, [(1, "b"), (0, "a")])})
    assert story.kinds() == ["int-nonmonotonic-poll"]


def test_a_poll_that_goes_back_without_an_assignment(story: Story) -> None:
    story.sent("a", 0)
    story.polled((0, "a"))
    story.polled((0, "a"))
    assert story.kinds() == ["nonmonotonic-poll"]


def test_a_poll_may_go_back_after_an_assignment_and_in_a_group(story: Story) -> None:
    story.sent("a", 0)
    story.polled((0, "a"))
    story.history.assign("consumer", [P])
    story.polled((0, "a"))
    story.polled((0, "a"), process="member", group="g")
    story.polled((0, "a"), process="member", group="g")
    assert story.kinds() == []


def test_a_poll_that_skips_a_record(story: Story) -> None:
    for offset, value in enumerate("abc"):
        story.sent(value, offset)
    story.polled((0, "a"), (1, "b"), (2, "c"), process="other")
    story.polled((0, "a"))
    story.polled((2, "c"), start=2)
    assert story.kinds() == ["poll-skip"]


def test_a_poll_may_skip_after_an_assignment_and_in_a_group(story: Story) -> None:
    for offset, value in enumerate("abc"):
        story.sent(value, offset)
    story.polled((0, "a"), (1, "b"), (2, "c"), process="other")
    story.polled((0, "a"))
    story.history.assign("consumer", [P])
    story.polled((2, "c"), start=2)
    story.polled((0, "a"), process="member", group="g")
    story.polled((2, "c"), start=2, process="member", group="g")
    assert story.kinds() == []


def test_a_poll_may_skip_markers_and_aborted_records(story: Story) -> None:
    story.sent("a", 0)
    story.sent("b", 1, transaction="x")
    story.ended("x", commits=False)
    story.sent("c", 3)
    story.polled((0, "a"))
    story.polled((3, "c"), start=3)
    assert story.kinds() == []


def test_a_record_missing_within_a_poll_that_others_got(story: Story) -> None:
    story.sent("a", 0)
    story.sent("b", 1)
    one = story.history.poll("one")
    story.polled((0, "a"), (1, "b"), process="other")
    story.history.ok(one, read={P: Read(0, 2, [(1, "b")])})
    assert story.kinds() == ["poll-skip"]


def test_a_producers_later_record_before_its_earlier_one(story: Story) -> None:
    story.sent("a", 1)
    story.sent("b", 0)
    story.polled((0, "b"), (1, "a"))
    assert story.kinds() == ["nonmonotonic-send"]


def test_the_same_within_a_transaction(story: Story) -> None:
    story.sent("a", 1, transaction="x")
    story.sent("b", 0, transaction="x")
    story.ended("x")
    story.polled((0, "b"), (1, "a"))
    assert story.kinds() == ["int-nonmonotonic-send"]


def test_records_of_others_may_stand_in_between(story: Story) -> None:
    story.sent("a", 0, transaction="x")
    story.sent("b", 1, process="other", transaction="y")
    story.sent("c", 2, transaction="x")
    story.sent("d", 3, process="other", transaction="y")
    story.ended("x")
    story.ended("y")
    story.polled((0, "a"), (1, "b"), (2, "c"), (3, "d"))
    assert story.kinds() == []


# Transactions


def test_a_committed_transaction_is_read(story: Story) -> None:
    story.sent("a", 0, transaction="x")
    story.sent("b", 0, partition=Q, transaction="x")
    story.ended("x")
    story.polled((0, "a"), end=2)
    story.polled((0, "b"), end=2, partition=Q)
    assert story.kinds() == []


def test_an_aborted_transaction_is_seen_by_read_uncommitted_only(story: Story) -> None:
    story.sent("a", 0, transaction="x")
    story.ended("x", commits=False)
    story.polled((0, "a"), isolation=UNCOMMITTED)
    story.polled(end=2, process="other")
    assert story.kinds() == []


def test_reading_an_aborted_transaction(story: Story) -> None:
    story.sent("a", 0, transaction="x")
    story.ended("x", commits=False)
    story.polled((0, "a"))
    assert story.kinds() == ["aborted-read"]


def test_reading_a_transaction_nobody_ended(story: Story) -> None:
    story.sent("a", 0, transaction="x")
    story.polled((0, "a"))
    assert story.kinds() == ["aborted-read"]


def test_reading_a_transaction_whose_commit_was_refused(story: Story) -> None:
    story.sent("a", 0, transaction="x")
    end = story.history.end_transaction("producer", "x", commits=True)
    story.history.fail(end, "PRODUCER_FENCED")
    story.polled((0, "a"))
    assert story.kinds() == ["aborted-read"]


def test_reading_before_the_commit_was_asked_for(story: Story) -> None:
    story.sent("a", 0, transaction="x")
    story.polled((0, "a"))
    story.ended("x")
    assert story.kinds() == ["precommitted-read"]


def test_reading_while_the_commit_is_under_way_is_fine(story: Story) -> None:
    story.sent("a", 0, transaction="x")
    end = story.history.end_transaction("producer", "x", commits=True)
    story.polled((0, "a"))
    story.history.ok(end)
    assert story.kinds() == []


def test_half_of_a_committed_transaction(story: Story) -> None:
    story.sent("a", 0, transaction="x")
    story.sent("b", 0, partition=Q, transaction="x")
    story.ended("x")
    story.polled((0, "a"), end=2)
    story.polled(end=2, partition=Q)
    assert story.kinds() == ["torn-transaction"]


@pytest.mark.parametrize("is_half", [True, False])
def test_a_transaction_of_unknown_end_is_whole_or_not_there(story: Story, is_half: bool) -> None:
    story.sent("a", 0, transaction="x")
    story.sent("b", 0, partition=Q, transaction="x")
    story.history.end_transaction("producer", "x", commits=True)
    story.polled(*([(0, "a")] if is_half else []), end=2)
    story.polled(end=2, partition=Q)
    assert story.kinds() == (["torn-transaction"] if is_half else [])


def test_a_committed_transaction_that_is_gone(story: Story) -> None:
    story.sent("a", 0, transaction="x")
    story.ended("x")
    story.polled(end=2)
    assert story.kinds() == ["lost-write"]


def test_a_committed_transaction_nobody_came_to(story: Story) -> None:
    story.sent("a", 0, transaction="x")
    story.ended("x")
    story.polled((0, "a"), isolation=UNCOMMITTED)
    assert story.kinds() == ["unseen"]


def test_its_offsets_are_part_of_a_transaction(story: Story) -> None:
    story.sent("in", 0)
    story.polled((0, "in"), group="g")
    story.sent("a", 0, partition=Q, transaction="x")
    story.committed(1, transaction="x")
    story.history.end_transaction("producer", "x", commits=True)
    story.found(1)
    story.polled(end=2, partition=Q)
    assert story.kinds() == ["torn-transaction"]


# Groups


def test_offsets_are_committed_and_found(story: Story) -> None:
    story.sent("a", 0)
    story.found(-1)
    story.polled((0, "a"), group="g")
    story.committed(1)
    story.found(1)
    assert story.kinds() == []


def test_a_committed_offset_that_is_gone(story: Story) -> None:
    story.sent("a", 0)
    story.polled((0, "a"), group="g")
    story.committed(1)
    story.found(-1)
    assert story.kinds() == ["lost-commit"]


def test_an_older_committed_offset(story: Story) -> None:
    story.sent("a", 0)
    story.sent("b", 1)
    story.polled((0, "a"), (1, "b"), group="g")
    story.committed(1)
    story.committed(2)
    story.found(1)
    assert story.kinds() == ["lost-commit"]


def test_commits_at_the_same_time_may_win_either_way(story: Story) -> None:
    story.sent("a", 0)
    story.sent("b", 1)
    story.polled((0, "a"), (1, "b"), group="g")
    first = story.history.commit("one", "g", {P: 1})
    second = story.history.commit("two", "g", {P: 2})
    story.history.ok(first)
    story.history.ok(second)
    story.found(1)
    story.found(2)
    assert story.kinds() == []


def test_a_commit_without_an_answer_may_count(story: Story) -> None:
    story.sent("a", 0)
    story.polled((0, "a"), group="g")
    story.found(-1)
    story.history.commit("consumer", "g", {P: 1})
    story.found(-1)
    story.found(1)
    assert story.kinds() == []


def test_an_offset_nobody_committed(story: Story) -> None:
    story.found(3)
    assert story.kinds() == ["phantom"]


def test_an_offset_of_an_aborted_transaction(story: Story) -> None:
    story.sent("in", 0)
    story.polled((0, "in"), group="g")
    story.committed(1, transaction="x")
    story.ended("x", commits=False)
    story.found(-1)
    assert story.kinds() == []
    story.found(1)
    assert story.kinds() == ["aborted-read"]


def test_an_offset_of_an_open_transaction(story: Story) -> None:
    story.sent("in", 0)
    story.polled((0, "in"), group="g")
    story.committed(1, transaction="x")
    story.found(1)
    story.ended("x")
    assert story.kinds() == ["precommitted-read"]


@pytest.mark.parametrize("is_stable", [True, False])
def test_only_stable_offsets_wait_for_the_marker(story: Story, is_stable: bool) -> None:
    story.sent("in", 0)
    story.polled((0, "in"), group="g")
    story.committed(1, transaction="x")
    story.ended("x")
    story.found(-1, is_stable=is_stable)
    assert story.kinds() == (["lost-commit"] if is_stable else [])


def test_a_commit_past_what_the_group_read(story: Story) -> None:
    story.sent("a", 0)
    story.sent("b", 1)
    story.polled((0, "a"), (1, "b"), process="other")
    story.polled((0, "a"), group="g")
    story.committed(2)
    assert story.kinds() == ["commit-past-read"]


def test_a_commit_of_what_is_still_being_read(story: Story) -> None:
    story.sent("a", 0)
    poll = story.history.poll("consumer", group="g")
    story.committed(1)
    story.history.ok(poll, read={P: Read(0, 1, [(0, "a")])})
    assert story.kinds() == ["commit-past-read"]


def test_what_another_member_read_may_be_committed(story: Story) -> None:
    story.sent("a", 0)
    story.sent("b", 1)
    story.polled((0, "a"), process="one", group="g")
    story.polled((1, "b"), start=1, process="two", group="g")
    story.committed(2, process="two")
    assert story.kinds() == []


def test_one_generation_with_two_owners(story: Story) -> None:
    for member in ("one", "two"):
        story.history.assign(member, [P], group="g", member=member, generation=4)
    story.polled(process="one")
    assert story.kinds() == ["two-owners"]


def test_an_owner_that_is_gone_when_another_has_its_partition_is_none(story: Story) -> None:
    story.history.assign("one", [P], group="g", member="one", generation=4)
    story.polled(process="one")
    story.history.assign("two", [P], group="g", member="two", generation=4)
    story.polled(process="two")
    assert story.kinds() == []


def test_a_partition_may_move_with_the_generation_or_within_a_static_member(story: Story) -> None:
    story.history.assign("one", [P], group="g", member="one", generation=4)
    story.history.assign("one again", [P], group="g", member="one", generation=4)
    story.history.assign("two", [Q], group="g", member="two", generation=4)
    story.history.assign("two", [P], group="g", member="two", generation=5)
    assert story.kinds() == []


def test_a_group_made_anew_begins_its_generations_again(story: Story) -> None:
    story.history.assign("one", [P], group="g", member="one", generation=1)
    story.history.assign("one", [P], group="g", member="one", generation=2)
    story.history.assign("two", [P], group="g", member="two", generation=1)
    assert story.kinds() == []
    story.history.assign("three", [P], group="g", member="three", generation=1)
    story.polled(process="two")
    assert story.kinds() == ["two-owners"]


# Copies


def copied(*values: str) -> Story:
    story = Story()
    story.sent("1", 0)
    story.sent("2", 1)
    story.polled((0, "1"), (1, "2"))
    for offset, value in enumerate(values):
        story.sent(value, offset, partition=Q)
    story.polled(*enumerate(values), partition=Q)
    return story


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1>x", "2>y"], []),
        (["2>y", "1>x"], []),
        (["1>x"], [AnomalyKind.COPY_LOST]),
        (["1>x", "2>y", "1>z"], [AnomalyKind.COPY_DUPLICATE]),
    ],
)
def test_a_copy_has_each_record_once(values: list[str], expected: list[AnomalyKind]) -> None:
    history = copied(*values).history
    assert check(history).is_clean
    found = check_copy(history, {P}, {Q}, lambda value: value.partition(">")[0])
    assert [anomaly.kind for anomaly in found] == expected


# Reports


def test_an_explanation_names_who_when_and_which_record(story: Story) -> None:
    story.sent("a", 0)
    story.sent("b", 1)
    story.polled((1, "b"))
    text = str(check(story.history))
    assert "3 operations, 1 x lost-write" in text
    assert "consumer's poll #2 (ok, 0.0 ms to 0.0 ms) passed t-0@0 'a'" in text
    assert "producer's send #0" in text


def test_two_sends_of_one_value_are_refused(story: Story) -> None:
    story.sent("a", 0)
    story.sent("a", 1)
    with pytest.raises(ValueError, match="two sends have the value 'a'"):
        check(story.history)
