"""Fetching: from whom, how much, and what the answers bring."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from ottla.client.core.cluster import ClusterView
from ottla.client.core.consuming.fetching import (
    Delivered,
    FetchedRecords,
    Fetcher,
    FetchPlan,
    FetchSettings,
)
from ottla.client.core.consuming.partition import AssignedPartition, PartitionError, Stage
from ottla.client.errors import KafkaError
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.wire.api.k01_fetch import (
    CurrentLeader,
    FetchedPartition,
    FetchedTopic,
    FetchRequest,
    FetchResponse,
    NodeEndpoint,
)
from ottla.wire.errors import ErrorCode

from .conftest import TOPIC_ID, assigned, metadata

NEWEST = 17
MIB = 2**20


def newest(broker_id: int, at_most: int | None) -> int | None:
    return NEWEST if at_most is None else min(NEWEST, at_most)


def batch(first: int, count: int, size_bytes: int = 1) -> bytes:
    records = [Record(first + i, 0, None, b"v" * size_bytes) for i in range(count)]
    return encode_batch(records, leader_epoch=3)


def fetched(number: int, records: bytes = b"", **fields: Any) -> FetchedPartition:
    fields = {"error_code": 0, "high_watermark": 100, "last_stable_offset": 100} | fields
    return FetchedPartition(partition_index=number, records=records, **fields)


def response(*partitions: FetchedPartition, **fields: Any) -> FetchResponse:
    topics = [FetchedTopic(topic_id=TOPIC_ID, partitions=list(partitions))] if partitions else []
    return FetchResponse(session_id=5, responses=topics, **fields)


class Reader:
    """A fetcher and its partitions, with answers that arrive at once."""

    def __init__(
        self, cluster: ClusterView, *partitions: AssignedPartition, **settings: Any
    ) -> None:
        self.cluster = cluster
        self.partitions = list(partitions)
        self.fetcher = Fetcher(FetchSettings(**settings))
        self.now_ms = 0.0

    def plan(self) -> list[FetchPlan]:
        return self.fetcher.plan(self.partitions, self.cluster, self.now_ms, newest)

    def answer(self, answer: FetchResponse, broker_id: int = 1) -> list[Delivered]:
        size_bytes = len(answer.encode(NEWEST))
        return self.fetcher.answered(broker_id, answer, size_bytes, self.cluster, self.now_ms)

    def fetch(self, answer: FetchResponse, broker_id: int = 1) -> list[Delivered]:
        assert broker_id in [plan.broker_id for plan in self.plan()]
        return self.answer(answer, broker_id)


def asked(plan: FetchPlan) -> dict[int, int]:
    """Partition -> offset."""
    return {p.partition: p.fetch_offset for t in plan.request.topics for p in t.partitions}


def offsets(delivered: list[Delivered]) -> list[tuple[int, list[int]]]:
    return [
        (each.partition.number, [m.offset() for m in each.cursor.take(1000)])
        for each in delivered
        if isinstance(each, FetchedRecords)
    ]


def errors(delivered: list[Delivered]) -> list[tuple[int, int, int]]:
    return [
        (each.partition.number, each.error.code(), each.offset)
        for each in delivered
        if isinstance(each, PartitionError)
    ]


def test_each_leader_is_asked_once_about_all_it_leads(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0, 5), assigned(1), assigned(2, 9))
    first, second = reader.plan()
    assert (first.broker_id, asked(first)) == (1, {0: 5, 1: 0})
    assert (second.broker_id, asked(second)) == (2, {2: 9})
    assert reader.plan() == []


def test_what_comes_is_handed_on_and_fetched_no_more(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0), assigned(1, 7))
    delivered = reader.fetch(response(fetched(0, batch(0, 3)), fetched(1, batch(5, 4))))
    assert offsets(delivered) == [(0, [0, 1, 2]), (1, [7, 8])]
    (plan,) = reader.plan()
    assert asked(plan) == {0: 3, 1: 9}
    assert reader.partitions[0].fetch_epoch == 3


def test_a_seek_voids_the_answer_under_way(cluster: ClusterView) -> None:
    partition = assigned(0)
    reader = Reader(cluster, partition)
    reader.plan()
    partition.begin_at(50)
    assert reader.answer(response(fetched(0, batch(0, 3)))) == []
    (plan,) = reader.plan()
    assert asked(plan) == {0: 50}


def test_paused_and_revoked_partitions_leave_the_session(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0), assigned(1), assigned(2))
    reader.plan()
    reader.answer(response())
    reader.partitions[0].pause()
    (plan,) = reader.plan()
    assert plan.request.forgotten_topics_data[0].partitions == [0]
    reader.answer(response())
    reader.partitions[1].is_revoked = True
    assert reader.plan() == []


def test_topics_without_an_id_are_fetched_by_name() -> None:
    cluster = ClusterView()
    cluster.update(metadata([1], topic_id=uuid.UUID(int=0)))
    (plan,) = Reader(cluster, assigned(0)).plan()
    assert plan.version == 12
    assert plan.request.topics[0].topic == "t"


# The budget


def test_the_budget_is_never_exceeded(cluster: ClusterView) -> None:
    reader = Reader(
        cluster, assigned(0), assigned(1),
        queued_max_bytes=4 * MIB, max_partition_bytes=MIB, max_bytes=50 * MIB,
    )  # fmt: skip
    budget = reader.fetcher.budget
    held = []
    for offset in range(20):
        plans = reader.plan()
        assert budget.held_bytes + budget.reserved_bytes <= budget.limit_bytes
        if not plans:
            break
        room = plans[0].request.max_bytes
        assert room <= 2 * MIB
        records = batch(offset, 1, room - 200)
        held += reader.answer(response(fetched(0, records)))
        assert budget.held_bytes <= budget.limit_bytes
    else:
        pytest.fail("fetches went on without room")
    assert reader.fetcher.is_crowded
    for each in held:
        assert isinstance(each, FetchedRecords)
        reader.fetcher.released(each)
    assert (budget.held_bytes, reader.partitions[0].queued_messages) == (0, 0)
    assert len(reader.plan()) == 1


def test_a_frame_is_held_until_all_its_partitions_are_read(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0), assigned(1))
    first, second = reader.fetch(response(fetched(0, batch(0, 3)), fetched(1, batch(0, 3))))
    held_bytes = reader.fetcher.budget.held_bytes
    assert isinstance(first, FetchedRecords)
    assert isinstance(second, FetchedRecords)
    reader.fetcher.released(first)
    assert reader.fetcher.budget.held_bytes == held_bytes > 0
    reader.fetcher.released(second)
    assert reader.fetcher.budget.held_bytes == 0


def test_a_batch_larger_than_the_budget_can_be_read(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0), queued_max_bytes=1024)
    (records,) = reader.fetch(response(fetched(0, batch(0, 1, MIB))))
    assert isinstance(records, FetchedRecords)
    assert reader.plan() == []
    reader.fetcher.released(records)
    assert len(reader.plan()) == 1


def test_brokers_share_the_budget(cluster: ClusterView) -> None:
    reader = Reader(
        cluster, assigned(0), assigned(2), queued_max_bytes=MIB, max_partition_bytes=MIB
    )
    assert [plan.request.max_bytes for plan in reader.plan()] == [MIB // 8, MIB // 8]


def test_portions_grow_with_a_broker_that_is_far_away(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0), max_partition_bytes=50 * MIB, queued_max_bytes=999 * MIB)
    sizes = []
    for offset, took_ms in enumerate([2.0, 60.0, 60.0, 60.0, 20.0, 2.0, 2.0, 2.0]):
        (plan,) = reader.plan()
        sizes.append(plan.request.max_bytes // MIB)
        reader.now_ms += took_ms
        records = batch(offset, 1, plan.request.max_bytes * 3 // 4)
        (held,) = reader.answer(response(fetched(0, records)))
        assert isinstance(held, FetchedRecords)
        reader.fetcher.released(held)
    assert sizes == [8, 8, 16, 32, 50, 50, 32, 16]
    # What is small because there is no more tells nothing.
    reader.plan()
    reader.now_ms += 500
    reader.answer(response())
    (plan,) = reader.plan()
    assert plan.request.max_bytes == 8 * MIB


def test_enough_messages_of_a_partition_are_enough(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0), assigned(1), queued_min_messages=10, max_wait_ms=500)
    (records,) = reader.fetch(response(fetched(0, batch(0, 10))))
    assert isinstance(records, FetchedRecords)
    (plan,) = reader.plan()
    assert plan.request.forgotten_topics_data[0].partitions == [0]
    # The application may need partition 0 again at any moment.
    assert plan.request.max_wait_ms == 20
    # It does not: the broker is asked less and less often.
    for wait_ms in (40, 80, 160, 320, 500, 500):
        assert reader.answer(response()) == []
        (plan,) = reader.plan()
        assert plan.request.max_wait_ms == wait_ms
    reader.answer(response())
    reader.fetcher.released(records)
    (plan,) = reader.plan()
    assert (plan.request.max_wait_ms, asked(plan)) == (500, {0: 10})


# Ends and errors


def eofs(reader: Reader, answer: FetchResponse) -> list[tuple[int, int, int]]:
    return errors(reader.fetch(answer))


def test_the_end_of_a_partition_is_told_once_per_offset(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0), reports_eof=True)
    end = KafkaError._PARTITION_EOF
    assert eofs(reader, response(fetched(0, high_watermark=2))) == []
    at_end = response(fetched(0, batch(0, 2), high_watermark=2, last_stable_offset=2))
    assert eofs(reader, at_end) == [(0, end, 2)]
    assert eofs(reader, response()) == []
    more = response(fetched(0, batch(2, 1), high_watermark=3, last_stable_offset=3))
    assert eofs(reader, more) == [(0, end, 3)]
    # After a seek a session answers nothing about a partition that has not grown.
    reader.partitions[0].begin_at(3)
    assert eofs(reader, response()) == [(0, end, 3)]


def test_the_end_is_the_last_stable_offset_when_reading_committed(cluster: ClusterView) -> None:
    open_transaction = response(fetched(0, high_watermark=9, last_stable_offset=0))
    committed = Reader(cluster, assigned(0), reports_eof=True)
    assert eofs(committed, open_transaction) == [(0, KafkaError._PARTITION_EOF, 0)]
    uncommitted = Reader(cluster, assigned(0), reports_eof=True, is_read_committed=False)
    assert eofs(uncommitted, open_transaction) == []


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ],
)
def test_a_leader_that_moved_is_looked_for(cluster: ClusterView, code: ErrorCode) -> None:
    reader = Reader(cluster, assigned(0), assigned(1))
    assert reader.fetch(response(fetched(0, error_code=code))) == []
    assert reader.fetcher.needs_metadata
    (plan,) = reader.plan()
    assert plan.request.forgotten_topics_data[0].partitions == [0]
    reader.answer(response())
    reader.now_ms = 1000
    (plan,) = reader.plan()
    assert asked(plan) == {0: 0}


def test_an_answer_may_name_the_new_leader(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0))
    moved = fetched(
        0,
        error_code=ErrorCode.NOT_LEADER_OR_FOLLOWER,
        current_leader=CurrentLeader(leader_id=3, leader_epoch=4),
    )
    node = NodeEndpoint(node_id=3, host="h3", port=9092)
    assert reader.fetch(response(moved, node_endpoints=[node])) == []
    (plan,) = reader.plan()
    assert (plan.broker_id, asked(plan)) == (3, {0: 0})


def test_an_offset_out_of_range_is_reset(cluster: ClusterView) -> None:
    partition = assigned(0, 1000)
    reader = Reader(cluster, partition)
    assert reader.fetch(response(fetched(0, error_code=ErrorCode.OFFSET_OUT_OF_RANGE))) == []
    assert partition.stage is Stage.RESET
    assert reader.plan() == []


def test_the_application_hears_that_it_may_not_read(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0))
    refused = response(fetched(0, error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED))
    code = KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert errors(reader.fetch(refused)) == [(0, code, 0)]
    reader.now_ms = 1000
    assert errors(reader.fetch(refused)) == []


def test_damaged_records_are_told_of_and_not_skipped(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0))
    damaged = bytearray(batch(0, 2) + batch(2, 2) + batch(4, 2))
    damaged[len(batch(0, 2)) + 23] ^= 0x80
    delivered = reader.fetch(response(fetched(0, bytes(damaged))))
    assert offsets(delivered) == [(0, [0, 1])]
    assert errors(delivered) == [(0, KafkaError._BAD_MSG, 2)]
    reader.now_ms = 1000
    (plan,) = reader.plan()
    assert asked(plan) == {0: 2}


def test_a_preferred_replica_is_read_from_until_it_fails(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0), rack="r")
    (plan,) = reader.plan()
    assert plan.request.rack_id == "r"
    reader.answer(response(fetched(0, preferred_read_replica=2)))
    (plan,) = reader.plan()
    assert (plan.broker_id, asked(plan)) == (2, {0: 0})
    reader.fetcher.failed(2, 0.0, has_answered=False)
    (plan,) = reader.plan()
    assert plan.broker_id == 1
    assert reader.fetcher.needs_metadata


def test_a_preferred_replica_that_lags_does_not_reset_the_offset(cluster: ClusterView) -> None:
    partition = assigned(0, 50)
    reader = Reader(cluster, partition)
    reader.fetch(response(fetched(0, preferred_read_replica=2)))
    behind = response(fetched(0, error_code=ErrorCode.OFFSET_OUT_OF_RANGE))
    reader.fetch(behind, broker_id=2)
    (plan,) = reader.plan()
    # The leader's session still knows the partition, at this offset.
    assert (plan.broker_id, list(plan.versions), asked(plan)) == (1, [("t", 0)], {})


def test_a_session_that_is_gone_is_opened_again(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0))
    reader.fetch(response())
    (plan,) = reader.plan()
    assert (plan.request.session_id, plan.request.session_epoch, asked(plan)) == (5, 1, {})
    reader.answer(FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND, responses=[]))
    (plan,) = reader.plan()
    assert (plan.request.session_id, plan.request.session_epoch, asked(plan)) == (0, 0, {0: 0})


def test_partitions_that_waited_longer_go_first(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0), assigned(1))
    reader.fetch(response(fetched(0, batch(0, 1))))
    reader.plan()
    reader.fetcher.failed(1, 0.0, has_answered=False)
    # Without a session all are told, in the order in which they are to get room.
    (plan,) = reader.plan()
    assert list(asked(plan)) == [1, 0]


def test_answers_about_what_nobody_asked_for_are_ignored(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0))
    assert reader.fetch(response(fetched(1, batch(0, 1)), fetched(-1, batch(0, 1)))) == []
    stranger = FetchedTopic(topic_id=uuid.UUID(int=99), partitions=[fetched(0, batch(0, 1))])
    assert reader.fetch(FetchResponse(session_id=5, responses=[stranger])) == []


@pytest.mark.parametrize("version", range(4, 19))
def test_a_fetch_can_be_said_in_every_version(cluster: ClusterView, version: int) -> None:
    fetcher = Fetcher(FetchSettings(rack="r"))
    partitions = [assigned(0, 5), assigned(1)]
    for _ in range(2):
        (plan,) = fetcher.plan(partitions, cluster, 0.0, lambda *_: version)
        request = FetchRequest.decode(plan.request.encode(version), version)
        (topic,) = request.topics or [None]
        if topic is not None:
            assert (topic.topic or None) == ("t" if version < 13 else None)
            assert [p.fetch_offset for p in topic.partitions] == [5, 0]
        fetcher.answered(1, FetchResponse(session_id=9, responses=[]), 0, cluster, 0.0)
    # From version 7 on the second request goes on with a session, which has been told all.
    assert request.session_id == (9 if version >= 7 else 0)
    assert bool(request.topics) == (version < 7)
