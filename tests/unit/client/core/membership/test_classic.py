"""The classic protocol's member: one question and answer at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ottla.client.core.membership.assignors.subscriptions import by_topic
from ottla.client.core.membership.classic import ClassicMembership
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
    WantTopics,
)
from ottla.client.core.membership.settings import MembershipSettings
from ottla.client.core.reachability import UNREACHABLE
from ottla.client.errors import KafkaError
from ottla.wire.api.k03_metadata import MetadataResponse
from ottla.wire.api.k11_join_group import JoinedMember, JoinGroupResponse
from ottla.wire.api.k12_heartbeat import HeartbeatResponse
from ottla.wire.api.k13_leave_group import LeaveGroupResponse
from ottla.wire.api.k14_sync_group import SyncGroupResponse
from ottla.wire.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    encode_subscription,
)
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from conftest import Dialogue

EAGER = MembershipSettings("g")
COOPERATIVE = EAGER._replace(assignors=("cooperative-sticky",))
STATIC = EAGER._replace(group_instance_id="i")


def joined(
    settings: MembershipSettings = EAGER,
    *,
    generation: int = 1,
    leader: str = "other",
    error: int = 0,
    **fields: Any,
) -> JoinGroupResponse:
    return JoinGroupResponse(
        error_code=error,
        generation_id=generation,
        protocol_type="consumer",
        protocol_name=settings.assignors[0],
        leader=leader,
        member_id="me",
        **{"members": [], **fields},
    )


def synced(*numbers: int, topic: str = "t", error: int = 0) -> SyncGroupResponse:
    assigned = by_topic((topic, number) for number in numbers)
    assignment = encode_assignment(ConsumerProtocolAssignment(assigned_partitions=assigned))
    return SyncGroupResponse(error_code=error, assignment=assignment)


def subscription(*topics: str) -> bytes:
    return encode_subscription(ConsumerProtocolSubscription(topics=list(topics)))


def settle(dialogue: Dialogue, settings: MembershipSettings = EAGER, *numbers: int) -> None:
    """A member of generation 1 that owns these partitions of t."""
    dialogue.begin(ClassicMembership(settings), "t")
    take_generation(dialogue, settings, *numbers)


def take_generation(
    dialogue: Dialogue, settings: MembershipSettings, *numbers: int, generation: int = 1
) -> None:
    dialogue.asked(JoinGroupResponse)
    dialogue.answer(joined(settings, generation=generation))
    dialogue.asked(SyncGroupResponse)
    dialogue.answer(synced(*numbers))
    dialogue.apply()
    dialogue.events.clear()


def beat(dialogue: Dialogue, answer: Any) -> None:
    dialogue.go_on(EAGER.heartbeat_interval_ms)
    dialogue.asked(HeartbeatResponse)
    if isinstance(answer, int):
        answer = HeartbeatResponse(error_code=answer)
    dialogue.answer(answer)


def test_a_member_gets_its_id_first_and_joins_with_it(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(EAGER), "t")
    request = dialogue.asked(JoinGroupResponse)
    assert request.member_id == ""
    assert [each.name for each in request.protocols] == ["range", "roundrobin"]
    assert decode_subscription(request.protocols[0].metadata).topics == ["t"]
    dialogue.answer(joined(error=ErrorCode.MEMBER_ID_REQUIRED))
    assert dialogue.asked(JoinGroupResponse).member_id == "me"


def test_a_follower_learns_its_assignment(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(EAGER), "t")
    dialogue.asked(JoinGroupResponse)
    dialogue.answer(joined(generation=7))
    request = dialogue.asked(SyncGroupResponse)
    assert (request.generation_id, request.member_id, request.assignments) == (7, "me", [])
    dialogue.answer(synced(0, 2))
    assert dialogue.heard(Joined) == [Joined(GroupMetadata("g", 7, "me", None))]
    assert dialogue.heard(Assign) == [Assign((("t", 0), ("t", 2)), is_incremental=False)]
    assert dialogue.core.assignment == {("t", 0), ("t", 2)}


def test_the_leader_asks_for_the_topics_of_all_and_assigns(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(EAGER), "t")
    dialogue.asked(JoinGroupResponse)
    members = [
        JoinedMember(member_id="me", metadata=subscription("t")),
        JoinedMember(member_id="you", metadata=subscription("t", "u")),
        JoinedMember(member_id="mad", metadata=b"\xff"),
    ]
    dialogue.answer(joined(leader="me", members=members))
    assert dialogue.heard(WantTopics)[-1].topics == {"t", "u"}
    question = dialogue.asked(MetadataResponse)
    assert [each.name for each in question.topics] == ["t", "u"]
    assert not question.allow_auto_topic_creation
    dialogue.answer(dialogue.metadata({"t": 2, "u": 1}))
    sent = {
        each.member_id: [
            (topic.topic, list(topic.partitions))
            for topic in decode_assignment(each.assignment).assigned_partitions
        ]
        for each in dialogue.asked(SyncGroupResponse).assignments
    }
    assert sent == {"me": [("t", [0])], "you": [("t", [1]), ("u", [0])], "mad": []}


def test_a_leader_without_answer_asks_again_later(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(EAGER), "t")
    dialogue.asked(JoinGroupResponse)
    members = [JoinedMember(member_id="me", metadata=subscription("t"))]
    dialogue.answer(joined(leader="me", members=members))
    dialogue.asked(MetadataResponse)
    dialogue.answer(KafkaError(KafkaError._TRANSPORT))
    assert not dialogue.is_asked(MetadataResponse)
    dialogue.go_on(100)
    dialogue.asked(MetadataResponse)
    dialogue.answer(dialogue.metadata({"t": 1}))
    assert len(dialogue.asked(SyncGroupResponse).assignments) == 1


def test_a_static_leader_that_comes_back_leaves_the_assignment_alone(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(STATIC), "t")
    dialogue.asked(JoinGroupResponse)
    members = [JoinedMember(member_id="me", metadata=subscription("t"))]
    dialogue.answer(joined(leader="me", members=members, skip_assignment=True))
    dialogue.asked(MetadataResponse)
    dialogue.answer(dialogue.metadata({"t": 3}))
    assert dialogue.asked(SyncGroupResponse).assignments == []
    dialogue.answer(synced(0))
    dialogue.apply()
    # It watches the topics all the same.
    dialogue.show({"t": 3})
    assert not dialogue.is_asked(JoinGroupResponse)


def test_an_older_broker_is_told_only_what_it_knows(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(STATIC._replace(rack="r")), "t")
    request = dialogue.asked(JoinGroupResponse, version=3)
    assert request.group_instance_id is None
    assert request.encode(3)
    dialogue.answer(joined())
    assert dialogue.asked(SyncGroupResponse, version=2).encode(2)
    dialogue.answer(synced(0))
    dialogue.apply()
    dialogue.go_on(3_000)
    assert dialogue.asked(HeartbeatResponse, version=2).encode(2)
    dialogue.core.unsubscribe(dialogue.now_ms)
    dialogue.go_on()
    dialogue.apply()
    request = dialogue.asked(LeaveGroupResponse, version=2)
    assert request.member_id == "me"
    assert request.encode(2)


def test_a_new_broker_hears_the_rack_the_instance_and_the_reason(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(STATIC._replace(rack="r")), "t")
    request = dialogue.asked(JoinGroupResponse)
    assert (request.group_instance_id, request.reason) == ("i", "the consumer subscribed")
    assert decode_subscription(request.protocols[0].metadata).rack_id == "r"


@pytest.mark.parametrize(
    ("name", "value"),
    [("protocol_name", "mine"), ("protocol_name", None), ("protocol_type", "connect"),
     ("generation_id", -5), ("member_id", "")],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_refused(
    dialogue: Dialogue, name: str, value: Any
) -> None:
    dialogue.begin(ClassicMembership(EAGER), "t")
    dialogue.asked(JoinGroupResponse)
    answer = joined()
    setattr(answer, name, value)
    dialogue.answer(answer)
    assert not dialogue.is_asked(SyncGroupResponse)
    (failure,) = dialogue.heard(Failed)
    assert failure.error.code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL


def test_an_assignment_that_makes_no_sense_is_refused(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(EAGER), "t")
    dialogue.asked(JoinGroupResponse)
    dialogue.answer(joined())
    dialogue.asked(SyncGroupResponse)
    dialogue.answer(SyncGroupResponse(error_code=0, assignment=b"\x00\x01\x7f\xff\xff\xff"))
    assert dialogue.heard(Assign) == []
    assert len(dialogue.heard(Failed)) == 1
    dialogue.go_on(1_000)
    assert dialogue.is_asked(JoinGroupResponse)


@pytest.mark.parametrize("code", [ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE])
def test_another_coordinator_is_looked_for(dialogue: Dialogue, code: ErrorCode) -> None:
    dialogue.begin(ClassicMembership(EAGER), "t")
    dialogue.asked(JoinGroupResponse)
    dialogue.answer(joined(error=code))
    assert len(dialogue.heard(CoordinatorUnknown)) == 1
    assert not dialogue.is_asked(JoinGroupResponse)
    dialogue.go_on(100)
    assert dialogue.is_asked(JoinGroupResponse)


def test_a_loading_coordinator_is_asked_again_in_silence(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(EAGER), "t")
    for _ in range(3):
        dialogue.asked(JoinGroupResponse)
        dialogue.answer(joined(error=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS))
        dialogue.go_on(1_000)
    assert dialogue.is_asked(JoinGroupResponse)
    assert not dialogue.heard(Failed)
    assert not dialogue.heard(CoordinatorUnknown)


def test_a_refusal_is_told_once_and_tried_again(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(EAGER), "t")
    for _ in range(3):
        dialogue.asked(JoinGroupResponse)
        dialogue.answer(joined(error=ErrorCode.GROUP_AUTHORIZATION_FAILED))
        dialogue.go_on(1_000)
    (failure,) = dialogue.heard(Failed)
    assert failure.error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    assert failure.error.str() == "JoinGroup failed: Broker: Group authorization failed"


def test_a_forgotten_member_comes_back_as_a_new_one(dialogue: Dialogue) -> None:
    settle(dialogue, EAGER, 0)
    beat(dialogue, ErrorCode.UNKNOWN_MEMBER_ID)
    assert dialogue.heard(Lost) == [Lost((("t", 0),))]
    assert dialogue.core.is_lost
    assert not dialogue.is_asked(JoinGroupResponse)
    dialogue.apply()
    assert dialogue.core.assignment == frozenset()
    assert dialogue.asked(JoinGroupResponse).member_id == ""


def test_who_missed_a_generation_keeps_its_id_and_loses_its_partitions(dialogue: Dialogue) -> None:
    settle(dialogue, EAGER, 0)
    beat(dialogue, ErrorCode.ILLEGAL_GENERATION)
    assert dialogue.heard(Lost) == [Lost((("t", 0),))]
    dialogue.apply()
    assert dialogue.asked(JoinGroupResponse).member_id == "me"


def test_a_fenced_instance_is_dead(dialogue: Dialogue) -> None:
    settle(dialogue, STATIC, 0)
    beat(dialogue, ErrorCode.FENCED_INSTANCE_ID)
    (fatal,) = dialogue.heard(Fatal)
    assert fatal.error.fatal()
    assert fatal.error.str().startswith("Fatal consumer error: Broker: Static consumer fenced")
    assert len(dialogue.heard(Lost)) == 1
    dialogue.apply()
    dialogue.core.subscribe(Subscription.of(["t"]), dialogue.now_ms)
    dialogue.go_on(100_000)
    assert not dialogue.is_asked(JoinGroupResponse)


def test_eager_members_give_up_everything_before_they_join(dialogue: Dialogue) -> None:
    settle(dialogue, EAGER, 0, 1)
    beat(dialogue, ErrorCode.REBALANCE_IN_PROGRESS)
    assert dialogue.heard(Revoke) == [Revoke((("t", 0), ("t", 1)), is_incremental=False)]
    assert not dialogue.is_asked(JoinGroupResponse)
    dialogue.apply()
    request = dialogue.asked(JoinGroupResponse)
    assert decode_subscription(request.protocols[0].metadata).owned_partitions == []
    assert request.reason == "the group is rebalancing"


def test_heartbeats_go_on_while_the_application_is_slow(dialogue: Dialogue) -> None:
    settle(dialogue, EAGER, 0)
    beat(dialogue, ErrorCode.REBALANCE_IN_PROGRESS)
    for _ in range(40):
        beat(dialogue, ErrorCode.REBALANCE_IN_PROGRESS)
    assert dialogue.heard(Lost) == []
    assert len(dialogue.heard(Revoke)) == 1


def test_cooperative_members_keep_what_they_have(dialogue: Dialogue) -> None:
    settle(dialogue, COOPERATIVE, 0, 1)
    beat(dialogue, ErrorCode.REBALANCE_IN_PROGRESS)
    request = dialogue.asked(JoinGroupResponse)
    told = decode_subscription(request.protocols[0].metadata)
    assert [(each.topic, list(each.partitions)) for each in told.owned_partitions] == [
        ("t", [0, 1])
    ]
    assert told.generation_id == 1
    dialogue.answer(joined(COOPERATIVE, generation=2))
    dialogue.asked(SyncGroupResponse)
    dialogue.answer(synced(1, 2))
    # First what goes, then what comes, then another round for whoever gets what went.
    assert dialogue.heard(Revoke) == [Revoke((("t", 0),), is_incremental=True)]
    assert dialogue.heard(Assign) == []
    assert dialogue.core.assignment == {("t", 0), ("t", 1)}
    dialogue.apply()
    assert dialogue.heard(Assign) == [Assign((("t", 2),), is_incremental=True)]
    assert not dialogue.is_asked(JoinGroupResponse)
    dialogue.apply()
    assert dialogue.core.assignment == {("t", 1), ("t", 2)}
    told = decode_subscription(dialogue.asked(JoinGroupResponse).protocols[0].metadata)
    assert told.generation_id == 2


def test_a_cooperative_member_that_gives_nothing_up_stays(dialogue: Dialogue) -> None:
    settle(dialogue, COOPERATIVE, 0)
    beat(dialogue, ErrorCode.REBALANCE_IN_PROGRESS)
    take_generation(dialogue, COOPERATIVE, 0, generation=2)
    dialogue.go_on()
    assert not dialogue.is_asked(JoinGroupResponse)


def test_topics_nobody_wants_any_more_are_given_up_before_joining(dialogue: Dialogue) -> None:
    settle(dialogue, COOPERATIVE, 0)
    dialogue.subscribe("u")
    assert dialogue.heard(Revoke) == [Revoke((("t", 0),), is_incremental=True)]
    dialogue.apply()
    told = decode_subscription(dialogue.asked(JoinGroupResponse).protocols[0].metadata)
    assert (told.topics, told.owned_partitions) == (["u"], [])


def test_mixed_assignors_are_spoken_eagerly_while_a_group_is_upgraded(dialogue: Dialogue) -> None:
    settings = EAGER._replace(assignors=("cooperative-sticky", "range"))
    settle(dialogue, settings, 0)
    assert dialogue.core.rebalance_protocol == "EAGER"
    beat(dialogue, ErrorCode.REBALANCE_IN_PROGRESS)
    assert dialogue.heard(Revoke) == [Revoke((("t", 0),), is_incremental=False)]


def test_a_sync_that_is_overtaken_joins_again_at_once(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(EAGER), "t")
    dialogue.asked(JoinGroupResponse)
    dialogue.answer(joined())
    dialogue.asked(SyncGroupResponse)
    dialogue.answer(synced(error=ErrorCode.REBALANCE_IN_PROGRESS))
    assert dialogue.is_asked(JoinGroupResponse)


def test_a_revocation_can_turn_into_a_loss(dialogue: Dialogue) -> None:
    settle(dialogue, COOPERATIVE, 0, 1)
    beat(dialogue, ErrorCode.REBALANCE_IN_PROGRESS)
    dialogue.asked(JoinGroupResponse)
    dialogue.answer(joined(COOPERATIVE, generation=2))
    dialogue.asked(SyncGroupResponse)
    dialogue.answer(synced(1))
    assert len(dialogue.heard(Revoke)) == 1
    assert not dialogue.core.is_lost
    beat(dialogue, ErrorCode.UNKNOWN_MEMBER_ID)
    assert dialogue.core.is_lost
    assert dialogue.heard(Lost) == []
    dialogue.apply()
    assert dialogue.heard(Lost) == [Lost((("t", 1),))]
    dialogue.apply()
    assert dialogue.heard(Assign) == []
    assert dialogue.asked(JoinGroupResponse).member_id == ""


def test_the_leader_joins_again_when_topics_grow_or_go(dialogue: Dialogue) -> None:
    for change in ({"t": 2, "u": 3}, {"t": 2, "u": 0}, {"t": 3, "u": 1}):
        dialogue.__init__()  # type: ignore[misc]
        dialogue.begin(ClassicMembership(EAGER), "t")
        dialogue.asked(JoinGroupResponse)
        members = [JoinedMember(member_id="me", metadata=subscription("t", "u"))]
        dialogue.answer(joined(leader="me", members=members))
        dialogue.asked(MetadataResponse)
        dialogue.answer(dialogue.metadata({"t": 2, "u": 1}))
        dialogue.asked(SyncGroupResponse)
        dialogue.answer(synced(0))
        dialogue.apply()
        dialogue.show({"t": 2, "u": 1})
        assert dialogue.heard(Revoke) == []
        dialogue.show(change)
        assert len(dialogue.heard(Revoke)) == 1
        dialogue.apply()
        assert dialogue.asked(JoinGroupResponse).reason == "the group's topics changed"


def test_a_view_that_lags_behind_the_assignment_is_no_change(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(EAGER), "t")
    dialogue.asked(JoinGroupResponse)
    members = [JoinedMember(member_id="me", metadata=subscription("t"))]
    dialogue.answer(joined(leader="me", members=members))
    dialogue.asked(MetadataResponse)
    dialogue.answer(dialogue.metadata({"t": 4}))
    dialogue.asked(SyncGroupResponse)
    dialogue.answer(synced(0))
    dialogue.apply()
    for count in (2, 2, 4):
        dialogue.show({"t": count})
    assert not dialogue.heard(Revoke)


def test_patterns_wait_for_the_topics_and_follow_them(dialogue: Dialogue) -> None:
    settings = EAGER._replace(excluded_topics=("^ab.*",))
    dialogue.begin(ClassicMembership(settings), "^a", "z")
    assert dialogue.heard(WantTopics)[-1] == WantTopics(frozenset({"z"}), all_topics=True)
    assert not dialogue.is_asked(JoinGroupResponse)
    dialogue.show({"a": 1, "ab": 1, "ba": 1})
    told = decode_subscription(dialogue.asked(JoinGroupResponse).protocols[0].metadata)
    assert told.topics == ["a"]
    dialogue.answer(joined())
    dialogue.asked(SyncGroupResponse)
    dialogue.answer(synced(0))
    dialogue.apply()
    dialogue.show({"a": 1, "ac": 1, "ba": 1, "z": 1})
    dialogue.apply()
    request = dialogue.asked(JoinGroupResponse)
    assert decode_subscription(request.protocols[0].metadata).topics == ["a", "ac", "z"]
    assert request.reason == "topics of the subscription came or went"


def test_nobody_joins_for_topics_that_do_not_exist(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(EAGER))
    dialogue.core.subscribe(Subscription.of(["t"]), dialogue.now_ms)
    for topics in ({}, {"t": 0}):
        dialogue.core.metadata_changed(dialogue.view_of(topics), dialogue.now_ms)
        dialogue.go_on(60_000)
        assert not dialogue.is_asked(JoinGroupResponse)
        assert dialogue.core.next_deadline_ms() > dialogue.now_ms
    dialogue.show({"t": 1})
    assert dialogue.is_asked(JoinGroupResponse)


def test_a_missing_topic_is_told_once(dialogue: Dialogue) -> None:
    settle(dialogue, EAGER, 0)
    dialogue.show({"t": 0})
    # Not every broker may know yet of a topic just made.
    assert dialogue.heard(Failed) == []
    for count in (0, 0, 1, 0, 0):
        dialogue.now_ms += 300
        dialogue.show({"t": count})
    failures = dialogue.heard(Failed)
    assert [each.topic for each in failures] == ["t", "t"]
    assert failures[0].error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert failures[0].error.str() == (
        "Subscribed topic not available: t: Broker: Unknown topic or partition"
    )


@pytest.mark.parametrize("code", sorted(UNREACHABLE))
def test_without_answers_the_session_is_over(dialogue: Dialogue, code: int) -> None:
    settle(dialogue, EAGER, 0)
    beat(dialogue, ErrorCode.NONE)
    heard_ms = dialogue.now_ms
    beat(dialogue, KafkaError(code))
    assert (dialogue.heard(Failed), len(dialogue.heard(CoordinatorUnknown))) == ([], 1)
    dialogue.go_on(heard_ms + EAGER.session_timeout_ms - 1 - dialogue.now_ms)
    assert dialogue.heard(Lost) == []
    assert dialogue.core.next_deadline_ms() <= dialogue.now_ms + 1
    dialogue.go_on(1)
    [_] = dialogue.heard(Lost)
    dialogue.apply()
    assert dialogue.asked(JoinGroupResponse).member_id == ""


def test_who_does_not_poll_leaves_until_it_does(dialogue: Dialogue) -> None:
    settings = EAGER._replace(max_poll_interval_ms=10_000, session_timeout_ms=100_000)
    settle(dialogue, settings, 0)
    dialogue.core.polled(dialogue.now_ms)
    dialogue.go_on(10_000)
    assert dialogue.heard(Failed) == []
    dialogue.go_on(7)
    (failure,) = dialogue.heard(Failed)
    assert failure.error.code() == KafkaError._MAX_POLL_EXCEEDED
    assert failure.error.str() == "Application maximum poll interval (10000ms) exceeded by 7ms"
    assert [each.member_id for each in dialogue.asked(LeaveGroupResponse).members] == ["me"]
    assert len(dialogue.heard(Lost)) == 1
    dialogue.apply()
    dialogue.go_on(100_000)
    assert dialogue.core.awaits_poll
    assert not dialogue.is_asked(JoinGroupResponse)
    dialogue.core.polled(dialogue.now_ms)
    dialogue.go_on()
    assert dialogue.asked(JoinGroupResponse).member_id == ""


def test_a_static_member_that_does_not_poll_does_not_leave(dialogue: Dialogue) -> None:
    settle(dialogue, STATIC._replace(max_poll_interval_ms=10_000), 0)
    dialogue.go_on(10_001)
    assert len(dialogue.heard(Lost)) == 1
    assert not dialogue.is_asked(LeaveGroupResponse)


def test_a_poll_that_takes_its_time_is_no_missing_poll(dialogue: Dialogue) -> None:
    settle(dialogue, EAGER._replace(max_poll_interval_ms=10_000), 0)
    dialogue.core.polled(float("inf"))
    dialogue.go_on(20_000)
    assert dialogue.heard(Failed) == []


def test_commits_tell_of_lost_memberships(dialogue: Dialogue) -> None:
    settle(dialogue, EAGER, 0)
    now = dialogue.core.metadata
    before = now._replace(generation_id=0)
    dialogue.core.commit_failed(ErrorCode.ILLEGAL_GENERATION, before, dialogue.now_ms)
    dialogue.go_on()
    assert dialogue.heard(Lost) == []
    dialogue.core.commit_failed(ErrorCode.REBALANCE_IN_PROGRESS, now, dialogue.now_ms)
    dialogue.go_on()
    assert len(dialogue.heard(Revoke)) == 1
    dialogue.core.commit_failed(ErrorCode.ILLEGAL_GENERATION, now, dialogue.now_ms)
    assert dialogue.core.is_lost


def test_leaving_gives_up_everything_first(dialogue: Dialogue) -> None:
    settle(dialogue, EAGER, 0)
    dialogue.core.close(dialogue.now_ms)
    dialogue.go_on()
    assert dialogue.heard(Revoke) == [Revoke((("t", 0),), is_incremental=False)]
    assert not dialogue.is_asked(LeaveGroupResponse)
    dialogue.apply()
    assert dialogue.asked(LeaveGroupResponse).members[0].member_id == "me"
    assert dialogue.heard(Left) == []
    dialogue.answer(LeaveGroupResponse(error_code=0))
    assert dialogue.heard(Left) == [Left()]
    assert dialogue.core.next_deadline_ms() is None


def test_a_static_member_closes_without_leaving_but_unsubscribes_for_good(
    dialogue: Dialogue,
) -> None:
    settle(dialogue, STATIC, 0)
    dialogue.core.close(dialogue.now_ms)
    dialogue.go_on()
    dialogue.apply()
    assert dialogue.heard(Left) == [Left()]
    assert not dialogue.is_asked(LeaveGroupResponse)
    dialogue.subscribe("t")
    take_generation(dialogue, STATIC, 0, generation=2)
    dialogue.core.unsubscribe(dialogue.now_ms)
    dialogue.go_on()
    dialogue.apply()
    assert dialogue.asked(LeaveGroupResponse).members[0].group_instance_id == "i"


def test_who_leaves_before_it_has_an_id_waits_for_it(dialogue: Dialogue) -> None:
    dialogue.begin(ClassicMembership(EAGER), "t")
    dialogue.asked(JoinGroupResponse)
    dialogue.core.close(dialogue.now_ms)
    dialogue.go_on()
    assert dialogue.heard(Left) == []
    dialogue.answer(joined(error=ErrorCode.MEMBER_ID_REQUIRED))
    assert dialogue.asked(LeaveGroupResponse).members[0].member_id == "me"


def test_who_was_never_in_has_nothing_to_leave() -> None:
    core = ClassicMembership(EAGER)
    core.close(0)
    assert core.events() == [Left()]


def test_subscribing_while_leaving_stays(dialogue: Dialogue) -> None:
    settle(dialogue, EAGER, 0)
    dialogue.core.unsubscribe(dialogue.now_ms)
    dialogue.go_on()
    dialogue.subscribe("u")
    dialogue.apply()
    assert not dialogue.is_asked(LeaveGroupResponse)
    assert dialogue.asked(JoinGroupResponse).member_id == "me"
