"""Which broker a share consumer asks, when, and what answers mean."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from ottla.client.core.cluster import ClusterView
from ottla.client.core.sharing.acknowledgements import Acknowledgements, Place
from ottla.client.core.sharing.fetching import FetchedShare, ShareError, ShareFetcher, SharePlan
from ottla.client.core.sharing.requests import ShareSettings
from ottla.client.enumerations import AcknowledgeType
from ottla.client.errors import KafkaError
from ottla.wire.api.k03_metadata import (
    DescribedPartition,
    DescribedTopic,
    ListedBroker,
    MetadataResponse,
)
from ottla.wire.api.k78_share_fetch import (
    AcquiredRange,
    CurrentLeader,
    NodeEndpoint,
    ShareFetchedPartition,
    ShareFetchedTopic,
    ShareFetchRequest,
    ShareFetchResponse,
)
from ottla.wire.api.k79_share_acknowledge import (
    AcknowledgedPartition,
    AcknowledgedTopic,
    ShareAcknowledgeRequest,
    ShareAcknowledgeResponse,
)
from ottla.wire.api.k79_share_acknowledge import CurrentLeader as LeaderToTurnTo
from ottla.wire.errors import ErrorCode

ID = UUID(int=9)
ACCEPT = AcknowledgeType.ACCEPT


def metadata(leaders: dict[int, int], epoch: int = 1) -> MetadataResponse:
    brokers = [ListedBroker(node_id=n, host="h", port=n) for n in (1, 2)]
    partitions = [
        DescribedPartition(
            error_code=0, partition_index=number, leader_id=leader, leader_epoch=epoch,
            replica_nodes=[1, 2], isr_nodes=[1, 2], offline_replicas=[],
        )
        for number, leader in leaders.items()
    ]  # fmt: skip
    topic = DescribedTopic(error_code=0, name="t", topic_id=ID, partitions=partitions)
    return MetadataResponse(brokers=brokers, topics=[topic])


class Driver:
    """A fetcher that reads partitions 0 and 1 of a topic, and brokers that answer by hand."""

    def __init__(self, *, leaders: dict[int, int] | None = None, **settings: Any) -> None:
        self.cluster = ClusterView()
        self.cluster.update(metadata(leaders or {0: 1, 1: 1}))
        self.fetcher = ShareFetcher(ShareSettings(group_id="g", **settings))
        self.fetcher.assign([("t", 0), ("t", 1)])
        self.now_ms = 1_000.0
        self.connected = {1, 2}

    def plan(self) -> list[SharePlan]:
        return self.fetcher.plan("me", self.cluster, self.now_ms, self.connected.__contains__)

    def poll(self, wait_ms: float = 1e9) -> list[SharePlan]:
        self.fetcher.begin_poll(self.now_ms + wait_ms)
        return self.plan()

    def answer(self, plan: SharePlan, *partitions: ShareFetchedPartition, **more: Any) -> list[Any]:
        topics = [ShareFetchedTopic(topic_id=ID, partitions=list(partitions))] if partitions else []
        response = ShareFetchResponse(
            **{
                "error_code": 0,
                "acquisition_lock_timeout_ms": 30_000,
                "responses": topics,
                "node_endpoints": [],
                **more,
            }
        )
        return self.fetcher.answered(plan, response, self.cluster, self.now_ms, 0.5)

    def acknowledged(self, plan: SharePlan, codes: dict[int, int], error_code: int = 0) -> None:
        partitions = [
            AcknowledgedPartition(
                partition_index=number,
                error_code=code,
                current_leader=LeaderToTurnTo(leader_id=0, leader_epoch=0),
            )
            for number, code in codes.items()
        ]
        response = ShareAcknowledgeResponse(
            error_code=error_code,
            responses=[AcknowledgedTopic(topic_id=ID, partitions=partitions)],
            node_endpoints=[],
        )
        assert self.fetcher.answered(plan, response, self.cluster, self.now_ms, 0.5) == []

    def joined(self) -> None:
        """A session is open with broker 1."""
        [plan] = self.poll()
        self.answer(plan)
        self.fetcher.end_poll()

    def acknowledge(self, *offsets: int, partition: int = 0, kind: int = ACCEPT) -> None:
        types = dict.fromkeys(offsets, int(kind))
        place = Place(1, "t", ID, partition)
        self.fetcher.acknowledge([Acknowledgements(place, types, self.now_ms + 500)])

    def outcomes(self) -> list[tuple[list[int], int | None]]:
        return [
            (sorted(each.types), None if error is None else error.code())
            for each, error in self.fetcher.outcomes()
        ]


def fetched(
    number: int, *acquired: tuple[int, int, int], error_code: int = 0, acknowledge_error: int = 0
) -> ShareFetchedPartition:
    return ShareFetchedPartition(
        partition_index=number,
        error_code=error_code,
        acknowledge_error_code=acknowledge_error,
        current_leader=CurrentLeader(leader_id=0, leader_epoch=0),
        records=b"records",
        acquired_records=[
            AcquiredRange(first_offset=first, last_offset=last, delivery_count=count)
            for first, last, count in acquired
        ],
    )


def told(request: ShareFetchRequest | ShareAcknowledgeRequest) -> dict[int, list[Any]]:
    """Partition -> the acknowledgements that a request says of it."""
    return {
        partition.partition_index: [
            (batch.first_offset, batch.last_offset, list(batch.acknowledge_types))
            for batch in partition.acknowledgement_batches
        ]
        for topic in request.topics
        for partition in topic.partitions
    }


def test_nothing_is_acquired_while_nobody_polls() -> None:
    driver = Driver()
    assert driver.plan() == []
    [plan] = driver.poll()
    assert driver.plan() == []
    driver.fetcher.end_poll()
    driver.answer(plan)
    assert driver.plan() == []


def test_a_session_tells_changes_only() -> None:
    driver = Driver()
    [plan] = driver.poll()
    assert isinstance(plan.request, ShareFetchRequest)
    assert (plan.request.share_session_epoch, told(plan.request)) == (0, {0: [], 1: []})
    driver.answer(plan)
    [plan] = driver.plan()
    assert (plan.request.share_session_epoch, told(plan.request)) == (1, {})
    driver.answer(plan)
    driver.fetcher.unassign([("t", 1)])
    [plan] = driver.plan()
    assert isinstance(plan.request, ShareFetchRequest)
    [forgotten] = plan.request.forgotten_topics_data
    assert (plan.request.share_session_epoch, forgotten.partitions) == (2, [1])


def test_a_fetch_waits_no_longer_than_the_poll() -> None:
    driver = Driver(max_wait_ms=500, max_records=7, is_record_limit=True)
    [plan] = driver.poll(wait_ms=120)
    assert isinstance(plan.request, ShareFetchRequest)
    assert plan.request.max_wait_ms == 120
    limits = plan.request.max_records, plan.request.batch_size, plan.request.share_acquire_mode
    assert limits == (7, 7, 1)
    driver.answer(plan)
    [plan] = driver.poll(wait_ms=1e9)
    assert isinstance(plan.request, ShareFetchRequest)
    assert plan.request.max_wait_ms == 500
    driver.answer(plan)
    driver.now_ms += 2e9
    assert driver.plan() == []


def test_records_come_with_the_time_their_locks_run_out() -> None:
    driver = Driver()
    [plan] = driver.poll()
    [delivered] = driver.answer(plan, fetched(0), fetched(1, (3, 4, 1), (6, 6, 2)))
    assert isinstance(delivered, FetchedShare)
    assert delivered.place == Place(1, "t", ID, 1)
    assert delivered.acquired == [(3, 4, 1), (6, 6, 2)]
    assert delivered.expires_ms == driver.now_ms + 30_000
    assert driver.fetcher.lock_timeout_ms == 30_000


@pytest.mark.parametrize(
    "acquired", [[(4, 3, 1)], [(0, 5, 1), (5, 6, 1)], [(0, 10**9, 1)], [(-3, -1, 1)]]
)
def test_ranges_that_make_no_sense_are_not_believed(acquired: list[tuple[int, int, int]]) -> None:
    driver = Driver()
    [plan] = driver.poll()
    [delivered] = driver.answer(plan, fetched(0, *acquired))
    assert isinstance(delivered, ShareError)
    assert delivered.error == KafkaError._BAD_MSG


def test_a_fetch_takes_acknowledgements_along() -> None:
    driver = Driver()
    driver.joined()
    driver.acknowledge(1, 2)
    [plan] = driver.poll()
    assert isinstance(plan.request, ShareFetchRequest)
    assert told(plan.request) == {0: [(1, 2, [1])]}
    driver.answer(plan, fetched(0))
    assert driver.outcomes() == [([1, 2], None)]


def test_without_a_poll_acknowledgements_go_alone() -> None:
    driver = Driver()
    driver.joined()
    driver.acknowledge(1, 2)
    driver.acknowledge(7, partition=1)
    [plan] = driver.plan()
    assert isinstance(plan.request, ShareAcknowledgeRequest)
    assert plan.request.share_session_epoch == 1
    assert told(plan.request) == {0: [(1, 2, [1])], 1: [(7, 7, [1])]}
    driver.acknowledged(plan, {0: 0, 1: ErrorCode.INVALID_RECORD_STATE})
    assert driver.outcomes() == [([1, 2], None), ([7], ErrorCode.INVALID_RECORD_STATE)]
    assert driver.fetcher.is_settled


def test_of_a_partition_one_thing_is_said_at_a_time() -> None:
    driver = Driver()
    driver.joined()
    driver.acknowledge(5)
    driver.acknowledge(1)
    [plan] = driver.plan()
    assert told(plan.request) == {0: [(5, 5, [1])]}
    assert driver.plan() == []
    driver.acknowledged(plan, {0: 0})
    [plan] = driver.plan()
    assert (plan.request.share_session_epoch, told(plan.request)) == (2, {0: [(1, 1, [1])]})


def test_a_lock_is_renewed_by_a_request_of_its_own() -> None:
    driver = Driver()
    driver.joined()
    driver.acknowledge(5, kind=AcknowledgeType.RENEW)
    [plan] = driver.poll()
    assert isinstance(plan.request, ShareAcknowledgeRequest)
    assert plan.request.is_renew_ack
    driver.acknowledged(plan, {0: 0})
    [plan] = driver.plan()
    assert isinstance(plan.request, ShareFetchRequest)


def test_what_was_acquired_of_a_partition_that_went_is_acknowledged_before_the_next_fetch() -> None:
    driver = Driver()
    driver.joined()
    driver.acknowledge(5, partition=1)
    driver.fetcher.unassign([("t", 1)])
    [plan] = driver.poll()
    assert isinstance(plan.request, ShareAcknowledgeRequest)
    driver.acknowledged(plan, {1: 0})
    [plan] = driver.plan()
    assert isinstance(plan.request, ShareFetchRequest)
    assert plan.request.forgotten_topics_data


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.SHARE_SESSION_NOT_FOUND,
        ErrorCode.INVALID_SHARE_SESSION_EPOCH,
        ErrorCode.SHARE_SESSION_LIMIT_REACHED,
    ],
)
def test_a_lost_session_is_begun_anew_and_its_records_are_gone(code: int) -> None:
    driver = Driver()
    driver.joined()
    driver.acknowledge(1)
    [plan] = driver.poll()
    assert driver.answer(plan, error_code=code) == []
    assert driver.outcomes() == [([1], code)]
    driver.acknowledge(2)
    assert driver.plan() == []  # not at once
    deadline_ms = driver.fetcher.next_deadline_ms(driver.now_ms)
    assert deadline_ms is not None
    driver.now_ms = deadline_ms
    [plan] = driver.plan()
    assert (plan.request.share_session_epoch, told(plan.request)) == (0, {0: [], 1: []})
    assert driver.outcomes() == [([2], ErrorCode.SHARE_SESSION_NOT_FOUND)]


def test_a_request_without_an_answer_ends_the_session() -> None:
    driver = Driver()
    driver.joined()
    driver.acknowledge(1)
    [plan] = driver.poll()
    driver.fetcher.failed(plan, KafkaError(KafkaError._TRANSPORT), driver.now_ms, 0.5)
    assert driver.outcomes() == [([1], KafkaError._TRANSPORT)]
    assert driver.fetcher.needs_metadata
    driver.now_ms += 1_000
    [plan] = driver.plan()
    assert plan.request.share_session_epoch == 0


def test_a_lost_connection_ends_the_session() -> None:
    driver = Driver()
    driver.joined()
    driver.connected.clear()
    driver.acknowledge(1)
    assert driver.plan() == []
    driver.fetcher.disconnected(1, KafkaError(KafkaError._TRANSPORT))
    assert driver.outcomes() == [([1], KafkaError._TRANSPORT)]
    assert driver.fetcher.is_settled


def test_acknowledgements_do_not_wait_for_a_broker_without_end() -> None:
    driver = Driver()
    driver.joined()
    driver.connected.clear()
    driver.acknowledge(1)
    driver.plan()
    assert driver.fetcher.next_deadline_ms(driver.now_ms) == driver.now_ms + 500
    driver.now_ms += 500
    driver.plan()
    assert driver.outcomes() == [([1], KafkaError._TIMED_OUT)]


def test_acknowledgements_are_said_again_while_the_groups_state_moves() -> None:
    driver = Driver()
    driver.joined()
    driver.acknowledge(1)
    [plan] = driver.plan()
    driver.acknowledged(plan, {0: ErrorCode.NOT_COORDINATOR})
    assert driver.outcomes() == []
    driver.now_ms += 200
    [plan] = driver.plan()
    assert told(plan.request) == {0: [(1, 1, [1])]}
    driver.now_ms += 400
    driver.acknowledged(plan, {0: ErrorCode.NOT_COORDINATOR})
    assert driver.outcomes() == [([1], ErrorCode.NOT_COORDINATOR)]


def test_an_answer_that_says_nothing_of_acknowledgements_is_no_success() -> None:
    driver = Driver()
    driver.joined()
    driver.acknowledge(1)
    [plan] = driver.plan()
    driver.acknowledged(plan, {})
    assert driver.outcomes() == [([1], KafkaError._BAD_MSG)]


def test_who_leads_now_is_learned_and_asked() -> None:
    driver = Driver()
    [plan] = driver.poll()
    moved = fetched(0, error_code=ErrorCode.NOT_LEADER_OR_FOLLOWER)
    moved.current_leader = CurrentLeader(leader_id=2, leader_epoch=5)
    endpoints = [NodeEndpoint(node_id=2, host="h", port=2)]
    assert driver.answer(plan, moved, fetched(1), node_endpoints=endpoints) == []
    assert driver.fetcher.needs_metadata
    driver.now_ms += 1_000
    plans = {plan.broker_id: told(plan.request) for plan in driver.plan()}
    assert plans == {1: {}, 2: {0: []}}


def test_what_the_application_must_hear_it_hears_once() -> None:
    driver = Driver()
    [plan] = driver.poll()
    refused = fetched(0, error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    [error] = driver.answer(plan, refused, fetched(1))
    assert (error.topic, error.partition) == ("t", 0)
    assert error.error == ErrorCode.TOPIC_AUTHORIZATION_FAILED
    driver.now_ms += 10_000
    [plan] = driver.plan()
    assert driver.answer(plan, refused) == []
    driver.now_ms += 10_000
    [plan] = driver.plan()
    [error] = driver.answer(plan, error_code=ErrorCode.GROUP_AUTHORIZATION_FAILED)
    assert error.error == ErrorCode.GROUP_AUTHORIZATION_FAILED


def test_partitions_without_a_leader_are_waited_for() -> None:
    driver = Driver(leaders={0: -1, 1: 2})
    [plan] = driver.poll()
    assert (plan.broker_id, told(plan.request)) == (2, {1: []})
    assert driver.fetcher.needs_metadata


def test_closing_ends_every_session() -> None:
    driver = Driver(leaders={0: 1, 1: 2})
    for plan in driver.poll():
        driver.answer(plan)
    driver.fetcher.end_poll()
    plans = driver.fetcher.close("me", driver.connected.__contains__)
    assert [(plan.broker_id, plan.request.share_session_epoch) for plan in plans] == [
        (1, -1),
        (2, -1),
    ]
    waits = [driver.fetcher.is_settled]
    for plan in plans:
        driver.acknowledged(plan, {})
        waits.append(driver.fetcher.is_settled)
    assert waits == [False, False, True]
    assert driver.fetcher.close("me", driver.connected.__contains__) == []
