"""Committed and stored offsets, committed by hand and automatically."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.testing.side_by_side import Run

VALUES = [b"%d" % number for number in range(5)]


def assigned(run: Run, topic: str, settings: dict[str, Any] | None = None) -> Any:
    """A consumer at the beginning of the topic's first partition."""
    consumer = run.consumer(settings)
    consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
    return consumer


def committed(run: Run, consumer: Any, topic: str) -> None:
    run.call("committed", consumer.committed, [run.kafka.TopicPartition(topic, 0)], timeout=10)


def test_forms_of_commit(run: Run) -> None:
    topic = run.topic(2)
    run.fill(topic, VALUES)
    consumer = assigned(run, topic)
    [message, *_] = run.messages(consumer, 3)
    part = run.kafka.TopicPartition
    run.call("everything", consumer.commit, asynchronous=False)
    committed(run, consumer, topic)
    run.call("nothing new", consumer.commit, asynchronous=False)
    run.call("message", consumer.commit, message, asynchronous=False)
    committed(run, consumer, topic)
    run.call("named message", consumer.commit, message=message, asynchronous=False)
    offsets = [part(topic, 0, 4, metadata="note"), part(topic, 1, 0)]
    run.call("offsets", consumer.commit, offsets=offsets, asynchronous=False)
    run.call("both", consumer.committed, [part(topic, 0), part(topic, 1)], timeout=10)
    run.call("old name", lambda: consumer.commit(message, **{"async": False}))
    run.call("positional", consumer.commit, None, offsets, False)
    epoch = [part(topic, 0, 5, "", 0)]
    run.call("leader epoch", consumer.commit, offsets=epoch, asynchronous=False)
    found = consumer.committed([part(topic, 0)], timeout=10)
    run.note("leader epoch", found[0].leader_epoch)


def test_bad_commits(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, VALUES)
    consumer = assigned(run, topic)
    part = run.kafka.TopicPartition
    run.call("nothing yet", consumer.commit, asynchronous=False)
    [message] = run.messages(consumer, 1)
    one = [part(topic, 0, 1)]
    run.call("message and offsets", consumer.commit, message, one, asynchronous=False)
    run.call("no offsets", consumer.commit, offsets=[], asynchronous=False)
    run.call("no offset", consumer.commit, offsets=[part(topic, 0)], asynchronous=False)
    run.call("logical", consumer.commit, offsets=[part(topic, 0, -2)], asynchronous=False)
    missing = [part(topic, 7, 1)]
    run.call("unknown partition", consumer.commit, offsets=missing, asynchronous=False)
    mixed = [part(topic, 0, 1), part(topic, 7, 1)]
    run.call("one unknown", consumer.commit, offsets=mixed, asynchronous=False)
    committed(run, consumer, topic)
    nowhere = [part("no-such-topic", 0, 1)]
    run.call("unknown topic", consumer.commit, offsets=nowhere, asynchronous=False)
    for bad in ("x", 5, one[0], (one[0],), [5]):
        run.call(f"offsets {type(bad).__name__}", consumer.commit, offsets=bad)
        run.call(f"message {type(bad).__name__}", consumer.commit, message=bad)
    run.call("unknown keyword", consumer.commit, message, sync=True)


def test_an_error_is_not_committed(run: Run) -> None:
    topic = run.topic()
    consumer = assigned(run, topic, {"enable.partition.eof": True})
    [end] = run.messages(consumer, 1)
    run.call("commit", consumer.commit, end, asynchronous=False)
    run.call("store", consumer.store_offsets, end)


def test_asynchronous_commits_report_to_on_commit(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, VALUES[:1])
    reports: list[Any] = []
    noted = run.callback("on_commit", lambda *each: reports.append(each))
    consumer = assigned(run, topic, {"on_commit": noted})
    [message] = run.messages(consumer, 1)
    run.call("asynchronous", consumer.commit, message)
    run.serve_until(consumer, lambda: len(reports) == 1, "the report")
    run.call("synchronous", consumer.commit, message, asynchronous=False)
    consumer.pause([run.kafka.TopicPartition(topic, 0)])
    run.call("poll", consumer.poll, 0.1)
    run.call("offsets", consumer.commit, offsets=[run.kafka.TopicPartition(topic, 0, 3, "m")])
    run.serve_until(consumer, lambda: len(reports) == 2, "the report")


def test_on_commit_hears_errors(run: Run) -> None:
    topic = run.topic()
    reports: list[Any] = []
    noted = run.callback("on_commit", lambda *each: reports.append(each))
    consumer = assigned(run, topic, {"on_commit": noted})
    run.call("nothing", consumer.commit)
    run.call("poll", consumer.poll, 0.1)
    run.call("unknown", consumer.commit, offsets=[run.kafka.TopicPartition(topic, 9, 1)])
    run.serve_until(consumer, lambda: len(reports) == 2, "the reports")


