"""Transactions from beginning to end: epochs, time, restarts, limits, and what the log holds."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.coordination.outcome import CoordinatorRecord, TransactionalProducer
from ottla.coordination.transactions.commands import (
    FreshProducerIdNeeded,
    InitProducerId,
    ProducerGranted,
    VersionFinalized,
)
from ottla.coordination.transactions.listing import ListFilter
from ottla.coordination.transactions.settings import TransactionSettings
from ottla.coordination.transactions.shard import (
    EXPIRATION_TIMER,
    TIMEOUT_TIMER,
    TransactionShard,
)
from ottla.coordination.transactions.transaction import (
    FENCING_EPOCH,
    LAST_EPOCH,
    Transaction,
    TransactionState,
)
from ottla.coordination.transactions.transaction_log import transaction_record
from ottla.testing.shard_runtime import LoggedRecord
from ottla.wire.errors import ErrorCode, ProtocolError
from ottla.wire.transaction_records import decode_value, encode_key

ID = "mover"
T0, T1, T2 = ("t", 0), ("t", 1), ("u", 0)
TIMEOUT_MS = 60_000
OK = ErrorCode.NONE
S = TransactionState


def granted(producer_id: int, producer_epoch: int) -> ProducerGranted:
    return ProducerGranted(OK, producer_id, producer_epoch)


def at_epoch(epoch: int, **changed: Any) -> Transaction:
    return Transaction(ID, 9, epoch, TIMEOUT_MS, 1_000_000)._replace(**changed)


class TestCommit:
    def test_a_transaction_of_version_2(self, desk: Any) -> None:
        producer = desk.begin()
        assert desk.add(producer, T1, T2) is OK
        assert desk.end(producer, True) == granted(producer[0], producer[1] + 1)
        assert desk.transaction.is_ending
        [markers] = desk.write_markers()
        assert markers.is_commit
        assert markers.partitions == {T0, T1, T2}
        assert markers.producer == (producer[0], producer[1] + 1), "markers have the new epoch"
        assert (markers.transaction_version, markers.coordinator_epoch) == (2, 0)
        assert desk.transaction.state is S.COMPLETE_COMMIT
        assert not desk.transaction.partitions

    def test_a_transaction_of_version_1(self, desk: Any) -> None:
        producer = desk.begin()
        assert desk.end(producer, True, 0) == granted(*producer)
        [markers] = desk.write_markers()
        assert markers.producer == producer
        assert markers.transaction_version == 0

    def test_both_versions_one_after_the_other(self, desk: Any) -> None:
        producer = desk.begin()
        assert desk.end(producer, True, 0) == granted(*producer)
        desk.write_markers()
        assert desk.add(producer) is OK
        second = desk.end(producer, False, 2)
        assert second == granted(producer[0], producer[1] + 1)
        desk.write_markers()
        assert desk.add(second[1:]) is OK

    def test_nothing_is_sent_or_answered_before_it_is_durable(self, new_desk: Any) -> None:
        desk = new_desk(flushes_at_once=False)
        assert desk.init() is None
        desk.put(at_epoch(0, state=S.ONGOING, partitions=frozenset({T0})))
        answers = len(desk.answers)
        assert desk.end((9, 0), True) is None
        assert not desk.requests
        assert len(desk.answers) == answers
        desk.runtime.flush()
        assert len(desk.requests) == 1
        assert len(desk.answers) == answers + 1

    def test_an_end_that_a_crash_took_back_was_never_told(self, new_desk: Any) -> None:
        desk = new_desk(flushes_at_once=False)
        desk.put(at_epoch(0, state=S.ONGOING, partitions=frozenset({T0})))
        desk.end((9, 0), True)
        desk.restart()
        assert desk.transaction.is_ongoing
        assert not desk.requests
        assert not desk.answers

    def test_a_restart_sends_the_markers_again(self, desk: Any) -> None:
        producer = desk.begin()
        desk.end(producer, True)
        desk.restart()
        [markers] = desk.write_markers()
        assert (markers.is_commit, markers.coordinator_epoch) == (True, 1)
        assert markers.producer == (producer[0], producer[1] + 1)
        assert desk.transaction.state is S.COMPLETE_COMMIT

    def test_a_client_that_asks_again_after_a_restart_is_told_the_same(self, desk: Any) -> None:
        producer = desk.begin()
        told = desk.end(producer, True)
        desk.restart()
        assert desk.end(producer, True).error is ErrorCode.CONCURRENT_TRANSACTIONS
        desk.write_markers()
        assert desk.end(producer, True) == told


class TestEpochs:
    def test_a_new_producer_fences_the_one_before(self, desk: Any) -> None:
        first = desk.begin()
        assert desk.init().error is ErrorCode.CONCURRENT_TRANSACTIONS
        [markers] = desk.write_markers()
        assert not markers.is_commit
        second = desk.init()
        assert second == granted(first[0], first[1] + 2)
        assert desk.add(first) is ErrorCode.PRODUCER_FENCED
        assert desk.end(first, True).error is ErrorCode.PRODUCER_FENCED
        assert desk.init(first).error is ErrorCode.PRODUCER_FENCED

    def test_a_producer_that_recovers_may_ask_twice(self, desk: Any) -> None:
        first = desk.init()
        recovered = desk.init(first[1:])
        assert recovered == granted(first.producer_id, 1)
        assert desk.init(first[1:]) == recovered
        desk.restart()
        assert desk.init(first[1:]).error is ErrorCode.PRODUCER_FENCED, "Kafka forgets it too"

    def test_a_producer_that_was_fenced_can_not_recover(self, desk: Any) -> None:
        first = desk.init()
        desk.init()
        assert desk.init(first[1:]).error is ErrorCode.PRODUCER_FENCED

    def test_the_last_epoch_is_followed_by_another_id(self, desk: Any) -> None:
        desk.put(at_epoch(LAST_EPOCH))
        assert desk.init() == granted(1000, 0)
        assert desk.transaction.previous_producer_id == 9

    def test_a_recovering_producer_may_ask_twice_for_its_new_id(self, desk: Any) -> None:
        desk.put(at_epoch(LAST_EPOCH))
        assert desk.init((9, LAST_EPOCH)) == granted(1000, 0)
        assert desk.init((9, LAST_EPOCH)) == granted(1000, 0)
        assert desk.init((9, LAST_EPOCH - 1)).error is ErrorCode.PRODUCER_FENCED

    def test_no_id_is_spent_that_is_not_needed(self, desk: Any) -> None:
        desk.put(at_epoch(3))
        token = object()
        desk.runtime.submit(InitProducerId(token, ID, TIMEOUT_MS))
        assert desk.answers[token] == granted(9, 4)

    def test_version_2_rotates_the_id_in_the_middle_of_a_commit(self, desk: Any) -> None:
        desk.put(at_epoch(LAST_EPOCH, state=S.ONGOING, partitions=frozenset({T0})))
        told = desk.end((9, LAST_EPOCH), True)
        assert told == granted(1000, 0)
        assert desk.end((9, LAST_EPOCH), True).error is ErrorCode.CONCURRENT_TRANSACTIONS
        [markers] = desk.write_markers()
        assert markers.producer == (9, FENCING_EPOCH)
        assert desk.end((9, LAST_EPOCH), True) == told
        assert desk.end((9, LAST_EPOCH), False).error is ErrorCode.INVALID_TXN_STATE
        assert desk.init((9, LAST_EPOCH)) == granted(1000, 0)
        assert desk.add((1000, 0)) is OK

    def test_a_rotation_outlives_a_restart(self, desk: Any) -> None:
        desk.put(at_epoch(LAST_EPOCH, state=S.ONGOING, partitions=frozenset({T0})))
        told = desk.end((9, LAST_EPOCH), True)
        desk.restart()
        desk.write_markers()
        assert desk.end((9, LAST_EPOCH), True) == told
        desk.restart()
        assert desk.end((9, LAST_EPOCH), True) == told

    def test_the_fencing_epoch_is_never_given_away(self, desk: Any) -> None:
        desk.put(at_epoch(LAST_EPOCH, state=S.ONGOING, partitions=frozenset({T0})))
        assert desk.init().error is ErrorCode.CONCURRENT_TRANSACTIONS
        assert desk.transaction.producer_epoch == FENCING_EPOCH
        desk.write_markers()
        assert desk.end((9, FENCING_EPOCH), False).error is ErrorCode.PRODUCER_FENCED
        assert desk.end((9, LAST_EPOCH), False).error is ErrorCode.PRODUCER_FENCED
        assert desk.init((9, LAST_EPOCH)) == ProducerGranted(ErrorCode.PRODUCER_FENCED)
        assert desk.init() == granted(1000, 0)


class TestTime:
    @pytest.mark.parametrize("timeout_ms", [0, -1, 900_001])
    def test_a_timeout_out_of_bounds_is_refused(self, desk: Any, timeout_ms: int) -> None:
        answer = desk.init(timeout_ms=timeout_ms)
        assert answer.error is ErrorCode.INVALID_TRANSACTION_TIMEOUT
        assert not desk.runtime.log

    def test_a_transaction_open_too_long_is_aborted_and_its_producer_fenced(
        self, desk: Any
    ) -> None:
        producer = desk.begin()
        desk.wait(TIMEOUT_MS)
        assert desk.transaction.is_ongoing
        desk.wait(desk.settings.timeout_check_interval_ms)
        [markers] = desk.write_markers()
        assert not markers.is_commit
        assert markers.producer == (producer[0], producer[1] + 1)
        assert desk.transaction.state is S.COMPLETE_ABORT
        assert desk.add(producer) is ErrorCode.PRODUCER_FENCED

    def test_a_timed_out_producer_of_version_2_recovers(self, desk: Any) -> None:
        producer = desk.begin()
        desk.wait(2 * TIMEOUT_MS)
        desk.write_markers()
        assert desk.init(producer) == granted(producer[0], producer[1] + 1)

    def test_a_timed_out_producer_of_version_1_is_fenced(self, new_desk: Any) -> None:
        desk = new_desk(transaction_version=1)
        producer = desk.begin()
        desk.wait(2 * TIMEOUT_MS)
        [markers] = desk.write_markers()
        assert (markers.producer, markers.transaction_version) == ((producer[0], 1), 0)
        assert desk.end(producer, True, 0).error is ErrorCode.PRODUCER_FENCED
        assert desk.init(producer).error is ErrorCode.PRODUCER_FENCED
        assert desk.init() == granted(producer[0], 2)

    def test_the_time_goes_on_after_a_restart(self, desk: Any) -> None:
        desk.begin()
        desk.wait(TIMEOUT_MS - 1)
        desk.restart()
        desk.wait(desk.settings.timeout_check_interval_ms)
        assert desk.transaction.state is S.PREPARE_ABORT

    def test_each_transaction_has_its_own_time(self, desk: Any) -> None:
        producer = desk.begin()
        desk.end(producer, True)
        desk.write_markers()
        desk.wait(TIMEOUT_MS - 1)
        assert desk.add((producer[0], 1)) is OK
        desk.wait(TIMEOUT_MS - 1)
        assert desk.transaction.is_ongoing

    def test_nobody_looks_for_timeouts_where_nothing_is_open(self, desk: Any) -> None:
        producer = desk.begin()
        assert desk.runtime.deadline_ms(TIMEOUT_TIMER) is not None
        desk.end(producer, False)
        desk.wait(2 * desk.settings.timeout_check_interval_ms)
        assert desk.runtime.deadline_ms(TIMEOUT_TIMER) is None

    def test_an_unused_id_expires_and_its_producer_begins_anew(self, desk: Any) -> None:
        first = desk.init()
        desk.wait(desk.settings.transactional_id_expiration_ms)
        desk.wait(desk.settings.expiration_check_interval_ms)
        assert not desk.shard.transactions
        assert desk.runtime.log[-1] == CoordinatorRecord(encode_key(ID), None)
        assert desk.runtime.deadline_ms(EXPIRATION_TIMER) is None
        assert desk.add(first[1:]) is ErrorCode.INVALID_PRODUCER_ID_MAPPING
        assert desk.init(first[1:]) == granted(1001, 0)
        assert desk.runtime.deadline_ms(EXPIRATION_TIMER) is not None

    def test_an_id_in_use_does_not_expire(self, new_desk: Any) -> None:
        settings = TransactionSettings(
            transactional_id_expiration_ms=1, expiration_check_interval_ms=1000
        )
        desk = new_desk(settings)
        producer = desk.begin()
        desk.wait(10_000)
        assert desk.transaction.is_ongoing
        desk.end(producer, True)
        desk.wait(10_000)
        assert desk.transaction.state is S.PREPARE_COMMIT
        desk.write_markers()
        desk.wait(10_000)
        assert not desk.shard.transactions


class TestLimits:
    def test_too_many_partitions_are_refused(self, new_desk: Any) -> None:
        desk = new_desk(TransactionSettings(max_partitions_per_transaction=2))
        producer = desk.begin()
        assert desk.add(producer, T1) is OK
        assert desk.add(producer, T2) is ErrorCode.POLICY_VIOLATION
        assert desk.transaction.partitions == {T0, T1}
        assert desk.end(producer, True).error is OK

    def test_a_record_too_large_for_the_log_is_refused(self, new_desk: Any) -> None:
        desk = new_desk(TransactionSettings(max_batch_bytes=1000))
        producer = desk.begin()
        assert desk.add(producer, ("x" * 2000, 0)) is ErrorCode.POLICY_VIOLATION
        assert desk.transaction.partitions == {T0}

    def test_too_many_transactional_ids_are_refused(self, new_desk: Any) -> None:
        desk = new_desk(TransactionSettings(max_transactional_ids_per_shard=2))
        for name in ("a", "b"):
            assert desk.init(transactional_id=name).error is OK
        assert desk.init(transactional_id="c").error is ErrorCode.POLICY_VIOLATION
        assert desk.init(transactional_id="a").error is OK


class TestLog:
    @pytest.mark.parametrize(("transaction_version", "record_version"), [(0, 0), (1, 1), (2, 1)])
    def test_records_are_flexible_from_version_1_on(
        self, new_desk: Any, transaction_version: int, record_version: int
    ) -> None:
        desk = new_desk(transaction_version=transaction_version)
        desk.begin()
        for record in desk.runtime.log:
            assert record.value[:2] == record_version.to_bytes(2, "big")

    def test_another_version_is_taken_up_at_once(self, new_desk: Any) -> None:
        desk = new_desk(transaction_version=0)
        desk.init()
        desk.runtime.submit(VersionFinalized(2))
        desk.init()
        assert [record.value[1] for record in desk.runtime.log] == [0, 1]

    def test_an_empty_transaction_has_no_partitions_at_all(self, desk: Any) -> None:
        desk.init()
        assert decode_value(desk.runtime.log[-1].value).transaction_partitions is None

    def test_every_state_is_read_as_it_was_written(self, desk: Any) -> None:
        for state in (S.EMPTY, S.ONGOING, S.PREPARE_COMMIT, S.PREPARE_ABORT, S.COMPLETE_COMMIT):
            transaction = at_epoch(
                4,
                state=state,
                partitions=frozenset({T0, T2}) if state is not S.EMPTY else frozenset(),
                started_ms=77,
                previous_producer_id=8,
                next_producer_id=10,
                client_version=2,
            )
            desk.put(transaction)
            assert desk.transaction == transaction

    @pytest.mark.parametrize(
        "record",
        [
            CoordinatorRecord(b"\0\7whatever", b""),
            CoordinatorRecord(b"", None),
            CoordinatorRecord(encode_key(ID), b"\0\1"),
            CoordinatorRecord(encode_key(ID), b"\0\7" + bytes(60)),
            transaction_record(at_epoch(1, state=S.DEAD), 2),
            transaction_record(at_epoch(1, state=S.PREPARE_EPOCH_FENCE), 2),
            transaction_record(at_epoch(1, state=99), 2),
        ],
    )
    def test_what_can_not_be_read_is_skipped(self, record: CoordinatorRecord) -> None:
        shard = TransactionShard()
        assert shard.replay(record) is not None
        assert not shard.transactions

    def test_a_record_of_a_transaction_is_no_state(self) -> None:
        shard = TransactionShard()
        record = transaction_record(at_epoch(1), 2)
        assert shard.replay(record, TransactionalProducer(5, 0)) is not None
        shard.end_transaction(5, 0, True)
        assert not shard.transactions

    def test_a_prepared_transaction_without_partitions_is_completed(self, desk: Any) -> None:
        record = transaction_record(at_epoch(1, state=S.PREPARE_ABORT), 2)
        desk.runtime.entries.append(LoggedRecord(record, None))
        desk.runtime.flush()
        desk.restart()
        [markers] = desk.write_markers()
        assert not markers.partitions
        assert desk.transaction.state is S.COMPLETE_ABORT


def test_a_fresh_id_is_asked_for_once_it_is_needed(desk: Any) -> None:
    token = object()
    desk.runtime.submit(InitProducerId(token, ID, TIMEOUT_MS))
    assert desk.answers[token] == FreshProducerIdNeeded()
    assert not desk.runtime.log


class TestLists:
    TRANSACTIONS = (
        at_epoch(0),
        at_epoch(0, transactional_id="b", producer_id=10, state=S.ONGOING, started_ms=500),
        at_epoch(0, transactional_id="c", producer_id=11, state=S.COMPLETE_ABORT, started_ms=900),
    )

    def shown(self, wanted: ListFilter) -> list[str]:
        return [each.transactional_id for each in wanted.select(self.TRANSACTIONS, 1000)]

    def test_an_empty_filter_shows_all(self) -> None:
        assert self.shown(ListFilter()) == [ID, "b", "c"]

    def test_states_and_producers_are_picked(self) -> None:
        assert self.shown(ListFilter(states=["Ongoing", "Empty"])) == [ID, "b"]
        assert self.shown(ListFilter(producer_ids=[11])) == ["c"]
        assert self.shown(ListFilter(states=["Ongoing"], producer_ids=[11])) == []

    def test_unknown_states_are_named_and_pick_nothing(self) -> None:
        wanted = ListFilter(states=["ongoing", "Dead", "ongoing"])
        assert wanted.unknown_states() == ["ongoing"]
        assert self.shown(wanted) == []

    def test_a_pattern_matches_whole_ids(self) -> None:
        assert self.shown(ListFilter(pattern="m.*")) == [ID]
        assert self.shown(ListFilter(pattern="[bc]|x")) == ["b", "c"]
        assert self.shown(ListFilter(pattern="ove")) == []
        assert self.shown(ListFilter(pattern="")) == [ID, "b", "c"]

    @pytest.mark.parametrize("pattern", ["(unclosed", r"(a)\1", "(?=a)", "(x{900}){900}"])
    def test_a_pattern_that_could_hang_is_refused(self, pattern: str) -> None:
        with pytest.raises(ProtocolError) as refusal:
            self.shown(ListFilter(pattern=pattern))
        assert refusal.value.code is ErrorCode.INVALID_REGULAR_EXPRESSION

    def test_by_how_long_a_transaction_is_open(self) -> None:
        assert self.shown(ListFilter(open_longer_than_ms=499)) == [ID, "b"]
        assert self.shown(ListFilter(open_longer_than_ms=500)) == [ID]
        assert self.shown(ListFilter(open_longer_than_ms=-1)) == [ID, "b", "c"]
