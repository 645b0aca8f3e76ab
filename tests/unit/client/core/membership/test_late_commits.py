"""Commits that are refused when their sender is somebody else already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.client.core.membership.membership import Fatal, Lost
from ottla.wire.api.k11_join_group import JoinGroupResponse
from ottla.wire.errors import ErrorCode

from .test_classic import STATIC, joined, settle

if TYPE_CHECKING:
    from conftest import Dialogue


def test_a_commit_of_a_former_membership_fences_nobody(dialogue: Dialogue) -> None:
    settle(dialogue, STATIC, 0)
    former = dialogue.core.metadata
    dialogue.go_on(STATIC.session_timeout_ms)
    assert len(dialogue.heard(Lost)) == 1
    dialogue.apply()
    dialogue.asked(JoinGroupResponse)
    answer = joined(STATIC, generation=2)
    answer.member_id = "me-again"
    dialogue.answer(answer)
    dialogue.core.commit_failed(ErrorCode.FENCED_INSTANCE_ID, former, dialogue.now_ms)
    dialogue.go_on()
    assert dialogue.heard(Fatal) == []


def test_a_commit_of_this_membership_fences_it(dialogue: Dialogue) -> None:
    settle(dialogue, STATIC, 0)
    sent_as = dialogue.core.metadata
    dialogue.core.commit_failed(ErrorCode.FENCED_INSTANCE_ID, sent_as, dialogue.now_ms)
    dialogue.go_on()
    assert len(dialogue.heard(Fatal)) == 1