def test_on_commit_may_raise(run: Run) -> None:
    topic = run.topic()
    raised: list[str] = []

    def fail(*_: Any) -> None:
        raise ValueError("from on_commit")

    consumer = assigned(run, topic, {"on_commit": fail})
    consumer.commit(offsets=[run.kafka.TopicPartition(topic, 0, 3)])

    def polled() -> bool:
        try:
            consumer.poll(0.05)
        except ValueError as error:
            raised.append(str(error))
        return bool(raised)

    run.serve_until(run.producer(), polled, "the exception")
    run.note("raised", raised)
    run.call("poll", consumer.poll, 0.05)


def test_committed(run: Run) -> None:
    topic = run.topic()
    consumer = run.consumer()
    part = run.kafka.TopicPartition
    run.call("never", consumer.committed, [part(topic, 0)], timeout=10)
    run.call("unknown partition", consumer.committed, [part(topic, 9)], timeout=10)
    run.call("unknown topic", consumer.committed, [part("no-such-topic", 0)], timeout=10)
    run.call("none", consumer.committed, [], timeout=10)
    run.call("positional", consumer.committed, [part(topic, 0)], 10)
    for bad in ("x", part(topic, 0), None, [5]):
        run.call(f"bad {type(bad).__name__}", consumer.committed, bad, timeout=1)


def test_stored_offsets(run: Run) -> None:
    topic = run.topic(2)
    run.fill(topic, VALUES)
    consumer = assigned(run, topic, {"enable.auto.offset.store": False})
    part = run.kafka.TopicPartition
    first, second = run.messages(consumer, 2)
    run.call("nothing stored", consumer.commit, asynchronous=False)
    run.call("store a message", consumer.store_offsets, first)
    run.call("commit", consumer.commit, asynchronous=False)
    run.call("store offsets", consumer.store_offsets, offsets=[part(topic, 0, 4, "m")])
    run.call("commit", consumer.commit, asynchronous=False)
    run.call("named", consumer.store_offsets, message=second)
    run.call("commit", consumer.commit, asynchronous=False)
    run.call("not assigned", consumer.store_offsets, offsets=[part(topic, 1, 4)])
    run.call("nothing", consumer.store_offsets)
    both = {"message": first, "offsets": [part(topic, 0, 1)]}
    run.call("both", lambda: consumer.store_offsets(**both))
    run.call("bad", consumer.store_offsets, offsets="x")
    run.call("bad message", consumer.store_offsets, message="x")
    committed(run, consumer, topic)


def test_offsets_are_stored_by_themselves_or_by_hand(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, VALUES)
    consumer = assigned(run, topic)
    [message] = run.messages(consumer, 1)
    run.call("store", consumer.store_offsets, message)
    run.call("offsets", consumer.store_offsets, offsets=[run.kafka.TopicPartition(topic, 0, 3)])


@pytest.mark.parametrize("is_stored_by_hand", [False, True])
def test_close_commits_what_was_stored(run: Run, is_stored_by_hand: bool) -> None:
    topic, group = run.topic(), run.name("group")
    run.fill(topic, VALUES)
    settings = {
        "group.id": group,
        "enable.auto.commit": True,
        "enable.auto.offset.store": not is_stored_by_hand,
        "on_commit": run.callback("on_commit"),
    }
    consumer = run.consumer(settings)
    consumer.subscribe([topic])
    messages = run.messages(consumer, 3)
    if is_stored_by_hand:
        consumer.store_offsets(messages[1])
    run.call("close", consumer.close)
    committed(run, run.consumer({"group.id": group}), topic)


def test_automatic_commits(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, VALUES)
    reports: list[Any] = []
    settings = {
        "enable.auto.commit": True,
        "auto.commit.interval.ms": 100,
        "on_commit": lambda error, partitions: reports.append((error, partitions)),
    }
    consumer = run.consumer(settings)
    consumer.subscribe([topic])
    run.messages(consumer, 5)
    # How many commits it takes depends on the clock.
    run.serve_until(consumer, lambda: reports and reports[-1][1][0].offset == 5, "the commit")
    run.note("last", reports[-1])


def test_a_group_goes_on_where_it_was(run: Run) -> None:
    topic, group = run.topic(), run.name("group")
    run.fill(topic, VALUES)
    first = run.consumer({"group.id": group})
    first.subscribe([topic])
    messages = run.messages(first, 2)
    first.commit(messages[-1], asynchronous=False)
    run.messages(first, 1)
    first.close()
    second = run.consumer({"group.id": group})
    second.subscribe([topic])
    run.messages(second, 3)


def test_group_metadata(run: Run) -> None:
    consumer = run.consumer()
    run.note("kind", type(consumer.consumer_group_metadata()).__name__)
    run.note("member", consumer.memberid())
