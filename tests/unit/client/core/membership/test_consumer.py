"""The member of a consumer group (KIP-848): one heartbeat and answer at a time."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from ottla.client.core.cluster import ClusterView
from ottla.client.core.membership.consumer import ConsumerMembership
from ottla.client.core.membership.membership import (
    Assign,
    CoordinatorUnknown,
    Failed,
    Fatal,
    GroupMetadata,
    Joined,
    Left,
    Lost,
    Revoke,
    Subscription,
)
from ottla.client.core.membership.settings import MembershipSettings
from ottla.client.core.reachability import UNREACHABLE
from ottla.client.errors import KafkaError
from ottla.wire.api.k03_metadata import DescribedTopic, MetadataResponse
from ottla.wire.api.k68_consumer_group_heartbeat import (
    AssignedTopic,
    Assignment,
    ConsumerGroupHeartbeatResponse,
)
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from conftest import Dialogue

SETTINGS = MembershipSettings("g", rack="r", remote_assignor="range")
STATIC = SETTINGS._replace(group_instance_id="i")
T, U, UNKNOWN = uuid.UUID(int=101), uuid.UUID(int=102), uuid.UUID(int=103)
INTERVAL_MS = 5_000


def known_cluster() -> ClusterView:
    view = ClusterView()
    topics = [
        DescribedTopic(error_code=0, name=name, topic_id=topic_id, partitions=[])
        for name, topic_id in (("t", T), ("u", U))
    ]
    view.update(MetadataResponse(brokers=[], topics=topics), is_complete=True)
    return view


def heard(epoch: int = 1, error: int = 0, **topics: list[int]) -> ConsumerGroupHeartbeatResponse:
    ids = {"t": T, "u": U, "unknown": UNKNOWN}
    assigned = [
        AssignedTopic(topic_id=ids[name], partitions=numbers) for name, numbers in topics.items()
    ]
    return ConsumerGroupHeartbeatResponse(
        error_code=error,
        member_id="me",
        member_epoch=epoch,
        heartbeat_interval_ms=INTERVAL_MS,
        assignment=Assignment(topic_partitions=assigned) if topics else None,
    )


def begin(dialogue: Dialogue, settings: MembershipSettings = SETTINGS, *topics: str) -> Any:
    dialogue.begin(ConsumerMembership(settings, "me", known_cluster()), *(topics or ("t",)))
    return dialogue.asked(ConsumerGroupHeartbeatResponse)


def settle(dialogue: Dialogue, *numbers: int, settings: MembershipSettings = SETTINGS) -> None:
    begin(dialogue, settings)
    dialogue.answer(heard(t=list(numbers)))
    beat(dialogue, heard())
    dialogue.apply()
    dialogue.events.clear()


def beat(dialogue: Dialogue, answer: Any) -> Any:
    if not dialogue.is_asked(ConsumerGroupHeartbeatResponse):
        dialogue.go_on(INTERVAL_MS)
    request = dialogue.asked(ConsumerGroupHeartbeatResponse)
    dialogue.answer(answer)
    return request


def owned(request: Any) -> Any:
    if request.topic_partitions is None:
        return None
    return {each.topic_id: list(each.partitions) for each in request.topic_partitions}


def test_the_first_heartbeat_says_everything_the_next_nothing(dialogue: Dialogue) -> None:
    first = begin(dialogue)
    assert (first.member_id, first.member_epoch, owned(first)) == ("me", 0, {})
    assert (first.subscribed_topic_names, first.subscribed_topic_regex) == (["t"], None)
    assert (first.rack_id, first.server_assignor) == ("r", "range")
    assert first.rebalance_timeout_ms == SETTINGS.max_poll_interval_ms
    dialogue.answer(heard(epoch=3))
    assert dialogue.heard(Joined) == [Joined(GroupMetadata("g", 3, "me", None))]
    dialogue.go_on(INTERVAL_MS - 1)
    assert not dialogue.is_asked(ConsumerGroupHeartbeatResponse)
    dialogue.go_on(1)
    request = dialogue.asked(ConsumerGroupHeartbeatResponse)
    assert (request.member_epoch, owned(request)) == (3, None)
    assert request.subscribed_topic_names is request.rack_id is request.server_assignor is None
    assert request.rebalance_timeout_ms == -1


def test_what_was_assigned_is_acknowledged_at_once(dialogue: Dialogue) -> None:
    begin(dialogue)
    dialogue.answer(heard(t=[0, 1]))
    assert dialogue.heard(Assign) == [Assign((("t", 0), ("t", 1)), is_incremental=True)]
    # However slow the application is in taking it.
    assert owned(beat(dialogue, heard())) == {T: [0, 1]}
    dialogue.apply()
    assert not dialogue.is_asked(ConsumerGroupHeartbeatResponse)


def test_a_revocation_is_acknowledged_when_it_is_done(dialogue: Dialogue) -> None:
    settle(dialogue, 0, 1)
    beat(dialogue, heard(t=[1, 2]))
    assert dialogue.heard(Revoke) == [Revoke((("t", 0),), is_incremental=True)]
    # It goes on to say that it is alive, and nothing of what it is giving up.
    for _ in range(3):
        assert owned(beat(dialogue, heard())) is None
    dialogue.apply()
    assert dialogue.heard(Assign) == [Assign((("t", 2),), is_incremental=True)]
    assert owned(beat(dialogue, heard())) == {T: [1, 2]}


def test_the_application_hears_what_it_got_for_a_revocation_be_it_nothing(
    dialogue: Dialogue,
) -> None:
    settle(dialogue, 0, 1)
    beat(dialogue, heard(t=[1]))
    dialogue.apply()
    assert dialogue.heard(Assign) == [Assign((), is_incremental=True)]


def test_a_new_target_replaces_the_one_on_the_way(dialogue: Dialogue) -> None:
    settle(dialogue, 0, 1)
    beat(dialogue, heard(t=[1]))
    beat(dialogue, heard(t=[0, 1], u=[0]))
    dialogue.apply()
    # What was given up is taken again: the coordinator still counts it as this member's.
    assert dialogue.heard(Assign) == [Assign((("t", 0), ("u", 0)), is_incremental=True)]


def test_nothing_is_taken_while_the_coordinator_hears_that_it_is_not_owned(
    dialogue: Dialogue,
) -> None:
    settle(dialogue, 0, 1)
    beat(dialogue, heard(t=[1], u=[2]))
    # The coordinator changes its mind, but that answer is lost: so everything is said again.
    beat(dialogue, KafkaError(KafkaError._TRANSPORT))
    dialogue.heard(Revoke)
    dialogue.go_on(100)
    request = dialogue.asked(ConsumerGroupHeartbeatResponse)
    assert owned(request) == {T: [0, 1]}
    dialogue.apply()
    # u-2 may be another member's by now: it was not among what this one said it owns.
    assert dialogue.heard(Assign) == []
    dialogue.answer(heard(t=[1]))
    assert dialogue.heard(Assign) == [Assign((), is_incremental=True)]


def test_topics_of_unknown_names_are_asked_for_and_the_others_taken(dialogue: Dialogue) -> None:
    begin(dialogue)
    dialogue.answer(heard(t=[0], unknown=[0]))
    assert dialogue.heard(Assign) == [Assign((("t", 0),), is_incremental=True)]
    question = dialogue.asked(MetadataResponse)
    assert [each.topic_id for each in question.topics] == [UNKNOWN]
    dialogue.answer(MetadataResponse(brokers=[], topics=[]))
    dialogue.go_on(100)
    dialogue.asked(MetadataResponse)
    described = DescribedTopic(error_code=0, name="x", topic_id=UNKNOWN, partitions=[])
    dialogue.answer(MetadataResponse(brokers=[], topics=[described]))
    beat(dialogue, heard())
    dialogue.apply()
    assert dialogue.heard(Assign) == [Assign((("x", 0),), is_incremental=True)]


def test_a_topic_made_anew_is_another_topic(dialogue: Dialogue) -> None:
    settle(dialogue, 0)
    view = known_cluster()
    dialogue.core._names._cluster = view
    described = DescribedTopic(error_code=0, name="t", topic_id=UNKNOWN, partitions=[])
    view.update(MetadataResponse(brokers=[], topics=[described]))
    beat(dialogue, heard(unknown=[0]))
    assert dialogue.heard(Revoke) == [Revoke((("t", 0),), is_incremental=True)]
    dialogue.apply()
    assert dialogue.heard(Assign) == [Assign((("t", 0),), is_incremental=True)]
    dialogue.apply()
    beat(dialogue, heard())
    assert dialogue.core._owned_ids == {("t", 0): UNKNOWN}


def test_patterns_are_the_coordinators_business(dialogue: Dialogue) -> None:
    first = begin(dialogue, SETTINGS, "^a.*", "t", "^b")
    assert (first.subscribed_topic_names, first.subscribed_topic_regex) == (["t"], "^a.*|^b")
    assert first.encode(1)
    dialogue.answer(heard())
    dialogue.core.subscribe(Subscription.of(["t", "u"]), dialogue.now_ms)
    dialogue.go_on()
    request = dialogue.asked(ConsumerGroupHeartbeatResponse)
    # Empty: no pattern any more.
    assert (request.subscribed_topic_names, request.subscribed_topic_regex) == (["t", "u"], "")
    assert request.rack_id is None
    dialogue.answer(KafkaError(KafkaError._TRANSPORT))
    dialogue.go_on(100)
    assert dialogue.asked(ConsumerGroupHeartbeatResponse).subscribed_topic_regex == ""
    dialogue.answer(heard())
    dialogue.subscribe("t")
    assert dialogue.asked(ConsumerGroupHeartbeatResponse).subscribed_topic_regex is None


@pytest.mark.parametrize("code", sorted(UNREACHABLE))
def test_why_the_coordinator_cannot_be_reached_is_no_news_of_the_group(
    dialogue: Dialogue, code: int
) -> None:
    settle(dialogue, 0)
    beat(dialogue, KafkaError(code))
    assert dialogue.heard(Failed) == []
    dialogue.go_on(100)
    dialogue.asked(ConsumerGroupHeartbeatResponse)


def test_after_a_lost_answer_everything_is_said_again(dialogue: Dialogue) -> None:
    settle(dialogue, 0)
    beat(dialogue, KafkaError(KafkaError._TRANSPORT))
    assert len(dialogue.heard(CoordinatorUnknown)) == 1
    dialogue.go_on(99)
    assert not dialogue.is_asked(ConsumerGroupHeartbeatResponse)
    dialogue.go_on(1)
    request = dialogue.asked(ConsumerGroupHeartbeatResponse)
    assert (request.member_epoch, owned(request)) == (1, {T: [0]})
    assert request.subscribed_topic_names == ["t"]


@pytest.mark.parametrize("code", [ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID])
def test_a_fenced_member_gives_up_everything_and_joins_anew(
    dialogue: Dialogue, code: ErrorCode
) -> None:
    settle(dialogue, 0)
    beat(dialogue, heard(error=code))
    assert dialogue.heard(Lost) == [Lost((("t", 0),))]
    assert dialogue.core.metadata.generation_id == -1
    dialogue.go_on(60_000)
    assert not dialogue.is_asked(ConsumerGroupHeartbeatResponse)
    dialogue.apply()
    request = dialogue.asked(ConsumerGroupHeartbeatResponse)
    assert (request.member_id, request.member_epoch, owned(request)) == ("me", 0, {})


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.UNRELEASED_INSTANCE_ID,
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.UNSUPPORTED_ASSIGNOR,
        ErrorCode.GROUP_AUTHORIZATION_FAILED,
    ],
)
def test_what_no_other_try_can_change_is_fatal(dialogue: Dialogue, code: ErrorCode) -> None:
    begin(dialogue, STATIC)
    dialogue.answer(heard(error=code))
    (fatal,) = dialogue.heard(Fatal)
    assert (fatal.error.code(), fatal.error.fatal()) == (code, True)
    assert fatal.error.str().startswith("ConsumerGroupHeartbeat fatal error: Broker: ")
    dialogue.go_on(100_000)
    assert not dialogue.is_asked(ConsumerGroupHeartbeatResponse)


def test_a_broker_without_the_protocol_is_fatal(dialogue: Dialogue) -> None:
    begin(dialogue)
    dialogue.answer(KafkaError(KafkaError._UNSUPPORTED_FEATURE))
    assert len(dialogue.heard(Fatal)) == 1


def test_other_refusals_are_told_once_and_tried_again(dialogue: Dialogue) -> None:
    begin(dialogue)
    for _ in range(3):
        answer = heard(error=ErrorCode.TOPIC_AUTHORIZATION_FAILED)
        answer.error_message = "not t"
        dialogue.answer(answer)
        dialogue.go_on(1_000)
        dialogue.asked(ConsumerGroupHeartbeatResponse)
    (failure,) = dialogue.heard(Failed)
    assert failure.error.str() == (
        "ConsumerGroupHeartbeat failed: Broker: Topic authorization failed: not t"
    )


def test_a_missing_topic_is_the_coordinators_business_too(dialogue: Dialogue) -> None:
    begin(dialogue)
    dialogue.core.metadata_changed(dialogue.view_of({"t": 0}), dialogue.now_ms)
    dialogue.go_on()
    assert dialogue.heard(Failed) == []


def test_an_interval_of_nothing_is_not_believed(dialogue: Dialogue) -> None:
    begin(dialogue)
    answer = heard()
    answer.heartbeat_interval_ms = 0
    dialogue.answer(answer)
    assert not dialogue.is_asked(ConsumerGroupHeartbeatResponse)


@pytest.mark.parametrize(
    ("settings", "epoch"), [(SETTINGS, -1), (STATIC, -2)], ids=["dynamic", "static"]
)
def test_closing_gives_up_everything_and_says_so(
    dialogue: Dialogue, settings: MembershipSettings, epoch: int
) -> None:
    settle(dialogue, 0, settings=settings)
    dialogue.core.close(dialogue.now_ms)
    dialogue.go_on()
    assert dialogue.heard(Revoke) == [Revoke((("t", 0),), is_incremental=True)]
    # It is still there, until it has given up everything.
    assert beat(dialogue, heard()).member_epoch == 1
    dialogue.apply()
    assert dialogue.asked(ConsumerGroupHeartbeatResponse).member_epoch == epoch
    assert dialogue.heard(Left) == []
    dialogue.answer(heard(epoch=epoch))
    assert dialogue.heard(Left) == [Left()]


def test_who_does_not_poll_leaves_until_it_does(dialogue: Dialogue) -> None:
    settings = SETTINGS._replace(max_poll_interval_ms=10_000)
    settle(dialogue, 0, settings=settings)
    dialogue.core.polled(dialogue.now_ms)
    dialogue.go_on(10_001)
    (failure,) = dialogue.heard(Failed)
    assert failure.error.code() == KafkaError._MAX_POLL_EXCEEDED
    epochs = []
    while dialogue.is_asked(ConsumerGroupHeartbeatResponse):
        epochs.append(dialogue.asked(ConsumerGroupHeartbeatResponse).member_epoch)
    assert epochs[-1] == -1
    assert len(dialogue.heard(Lost)) == 1
    dialogue.apply()
    dialogue.go_on(60_000)
    assert not dialogue.is_asked(ConsumerGroupHeartbeatResponse)
    dialogue.core.polled(dialogue.now_ms)
    dialogue.go_on()
    assert dialogue.asked(ConsumerGroupHeartbeatResponse).member_epoch == 0


def test_leaving_before_the_first_answer_says_so(dialogue: Dialogue) -> None:
    begin(dialogue)
    dialogue.core.close(dialogue.now_ms)
    dialogue.go_on()
    assert dialogue.asked(ConsumerGroupHeartbeatResponse).member_epoch == -1


def test_commits_of_a_fenced_epoch_tell_of_the_loss(dialogue: Dialogue) -> None:
    settle(dialogue, 0)
    now = dialogue.core.metadata
    before = now._replace(generation_id=0)
    dialogue.core.commit_failed(ErrorCode.UNKNOWN_MEMBER_ID, before, dialogue.now_ms)
    assert not dialogue.core.is_lost
    dialogue.core.commit_failed(ErrorCode.UNKNOWN_MEMBER_ID, now, dialogue.now_ms)
    assert dialogue.core.is_lost


@pytest.mark.parametrize(("told_ms", "believed_ms"), [(2**31 - 1, 60_000), (-5, 10), (0, 10)])
def test_intervals_that_are_not_to_be_believed(
    dialogue: Dialogue, told_ms: int, believed_ms: int
) -> None:
    settle(dialogue, 0)
    answer = heard()
    answer.heartbeat_interval_ms = told_ms
    beat(dialogue, answer)
    due_ms = dialogue.core.next_deadline_ms()
    assert due_ms is not None
    assert due_ms - dialogue.now_ms == believed_ms
