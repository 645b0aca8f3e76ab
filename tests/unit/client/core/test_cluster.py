"""The view of the cluster: newer knowledge replaces older, never the other way round."""

from __future__ import annotations

import random
import uuid

import pytest

from ottla.client.core.cluster import Broker, Changes, ClusterView
from ottla.wire.api.k03_metadata import (
    DescribedPartition,
    DescribedTopic,
    ListedBroker,
    MetadataResponse,
)
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ErrorCode

FIRST, SECOND = uuid.UUID(int=1), uuid.UUID(int=2)


def partition(number: int, leader: int = 1, epoch: int = 5, error: int = 0) -> DescribedPartition:
    return DescribedPartition(
        error_code=error, partition_index=number, leader_id=leader, leader_epoch=epoch,
        replica_nodes=[1, 2], isr_nodes=[leader], offline_replicas=[],
    )  # fmt: skip


def topic(
    name: str | None, *partitions: DescribedPartition, id: uuid.UUID = FIRST, error: int = 0
) -> DescribedTopic:
    return DescribedTopic(
        error_code=error, name=name, topic_id=id, is_internal=False, partitions=list(partitions)
    )


def answer(*topics: DescribedTopic, brokers: tuple[int, ...] = (1, 2)) -> MetadataResponse:
    return MetadataResponse(
        brokers=[ListedBroker(node_id=b, host=f"h{b}", port=9092, rack=None) for b in brokers],
        cluster_id="c",
        controller_id=1,
        topics=list(topics),
    )


@pytest.fixture
def view() -> ClusterView:
    view = ClusterView()
    view.update(answer(topic("t", partition(0), partition(1, leader=2))))
    return view


def test_a_first_answer_is_all_news(view: ClusterView) -> None:
    changes = ClusterView().update(answer(topic("t", partition(0))))
    assert changes == Changes(frozenset({"t"}), frozenset({("t", 0)}))
    assert view.leader("t", 1) == Broker(2, "h2", 9092)
    assert view.name_of(FIRST) == "t"
    assert (view.cluster_id, view.controller_id) == ("c", 1)


def test_what_is_not_known_is_none(view: ClusterView) -> None:
    assert view.leader("t", 2) is None
    assert view.leader("t", -1) is None
    assert view.leader("u", 0) is None
    assert view.name_of(SECOND) is None


def test_the_same_answer_again_changes_nothing(view: ClusterView) -> None:
    again = answer(topic("t", partition(0), partition(1, leader=2)))
    assert view.update(again) == Changes()


def test_a_later_epoch_moves_the_leader(view: ClusterView) -> None:
    changes = view.update(answer(topic("t", partition(0, leader=2, epoch=6), partition(1, 2))))
    assert changes.leaders == {("t", 0)}
    assert view.leader("t", 0) == view.brokers[2]


def test_an_earlier_epoch_is_old_news(view: ClusterView) -> None:
    changes = view.update(answer(topic("t", partition(0, leader=2, epoch=4), partition(1, 2))))
    assert changes == Changes()
    assert view.leader("t", 0) == view.brokers[1]


def test_brokers_without_epochs_are_believed(view: ClusterView) -> None:
    view.update(answer(topic("t", partition(0, leader=2, epoch=-1), partition(1, 2))))
    assert view.leader("t", 0) == view.brokers[2]


def test_a_topic_made_anew_begins_from_the_start(view: ClusterView) -> None:
    view.update(answer(topic("t", partition(0, leader=2, epoch=0), id=SECOND)))
    assert view.leader("t", 0) == view.brokers[2]
    assert view.partition("t", 1) is None
    assert (view.name_of(FIRST), view.name_of(SECOND)) == (None, "t")


def test_a_topic_never_loses_partitions(view: ClusterView) -> None:
    view.update(answer(topic("t", partition(0))))
    assert view.leader("t", 1) == view.brokers[2]


