"""A group's first generation: joining, the initial delay, syncing."""

from __future__ import annotations

from typing import Any

from ottla.wire.errors import ErrorCode


def test_one_member_joins_syncs_and_heartbeats(desk: Any) -> None:
    member_id, parked = desk.join_known(client_id="billing")
    assert member_id.startswith("billing-")
    assert desk.is_parked(parked)
    assert desk.state() == "PreparingRebalance"
    desk.wait(2_999)
    assert desk.is_parked(parked)
    desk.wait(1)
    joined = desk.answer(parked)
    assert (joined.error_code, joined.generation_id) == (ErrorCode.NONE, 1)
    assert (joined.leader, joined.member_id) == (member_id, member_id)
    assert (joined.protocol_type, joined.protocol_name) == ("consumer", "range")
    assert [member.member_id for member in joined.members] == [member_id]
    assert desk.state() == "CompletingRebalance"
    synced = desk.sync(member_id, 1, {member_id: b"all"})
    assert (synced.error_code, synced.assignment) == (ErrorCode.NONE, b"all")
    assert desk.state() == "Stable"
    assert desk.heartbeat(member_id, 1) == ErrorCode.NONE
    assert len(desk.log) == 1
