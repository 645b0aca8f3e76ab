"""JoinGroup, SyncGroup, Heartbeat, LeaveGroup (keys 11-14) in every version, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinProtocol
from ottla.wire.api.k12_heartbeat import HeartbeatRequest
from ottla.wire.api.k13_leave_group import LeaveGroupRequest, LeavingMember
from ottla.wire.api.k14_sync_group import MemberAssignment, SyncGroupRequest
from ottla.wire.apis import APIS
from ottla.wire.errors import ErrorCode


def join(
    connection: Connection, group: str, version: int, member_id: str = "", **fields: Any
) -> Any:
    given: dict[str, Any] = {
        "session_timeout_ms": 10_000,
        "rebalance_timeout_ms": 10_000,
        "protocol_type": "test",
        "protocols": [JoinProtocol(name="p", metadata=b"what I want")],
        **fields,
    }
    request = JoinGroupRequest(group_id=group, member_id=member_id, **given)
    response = connection.ask(request, version)
    if response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
        assert version >= 4, "KIP-394 begins with version 4"
        return join(connection, group, version, response.member_id, **fields)
    return response


def sync(connection: Connection, group: str, version: int, joined: Any, what: bytes) -> Any:
    request = SyncGroupRequest(
        group_id=group,
        generation_id=joined.generation_id,
        member_id=joined.member_id,
        protocol_type="test",
        protocol_name="p",
        assignments=[MemberAssignment(member_id=joined.member_id, assignment=what)],
    )
    return connection.ask(request, version)


def heartbeat(connection: Connection, group: str, version: int, joined: Any) -> int:
    request = HeartbeatRequest(
        group_id=group, generation_id=joined.generation_id, member_id=joined.member_id
    )
    return int(connection.ask(request, version).error_code)


def leave(connection: Connection, group: str, version: int, member_id: str) -> Any:
    if version >= 3:
        request = LeaveGroupRequest(group_id=group, members=[LeavingMember(member_id=member_id)])
    else:
        request = LeaveGroupRequest(group_id=group, member_id=member_id)
    return connection.ask(request, version)


@pytest.mark.parametrize("version", APIS[11].versions)
def test_a_life_in_a_group(version: int, connection: Connection, group: str) -> None:
    """The other APIs are asked in the version of the same age."""
    joined = join(connection, group, version)
    assert joined.error_code == ErrorCode.NONE
    assert joined.generation_id == 1
    assert joined.leader == joined.member_id
    assert joined.protocol_name == "p"
    assert joined.protocol_type == ("test" if version >= 7 else None)
    assert [member.metadata for member in joined.members] == [b"what I want"]
    synced = sync(connection, group, min(version, APIS[14].max_version), joined, b"yours")
    assert (synced.error_code, synced.assignment) == (ErrorCode.NONE, b"yours")
    beat_version = min(version, APIS[12].max_version)
    assert heartbeat(connection, group, beat_version, joined) == ErrorCode.NONE
    leave_version = min(version, APIS[13].max_version)
    left = leave(connection, group, leave_version, joined.member_id)
    assert left.error_code == ErrorCode.NONE
    assert heartbeat(connection, group, beat_version, joined) == ErrorCode.UNKNOWN_MEMBER_ID
    again = leave(connection, group, leave_version, joined.member_id)
    codes = [m.error_code for m in again.members] if leave_version >= 3 else [again.error_code]
    assert codes == [ErrorCode.UNKNOWN_MEMBER_ID]


def test_a_second_member_makes_the_first_join_again(
    bootstrap: str, connection: Connection, group: str
) -> None:
    first = join(connection, group, 9)
    sync(connection, group, 5, first, b"all")
    with Connection(bootstrap) as other:
        asked = other.ask(
            JoinGroupRequest(
                group_id=group,
                member_id="",
                session_timeout_ms=10_000,
                rebalance_timeout_ms=10_000,
                protocol_type="test",
                protocols=[JoinProtocol(name="p", metadata=b"me too")],
            ),
            9,
        )
        assert asked.error_code == ErrorCode.MEMBER_ID_REQUIRED
        other.send(
            JoinGroupRequest(
                group_id=group,
                member_id=asked.member_id,
                session_timeout_ms=10_000,
                rebalance_timeout_ms=10_000,
                protocol_type="test",
                protocols=[JoinProtocol(name="p", metadata=b"me too")],
            ),
            9,
        )
        eventually(
            lambda: heartbeat(connection, group, 4, first) == ErrorCode.REBALANCE_IN_PROGRESS,
            what="the first member hears of it",
        )
        rejoined = join(connection, group, 9, first.member_id)
        second = other.receive()
    assert rejoined.generation_id == second.generation_id == 2
    assert rejoined.leader == second.leader == first.member_id
    assert len(rejoined.members) == 2
    assert second.members == []
    # The follower waits for the leader's assignment; a stale generation is refused.
    assert heartbeat(connection, group, 4, first) == ErrorCode.ILLEGAL_GENERATION


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"session_timeout_ms": 1}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"session_timeout_ms": 100_000_000}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"protocols": []}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": ""}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
    ids=["too short", "too long", "no protocols", "no protocol type", "unknown member"],
)
def test_bad_joins_are_refused(
    fields: dict[str, Any], code: ErrorCode, connection: Connection, group: str
) -> None:
    member_id = fields.pop("member_id", "")
    assert join(connection, group, 9, member_id, **fields).error_code == code


def test_an_empty_group_id_is_refused(connection: Connection, group: str) -> None:
    assert join(connection, "", 9).error_code == ErrorCode.INVALID_GROUP_ID


def test_members_must_agree(bootstrap: str, connection: Connection, group: str) -> None:
    join(connection, group, 9)
    with Connection(bootstrap) as other:
        odd_type = join(other, group, 9, protocol_type="other")
        assert odd_type.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        odd_name = join(other, group, 9, protocols=[JoinProtocol(name="q", metadata=b"")])
        assert odd_name.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_a_second_instance_fences_the_first(
    bootstrap: str, connection: Connection, group: str
) -> None:
    first = join(connection, group, 9, group_instance_id="one")
    sync(connection, group, 5, first, b"mine")
    with Connection(bootstrap) as other:
        second = join(other, group, 9, group_instance_id="one")
    # It takes the place without a new generation; the assignment stays (KIP-814).
    assert second.error_code == ErrorCode.NONE
    assert second.generation_id == first.generation_id
    assert second.member_id != first.member_id
    request = HeartbeatRequest(
        group_id=group,
        generation_id=first.generation_id,
        member_id=first.member_id,
        group_instance_id="one",
    )
    assert connection.ask(request, 4).error_code == ErrorCode.FENCED_INSTANCE_ID
