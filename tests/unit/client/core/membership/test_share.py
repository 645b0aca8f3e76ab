"""The member of a share group (KIP-932): it takes and leaves what the coordinator says."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from ottla.client.core.cluster import ClusterView
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
    WantTopics,
)
from ottla.client.core.membership.settings import MembershipSettings
from ottla.client.core.sharing.membership import ShareMembership
from ottla.client.errors import KafkaError
from ottla.wire.api.k03_metadata import DescribedTopic, MetadataResponse
from ottla.wire.api.k76_share_group_heartbeat import (
    AssignedTopic,
    Assignment,
    ShareGroupHeartbeatResponse,
)
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from conftest import Dialogue

SETTINGS = MembershipSettings("g", rack="r", max_poll_interval_ms=60_000)
T, U = uuid.UUID(int=101), uuid.UUID(int=102)
INTERVAL_MS = 5_000


def known_cluster() -> ClusterView:
    view = ClusterView()
    topics = [
        DescribedTopic(error_code=0, name=name, topic_id=topic_id, partitions=[])
        for name, topic_id in (("t", T), ("u", U))
    ]
    view.update(MetadataResponse(brokers=[], topics=topics), is_complete=True)
    return view


def heard(epoch: int = 1, error: int = 0, **topics: list[int]) -> ShareGroupHeartbeatResponse:
    ids = {"t": T, "u": U}
    assigned = [
        AssignedTopic(topic_id=ids[name], partitions=numbers) for name, numbers in topics.items()
    ]
    return ShareGroupHeartbeatResponse(
        error_code=error,
        member_id="me",
        member_epoch=epoch,
        heartbeat_interval_ms=INTERVAL_MS,
        assignment=Assignment(topic_partitions=assigned) if topics else None,
    )


def begin(dialogue: Dialogue, *topics: str) -> Any:
    dialogue.begin(ShareMembership(SETTINGS, "me", known_cluster()), *(topics or ("t",)))
    return dialogue.asked(ShareGroupHeartbeatResponse)


def beat(dialogue: Dialogue, answer: Any) -> Any:
    if not dialogue.is_asked(ShareGroupHeartbeatResponse):
        dialogue.go_on(INTERVAL_MS)
    request = dialogue.asked(ShareGroupHeartbeatResponse)
    dialogue.answer(answer)
    return request


def settle(dialogue: Dialogue, *numbers: int) -> None:
    begin(dialogue)
    dialogue.answer(heard(t=list(numbers)))
    dialogue.apply()
    dialogue.events.clear()


def test_the_first_heartbeat_says_everything_the_next_nothing(dialogue: Dialogue) -> None:
    first = begin(dialogue, "u", "t")
    assert (first.group_id, first.member_id, first.member_epoch) == ("g", "me", 0)
    assert (first.subscribed_topic_names, first.rack_id) == (["t", "u"], "r")
    dialogue.answer(heard(epoch=3))
    assert dialogue.heard(Joined) == [Joined(GroupMetadata("g", 3, "me", None))]
    dialogue.go_on(INTERVAL_MS - 1)
    assert not dialogue.is_asked(ShareGroupHeartbeatResponse)
    dialogue.go_on(1)
    request = dialogue.asked(ShareGroupHeartbeatResponse)
    assert request.member_epoch == 3
    assert request.subscribed_topic_names is request.rack_id is None


def test_what_comes_and_goes_is_taken_and_left_without_a_word(dialogue: Dialogue) -> None:
    begin(dialogue)
    dialogue.answer(heard(t=[0, 1]))
    assert dialogue.heard(Assign) == [Assign((("t", 0), ("t", 1)), is_incremental=True)]
    dialogue.apply()
    assert not dialogue.is_asked(ShareGroupHeartbeatResponse)
    dialogue.events.clear()
    beat(dialogue, heard(t=[1, 2], u=[0]))
    assert dialogue.heard(Revoke) == [Revoke((("t", 0),), is_incremental=True)]
    dialogue.apply()
    assert dialogue.heard(Assign) == [Assign((("t", 2), ("u", 0)), is_incremental=True)]
    assert dialogue.heard(WantTopics)[-1].topics == {"t", "u"}


def test_another_subscription_is_said_at_once(dialogue: Dialogue) -> None:
    settle(dialogue, 0)
    dialogue.subscribe("u")
    request = dialogue.asked(ShareGroupHeartbeatResponse)
    assert (request.member_epoch, request.subscribed_topic_names) == (1, ["u"])
    assert request.rack_id is None


@pytest.mark.parametrize("code", [ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID])
def test_who_is_expelled_loses_everything_and_joins_again(dialogue: Dialogue, code: int) -> None:
    settle(dialogue, 0)
    beat(dialogue, heard(error=code))
    assert dialogue.heard(Lost) == [Lost((("t", 0),))]
    dialogue.apply()
    request = dialogue.asked(ShareGroupHeartbeatResponse)
    assert (request.member_epoch, request.subscribed_topic_names) == (0, ["t"])


def test_a_coordinator_that_moved_is_found_again_and_told_all(dialogue: Dialogue) -> None:
    settle(dialogue, 0)
    beat(dialogue, heard(error=ErrorCode.NOT_COORDINATOR))
    assert dialogue.heard(CoordinatorUnknown)
    dialogue.go_on(1_000)
    request = dialogue.asked(ShareGroupHeartbeatResponse)
    assert (request.member_epoch, request.subscribed_topic_names) == (1, ["t"])


def test_what_no_other_try_changes_is_fatal(dialogue: Dialogue) -> None:
    settle(dialogue, 0)
    beat(dialogue, heard(error=ErrorCode.GROUP_AUTHORIZATION_FAILED))
    [fatal] = dialogue.heard(Fatal)
    assert fatal.error == ErrorCode.GROUP_AUTHORIZATION_FAILED
    assert fatal.error.str().startswith("ShareGroupHeartbeat fatal error: ")
    dialogue.apply()
    dialogue.go_on(10 * INTERVAL_MS)
    assert not dialogue.is_asked(ShareGroupHeartbeatResponse)


def test_who_does_not_poll_leaves_until_it_does(dialogue: Dialogue) -> None:
    settle(dialogue, 0)
    while dialogue.core.awaits_poll is False:
        dialogue.go_on(INTERVAL_MS)
        request = dialogue.asked(ShareGroupHeartbeatResponse)
        dialogue.answer(heard())
    assert request.member_epoch == -1
    [failed] = dialogue.heard(Failed)
    assert failed.error == KafkaError._MAX_POLL_EXCEEDED
    dialogue.apply()
    dialogue.core.polled(dialogue.now_ms)
    dialogue.go_on()
    assert dialogue.asked(ShareGroupHeartbeatResponse).member_epoch == 0


def test_leaving_is_said_once_nothing_is_read(dialogue: Dialogue) -> None:
    settle(dialogue, 0)
    dialogue.core.close(dialogue.now_ms)
    dialogue.go_on()
    assert dialogue.heard(Revoke) == [Revoke((("t", 0),), is_incremental=True)]
    assert not dialogue.heard(Left)
    dialogue.apply()
    assert dialogue.asked(ShareGroupHeartbeatResponse).member_epoch == -1
    dialogue.answer(heard(epoch=-1))
    assert dialogue.heard(Left)
