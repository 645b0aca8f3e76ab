"""Subscriptions, and the callbacks of rebalances."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.testing.side_by_side import Run
from ottla.testing.waiting import eventually

STRATEGIES = ["range", "roundrobin", "cooperative-sticky"]


def callbacks(run: Run, *, is_counting: bool = False, **then: Any) -> dict[str, Any]:
    """The three callbacks of a subscription, each noting the partitions, or how many they are."""

    def noted(label: str) -> Any:
        def called(consumer: Any, partitions: list[Any]) -> None:
            where = run.callback(label, only=[0])
            where(len(partitions) if is_counting else sorted(partitions))
            if label in then:
                then[label](consumer, partitions)

        return called

    return {name: noted(name) for name in ("on_assign", "on_revoke", "on_lost")}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_member_comes_and_goes(run: Run, strategy: str) -> None:
    topic = run.topic(3)
    consumer = run.consumer({"partition.assignment.strategy": strategy})
    run.call("subscribe", consumer.subscribe, [topic], **callbacks(run))
    run.call("assignment", consumer.assignment)
    run.assigned(consumer, 3)
    run.call("assignment", lambda: sorted(consumer.assignment()))
    run.note("member", bool(consumer.memberid()))
    run.call("close", consumer.close)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_unsubscribing(run: Run, strategy: str) -> None:
    topic = run.topic(2)
    consumer = run.consumer({"partition.assignment.strategy": strategy})
    consumer.subscribe([topic], **callbacks(run))
    run.assigned(consumer, 2)
    run.call("unsubscribe", consumer.unsubscribe)
    run.serve_until(consumer, lambda: not consumer.assignment(), "revocation")
    run.call("unsubscribe again", consumer.unsubscribe)
    run.call("poll", consumer.poll, 0.05)


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_changing_the_subscription(run: Run, strategy: str) -> None:
    first, second = run.topic(), run.topic()
    soon = {"topic.metadata.refresh.interval.ms": 200}
    consumer = run.consumer({"partition.assignment.strategy": strategy, **soon})
    consumer.subscribe([first], **callbacks(run))
    run.assigned(consumer, 1)
    run.call("both", consumer.subscribe, [first, second], **callbacks(run))
    # librdkafka may not know the second yet and say so.
    until_assigned(run, consumer, 2)
    run.call("assignment", lambda: sorted(consumer.assignment()))
    consumer.close()


def until_assigned(run: Run, consumer: Any, count: int) -> None:
    """Poll until the consumer holds so many partitions, whatever comes meanwhile."""

    def polled() -> bool:
        run.quietly("poll", consumer.poll, 0.05)
        return len(consumer.assignment()) == count

    eventually(polled, what=f"{count} partitions")


def turns(run: Run, members: list[Any], condition: Any, what: str) -> None:
    """Poll the members in turn until something is true."""

    def polled() -> Any:
        for number, member in enumerate(members):
            message = run.quietly(f"poll of {number}", member.poll, 0.02)
            assert message is None, message.error()
        return condition()

    eventually(polled, what=what)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_second_member_comes_and_goes(run: Run, strategy: str) -> None:
    topic, group = run.topic(2), run.name("group")
    settings = {
        "group.id": group,
        "partition.assignment.strategy": strategy,
        "heartbeat.interval.ms": 50,
    }
    first, second = run.consumer(settings), run.consumer(settings)
    # Which member gets which partition is decided by their ids, which are random.
    first.subscribe([topic], **callbacks(run, is_counting=True))
    run.assigned(first, 2)
    # What the second sees in between depends on whose poll comes first.
    second.subscribe([topic])
    both = [first, second]
    turns(run, both, lambda: [len(each.assignment()) for each in both] == [1, 1], "an even share")
    run.note("the second has joined")
    second.close()
    turns(run, [first], lambda: len(first.assignment()) == 2, "the whole again")
    run.note("the second has left")
    run.call("close", first.close)


def test_two_topics_by_each_strategy(run: Run) -> None:
    topics = sorted([run.topic(3), run.topic(2)])
    for strategy in STRATEGIES:
        consumer = run.consumer({"partition.assignment.strategy": strategy})
        consumer.subscribe(topics)
        run.assigned(consumer, 5)
        run.note(strategy, sorted(consumer.assignment()))
        consumer.close()


def test_assigning_by_hand_in_the_callback(run: Run) -> None:
    topic = run.topic(2)
    run.fill(topic, [b"0", b"1", b"2"])
    run.fill(topic, [b"3", b"4", b"5"], partition=1)

    def choose(consumer: Any, partitions: list[Any]) -> None:
        for each in partitions:
            each.offset = 2
        run.call("assign", consumer.assign, partitions)

    consumer = run.consumer()
    consumer.subscribe([topic], **callbacks(run, on_assign=choose))
    run.messages_in_any_order(consumer, 2)
    run.call("close", consumer.close)


def test_assigning_incrementally_in_the_callback(run: Run) -> None:
    topic = run.topic(2)
    run.fill(topic, [b"0", b"1"])

    def add(consumer: Any, partitions: list[Any]) -> None:
        for each in partitions:
            each.offset = 1
        run.call("incremental", consumer.incremental_assign, partitions)

    def drop(consumer: Any, partitions: list[Any]) -> None:
        run.call("incremental", consumer.incremental_unassign, partitions)

    consumer = run.consumer({"partition.assignment.strategy": "cooperative-sticky"})
    consumer.subscribe([topic], **callbacks(run, on_assign=add, on_revoke=drop))
    run.messages(consumer, 1)
    run.call("close", consumer.close)


@pytest.mark.parametrize(
    ("strategy", "wrong"),
    [
        ("range", "incremental_assign"),
        ("range", "incremental_unassign"),
        ("cooperative-sticky", "assign"),
    ],
)
def test_the_wrong_kind_of_assign_for_the_protocol(run: Run, strategy: str, wrong: str) -> None:
    topic = run.topic()
    tried: list[str] = []

    def attempt(consumer: Any, partitions: list[Any]) -> None:
        run.call(wrong, getattr(consumer, wrong), partitions)
        tried.append(wrong)

    consumer = run.consumer({"partition.assignment.strategy": strategy})
    consumer.subscribe([topic], on_assign=attempt)
    run.serve_until(consumer, lambda: tried, "the attempt")
    run.call("assignment", consumer.assignment)


def test_a_callback_that_raises(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, [b"0"])

    def fail(*_: Any) -> None:
        raise ValueError("from the callback")

    consumer = run.consumer()
    consumer.subscribe([topic], **callbacks(run, on_assign=fail, on_revoke=fail))
    run.messages(consumer, 1)
    run.call("assignment", consumer.assignment)
    run.call("close", consumer.close)


def test_committing_when_partitions_are_revoked(run: Run) -> None:
    topic, group = run.topic(), run.name("group")
    run.fill(topic, [b"0", b"1"])

    def commit(consumer: Any, _: list[Any]) -> None:
        run.call("commit", consumer.commit, asynchronous=False)

    consumer = run.consumer({"group.id": group})
    consumer.subscribe([topic], **callbacks(run, on_revoke=commit))
    run.messages(consumer, 2)
    run.call("close", consumer.close)
    reader = run.consumer({"group.id": group})
    run.call("committed", reader.committed, [run.kafka.TopicPartition(topic, 0)], timeout=10)


def test_a_pattern(run: Run) -> None:
    prefix = run.name("prefix")
    for suffix in ("a", "b"):
        run.fill(f"{prefix}-{suffix}", [suffix.encode()])
    run.fill(f"other-{prefix}", [b"not this"])
    consumer = run.consumer({"topic.metadata.refresh.interval.ms": 200})
    run.call("subscribe", consumer.subscribe, [f"^{prefix}-.*"], **callbacks(run))
    run.messages_in_any_order(consumer, 2)
    consumer.pause(consumer.assignment())
    run.fill(f"{prefix}-new", [b"new"])
    until_assigned(run, consumer, 3)
    consumer.close()


@pytest.mark.parametrize("pattern", ["^[", "^(", "^*"])
def test_a_bad_pattern(run: Run, pattern: str) -> None:
    consumer = run.consumer()
    run.call("subscribe", consumer.subscribe, [pattern])


def test_bad_arguments_of_subscribe(run: Run) -> None:
    consumer = run.consumer()
    for bad in (None, "topic", ("topic",), 5, [5], [b"topic"], [None]):
        run.call(f"subscribe {bad!r}", consumer.subscribe, bad)
    run.call("none", consumer.subscribe, [])
    run.call("empty name", consumer.subscribe, [""])
    run.call("on_assign None", consumer.subscribe, ["t"], on_assign=None)
    run.call("on_assign 5", consumer.subscribe, ["t"], on_assign=5)
    run.call("on_revoke 5", consumer.subscribe, ["t"], on_revoke=5)
    run.call("on_lost 5", consumer.subscribe, ["t"], on_lost=5)
    run.call("unknown", consumer.subscribe, ["t"], listener=None)
    run.call("twice the same", consumer.subscribe, ["t", "t"])


def test_too_slow_between_polls(run: Run) -> None:
    topic = run.topic()
    settings = {"max.poll.interval.ms": 600, "session.timeout.ms": 600}
    consumer = run.consumer({**settings, "heartbeat.interval.ms": 100})
    assignments: list[Any] = []
    noted = callbacks(run, on_assign=lambda *each: assignments.append(each))
    consumer.subscribe([topic], **noted)
    run.assigned(consumer, 1)
    run.pause(1.2)

    def polled() -> bool:
        message = run.quietly("poll", consumer.poll, 0.05)
        if message is not None:
            run.note("error", message.error().name(), message.error().fatal())
        return len(assignments) == 2

    eventually(polled, what="the second assignment")
    run.call("close", consumer.close)


def test_static_members(run: Run) -> None:
    topic, group = run.topic(), run.name("group")
    settings = {"group.id": group, "group.instance.id": "one", "heartbeat.interval.ms": 100}
    first = run.consumer(settings)
    first.subscribe([topic], **callbacks(run))
    run.assigned(first, 1)
    second = run.consumer(settings)
    second.subscribe([topic])
    run.assigned(second, 1)
    errors = []

    def fenced() -> bool:
        message = run.quietly("poll", first.poll, 0.05)
        if message is not None:
            errors.append(message)
            run.note("error", message.error().name(), message.error().fatal())
        return bool(errors)

    eventually(fenced, what="the first is fenced")
    run.call("commit", first.commit, asynchronous=False)


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_a_topic_that_comes_later(run: Run, strategy: str) -> None:
    topic = run.name("topic")
    settings = {
        "partition.assignment.strategy": strategy,
        "topic.metadata.refresh.interval.ms": 100,
        "allow.auto.create.topics": False,
    }
    consumer = run.consumer(settings)
    consumer.subscribe([topic], **callbacks(run))
    first = eventually(lambda: consumer.poll(0.1), what="the error")
    run.note("error", first.error().code())
    run.fill(topic, [b"x"])
    messages: list[Any] = []

    def polled() -> bool:
        message = run.quietly("poll", consumer.poll, 0.05)
        if message is not None and message.error() is None:
            messages.append(message)
        return bool(messages)

    eventually(polled, what="its first message")
    run.note("messages", messages)


def test_the_new_protocol(run: Run) -> None:
    topic, group = run.topic(2), run.name("group")
    settings = {"group.id": group, "group.protocol": "consumer"}
    consumer = run.consumer(settings)
    run.call("subscribe", consumer.subscribe, [topic], **callbacks(run))
    run.assigned(consumer, 2)
    run.note("assignment", sorted(consumer.assignment()))
    run.call("unsubscribe", consumer.unsubscribe)
    run.serve_until(consumer, lambda: not consumer.assignment(), "revocation")
    run.call("close", consumer.close)


def test_settings_of_the_other_protocol(run: Run) -> None:
    for setting in (
        {"session.timeout.ms": 6000}, {"partition.assignment.strategy": "range"},
        {"heartbeat.interval.ms": 100}, {"group.remote.assignor": "uniform"},
    ):  # fmt: skip
        for protocol in ("consumer", "classic"):
            settings = {"group.id": "g", "group.protocol": protocol, **setting}
            label = f"{protocol} {sorted(setting)}"
            run.call(label, lambda each=settings: run.kafka.Consumer(each).close())
