"""Members of classic groups, removed from outside (KIP-345)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ottla.client.admin.groups import MemberToRemove
from ottla.client.core.admin.call import NOT_MENTIONED, Call, Operation, Outcomes, ask_one
from ottla.client.core.admin.outcomes import error_of, raise_for
from ottla.client.core.admin.routes import Coordinators
from ottla.client.errors import KafkaError
from ottla.wire.api.k13_leave_group import (
    DepartedMember,
    LeaveGroupRequest,
    LeaveGroupResponse,
    LeavingMember,
)

_FIRST_WITH_MEMBERS = 3


def remove_group_members(
    group_id: str, members: Collection[MemberToRemove], reason: str | None
) -> Operation[Outcomes[MemberToRemove, None]]:
    """Take members out of a classic group."""

    def request(_: Sequence[str]) -> LeaveGroupRequest:
        return LeaveGroupRequest(
            group_id=group_id,
            members=[
                LeavingMember(
                    member_id=member.member_id or "",
                    group_instance_id=member.group_instance_id,
                    reason=reason,
                )
                for member in members
            ],
        )

    def read(
        answer: LeaveGroupResponse, keys: Sequence[str]
    ) -> Iterable[tuple[str, Outcomes[MemberToRemove, None] | KafkaError]]:
        raise_for(answer.error_code)
        yield keys[0], {member: _outcome(member, answer.members) for member in members}

    call = Call(
        [group_id], Coordinators(), request, LeaveGroupResponse, read, at_least=_FIRST_WITH_MEMBERS
    )
    return ask_one(call)


def _outcome(member: MemberToRemove, departed: Iterable[DepartedMember]) -> KafkaError | None:
    for found in departed:
        is_meant = found.group_instance_id == member.group_instance_id and (
            member.member_id is None or found.member_id == member.member_id
        )
        if is_meant:
            return error_of(found.error_code)
    return NOT_MENTIONED
