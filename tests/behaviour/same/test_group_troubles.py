"""Groups that refuse a member, and members that lose their place."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.testing.side_by_side import Run
from ottla.testing.waiting import eventually

PROTOCOLS = ["classic", "consumer"]
QUICK = {"classic": {"heartbeat.interval.ms": 50}, "consumer": {}}


def errors(run: Run, consumer: Any, count: int) -> None:
    """Poll until so many errors have come, and note them."""
    found: list[Any] = []

    def polled() -> bool:
        message = run.quietly("poll", consumer.poll, 0.05)
        if message is not None:
            error = message.error()
            assert error is not None
            found.append(
                [error.name(), error.str(), error.fatal(), error.retriable(), message.partition()]
            )
        return len(found) == count

    eventually(polled, what=f"{count} errors")
    run.note("errors", *found)


def noted(run: Run) -> dict[str, Any]:
    """Callbacks that note how many partitions they are told of."""

    def callback(label: str) -> Any:
        return lambda _, partitions: run.note(label, len(partitions))

    return {name: callback(name) for name in ("on_assign", "on_revoke", "on_lost")}


def test_another_takes_the_instance_id(run: Run) -> None:
    topic = run.topic(2)
    settings = {
        "group.id": run.name("group"),
        "group.instance.id": "one",
        "heartbeat.interval.ms": 50,
    }
    first, second = run.consumer(settings), run.consumer(settings)
    first.subscribe([topic], **noted(run))
    run.assigned(first, 2)
    second.subscribe([topic])
    run.assigned(second, 2)
    errors(run, first, 1)
    run.call("poll", first.poll, 0.05)
    run.call("assignment", first.assignment)
    run.code_of("commit", lambda: first.commit(asynchronous=False))
    run.call("close", first.close)
    run.call("close", second.close)


def test_an_instance_id_that_is_in_use(run: Run) -> None:
    topic = run.topic(2)
    settings = {
        "group.id": run.name("group"),
        "group.instance.id": "one",
        "group.protocol": "consumer",
    }
    first, second = run.consumer(settings), run.consumer(settings)
    first.subscribe([topic])
    run.assigned(first, 2)
    second.subscribe([topic], **noted(run))
    errors(run, second, 1)
    run.call("first", lambda: sorted(first.assignment()))
    run.call("close", second.close)
    run.call("close", first.close)


def test_an_assignor_that_the_broker_lacks(run: Run) -> None:
    topic = run.topic()
    consumer = run.consumer({"group.protocol": "consumer", "group.remote.assignor": "none"})
    consumer.subscribe([topic], **noted(run))
    errors(run, consumer, 1)
    run.call("close", consumer.close)


def test_a_session_that_the_broker_finds_too_short(run: Run) -> None:
    topic = run.topic()
    consumer = run.consumer({"session.timeout.ms": 10, "heartbeat.interval.ms": 5})
    consumer.subscribe([topic], **noted(run))
    errors(run, consumer, 1)
    run.call("close", consumer.close)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_members_share_and_take_over(run: Run, protocol: str) -> None:
    topic = run.topic(4)
    settings = {"group.id": run.name("group"), "group.protocol": protocol, **QUICK[protocol]}
    first, second = run.consumer(settings), run.consumer(settings)
    both = [first, second]
    first.subscribe([topic], **noted(run))
    run.assigned(first, 4)
    second.subscribe([topic])

    def shares() -> list[int]:
        for member in both:
            run.quietly("poll", member.poll, 0.02)
        return [len(member.assignment()) for member in both]

    eventually(lambda: shares() == [2, 2], what="an even share")
    second.close()
    both.remove(second)
    eventually(lambda: shares() == [4], what="the whole again")
    run.call("unsubscribe", first.unsubscribe)
    eventually(lambda: shares() == [0], what="nothing")
    run.call("close", first.close)
