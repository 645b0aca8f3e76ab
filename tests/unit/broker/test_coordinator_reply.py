"""A command's answer finds its connection without a task, and never in the middle of a decision."""

from __future__ import annotations

import asyncio
from typing import Any

from ottla.broker.coordinator_reply import CoordinatorReply
from ottla.wire.errors import ErrorCode, ProtocolError


def refused(error: ProtocolError) -> str:
    return f"refused: {error.code.name}"


def test_an_answer_that_is_there_is_sent_at_once() -> None:
    reply = CoordinatorReply(refused)
    assert not reply.done()
    reply.set_result("joined")
    sent: list[Any] = []
    reply.then(sent.append)
    assert (reply.done(), sent) == (True, ["joined"])


def test_an_answer_that_comes_later_has_a_turn_of_its_own() -> None:
    async def story() -> None:
        reply = CoordinatorReply(refused)
        sent: list[Any] = []
        reply.then(sent.append)
        reply.set_result("joined")
        assert sent == [], "the shard is still at work"
        await asyncio.sleep(0)
        assert sent == ["joined"]

    asyncio.run(story())


def test_a_decision_that_could_not_be_written_is_refused() -> None:
    async def story() -> None:
        reply = CoordinatorReply(refused)
        sent: list[Any] = []
        reply.then(sent.append)
        reply.set_exception(ProtocolError(ErrorCode.COORDINATOR_NOT_AVAILABLE))
        await asyncio.sleep(0)
        assert sent == ["refused: COORDINATOR_NOT_AVAILABLE"]

    asyncio.run(story())