def test_a_topic_that_is_gone_is_known_to_be_gone(view: ClusterView) -> None:
    error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    changes = view.update(answer(topic("t", id=ZERO_UUID, error=error)))
    assert changes.topics == {"t"}
    assert view.topics["t"].error_code == error
    assert view.partition("t", 0) is None
    assert view.name_of(FIRST) is None


def test_an_answer_about_an_id_finds_its_name(view: ClusterView) -> None:
    view.update(answer(topic(None, id=FIRST, error=ErrorCode.UNKNOWN_TOPIC_ID)))
    assert view.topics["t"].error_code == ErrorCode.UNKNOWN_TOPIC_ID
    assert view.update(answer(topic(None, id=SECOND))) == Changes()


def test_a_broker_that_cannot_tell_takes_nothing_away(view: ClusterView) -> None:
    view.update(answer(topic("t", id=ZERO_UUID, error=ErrorCode.LEADER_NOT_AVAILABLE)))
    assert view.leader("t", 0) == view.brokers[1]
    assert view.topics["t"].error_code == ErrorCode.LEADER_NOT_AVAILABLE


def test_a_list_of_all_topics_shows_which_are_gone(view: ClusterView) -> None:
    assert view.update(answer(), is_complete=False).topics == set()
    assert view.update(answer(), is_complete=True).topics == {"t"}
    assert view.topics == {}


def test_a_partition_without_a_leader_has_none(view: ClusterView) -> None:
    error = ErrorCode.LEADER_NOT_AVAILABLE
    view.update(answer(topic("t", partition(0, leader=-1, epoch=6, error=error), partition(1, 2))))
    assert view.leader("t", 0) is None
    known = view.partition("t", 0)
    assert known is not None
    assert known.error_code == error


def test_numbers_from_hostile_answers_fill_no_memory() -> None:
    view = ClusterView()
    view.update(answer(topic("t", partition(2**31 - 1), partition(-5), partition(0))))
    assert len(view.topics["t"].partitions) < 10


def test_a_gap_in_an_answer_is_a_partition_that_is_not_known() -> None:
    view = ClusterView()
    view.update(answer(topic("t", partition(0), partition(2))))
    assert [p.leader_id for p in view.topics["t"].partitions] == [1, -1, 1]


def test_a_hint_of_a_later_leader_is_taken(view: ClusterView) -> None:
    third = Broker(3, "h3", 9092)
    assert view.learn_leader("t", 0, 3, 6, [third])
    assert view.leader("t", 0) == third
    assert not view.learn_leader("t", 0, 2, 6)
    assert view.learn_leader("t", 0, 2, 7)
    # Metadata of before the hint does not undo it.
    view.update(answer(topic("t", partition(0, leader=1, epoch=5), partition(1, 2))))
    assert view.leader("t", 0) == view.brokers[2]


def test_a_hint_without_an_address_or_a_topic_is_of_no_use(view: ClusterView) -> None:
    assert not view.learn_leader("t", 0, 9, 6)
    assert not view.learn_leader("t", 7, 2, 6)
    assert not view.learn_leader("u", 0, 2, 6)


def test_forgetting(view: ClusterView) -> None:
    view.forget_brokers()
    assert view.leader("t", 0) is None
    view.update(answer(brokers=(1,)))
    assert view.leader("t", 0) == view.brokers[1]
    view.forget_topic("t")
    view.forget_topic("t")
    assert (view.topics, view.name_of(FIRST)) == ({}, None)


def test_in_whatever_order_answers_arrive_the_latest_leader_stands() -> None:
    chance = random.Random(3)
    history = [(epoch, chance.choice((1, 2))) for epoch in range(12)]
    for _ in range(50):
        view = ClusterView()
        shuffled = chance.sample(history, len(history))
        for epoch, leader in shuffled:
            if chance.random() < 0.3:
                view.learn_leader("t", 0, leader, epoch)
            view.update(answer(topic("t", partition(0, leader, epoch))))
        assert view.leader("t", 0) == view.brokers[history[-1][1]]
