"""Share consumers (KIP-932): what they are told, and what they refuse."""

from __future__ import annotations

import threading
from typing import Any

from ottla.testing.side_by_side import Run

EXPLICIT = {"share.acknowledgement.mode": "explicit"}


def committed(run: Run, label: str, consumer: Any) -> None:
    """Note what became of each partition; errors can't be part of keys."""
    result = run.quietly(label, consumer.commit_sync)
    if result is not None:
        found = [(key.topic, key.partition, key.offset, result[key]) for key in result]
        run.note(label, sorted((run.describe(each) for each in found), key=repr))


def on_commit(run: Run) -> Any:
    """A callback that notes what was committed."""

    def called(offsets: dict[Any, set[int]], failure: BaseException | None) -> None:
        for key, numbers in offsets.items():
            run.note("committed", type(key).__name__, type(numbers).__name__)
            run.note("offsets", key.topic, key.partition, sorted(numbers), failure)

    return run.callback("on commit", called, only=[1])


def test_subscriptions(run: Run) -> None:
    consumer = run.share_consumer()
    run.call("poll", consumer.poll, 0)
    run.call("nothing", consumer.subscription)
    for topics in (["b", "a"], [1], [""], ["a", "a"], [], "a", ("a",), None, ["^a.*"]):
        run.call(f"subscribe to {topics!r}", consumer.subscribe, topics)
        run.call("subscription", consumer.subscription)
    run.call("by keyword", lambda: consumer.subscribe(topics=["c"]))
    run.call("unsubscribe", consumer.unsubscribe)
    run.call("again", consumer.unsubscribe)
    run.call("subscription", consumer.subscription)
    run.call("listener", lambda: consumer.subscribe(["a"], on_assign=print))


def test_arguments(run: Run) -> None:
    message = run.kafka.Message
    for mode in ("implicit", "explicit"):
        consumer = run.share_consumer({"share.acknowledgement.mode": mode})
        for given in (message("t", 0, 0), message("t", 0, -1), message("t", -1, 0), message(), 5):
            run.call(f"{mode} acknowledge", consumer.acknowledge, given)
        for kind in (0, 5, -1, True, 2**40, "x", 1.0, run.kafka.AcknowledgeType.REJECT):
            run.call(f"{mode} as {kind!r}", consumer.acknowledge, message("t", 0, 0), kind)
        for place in (("t", 0, 0), ("t", -1, 0), ("t", 0, -1), (5, 0, 0), ("t", "0", 0), ("", 0, 0),
                      ("t", 2**40, 0), ("t", 0), ("t", 0, 0, 9)):  # fmt: skip
            run.call(f"{mode} place {place}", consumer.acknowledge_offset, *place)
    for timeout in (None, "x", 0, 1, -1, 0.5):
        run.call(f"commit {timeout!r}", consumer.commit_sync, timeout)
    run.call("too much", consumer.commit_async, 1)
    for callback in (5, None, print):
        run.call("callback", consumer.set_acknowledgement_commit_callback, callback)
    run.call("credentials", consumer.set_sasl_credentials, "u", "p")
    run.call("no credentials", consumer.set_sasl_credentials, 1, "p")
    consumer.subscribe(["t"])
    for timeout in (None, "x"):
        run.call(f"poll {timeout!r}", consumer.poll, timeout)


def test_closed(run: Run) -> None:
    consumer = run.share_consumer()
    with consumer as entered:
        run.note("itself", entered is consumer)
    run.call("close", consumer.close)
    message = run.kafka.Message("t", 0, 0)
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("poll", (0,)), ("poll", ("x",)), ("subscribe", (["a"],)), ("subscription", ()),
        ("unsubscribe", ()), ("commit_sync", ()), ("commit_async", ()), ("acknowledge", (message,)),
        ("acknowledge_offset", ("t", 0, 0)), ("set_acknowledgement_commit_callback", (None,)),
        ("set_sasl_credentials", ("u", "p")),
    ]  # fmt: skip
    for name, given in calls:
        run.call(name, getattr(consumer, name), *given)


def test_implicit_acknowledgement(run: Run) -> None:
    topic, group = run.topic(), run.name("group")
    run.fill(topic, [b"a", b"b", b"c"], key=b"k", headers=[("h", b"1"), ("n", None)])
    consumer = run.share_consumer(group=group)
    consumer.set_acknowledgement_commit_callback(on_commit(run))
    consumer.subscribe([topic])
    [first, *_] = run.shared(consumer)
    run.call("acknowledge", consumer.acknowledge, first)
    run.call("the next poll accepts", consumer.poll, 1)
    committed(run, "nothing is left", consumer)
    run.fill(topic, [b"d"])
    run.shared(consumer)
    committed(run, "a commit accepts", consumer)
    run.fill(topic, [b"e"])
    run.shared(consumer)
    run.call("so does an asynchronous one", consumer.commit_async)
    run.call("which is told later", consumer.poll, 1)
    run.fill(topic, [b"f"])
    run.shared(consumer)
    run.call("closing gives back", consumer.close)
    other = run.share_consumer(group=group)
    other.subscribe([topic])
    run.shared(other)


def test_explicit_acknowledgement(run: Run) -> None:
    topic, group = run.topic(), run.name("group")
    run.fill(topic, [b"%d" % number for number in range(8)])
    consumer = run.share_consumer(EXPLICIT, group=group)
    consumer.set_acknowledgement_commit_callback(on_commit(run))
    consumer.subscribe([topic])
    messages = run.shared(consumer)
    kinds = run.kafka.AcknowledgeType
    run.call("unacknowledged", consumer.poll, 0)
    for kind in (kinds.ACCEPT, kinds.RELEASE, kinds.ACCEPT):
        run.call("decide", consumer.acknowledge, messages[0], kind)
    for place in (("nothing", 0, 0), (topic, 0, 100), (topic, 1, 0)):
        run.call(f"not held {place[1:]}", consumer.acknowledge_offset, *place)
    committed(run, "one", consumer)
    committed(run, "none", consumer)
    run.call("once more", consumer.acknowledge, messages[0])
    run.call("seven are left", consumer.poll, 0)
    for message in messages[1:5]:
        consumer.acknowledge(message)
    consumer.acknowledge(messages[5], kinds.REJECT)
    consumer.acknowledge_offset(topic, 0, 6, kinds.RELEASE)
    consumer.acknowledge(messages[7], kinds.RELEASE)
    committed(run, "the rest", consumer)
    run.shared(consumer, "what was released")
    run.call("unsubscribe", consumer.unsubscribe)
    run.call("still", consumer.acknowledge_offset, topic, 0, 6)
    run.call("close", consumer.close)
    other = run.share_consumer(group=group)
    other.subscribe([topic])
    run.shared(other, "what was not acknowledged")


def test_gaps_are_acknowledged_along(run: Run) -> None:
    topic = run.topic()
    producer = run.producer({"transactional.id": run.name("transactional id")})
    producer.init_transactions()
    for finish in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.produce(topic, b"x", partition=0)
        producer.flush(10)
        finish()
    consumer = run.share_consumer(EXPLICIT)
    consumer.set_acknowledgement_commit_callback(on_commit(run))
    consumer.subscribe([topic])
    messages = run.shared(consumer)
    run.call("a gap", consumer.acknowledge_offset, topic, 0, 1)
    for message in messages:
        consumer.acknowledge(message)
    committed(run, "commit", consumer)


def test_a_topic_that_is_deleted(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, [b"a"])
    consumer = run.share_consumer(EXPLICIT)
    consumer.set_acknowledgement_commit_callback(on_commit(run))
    consumer.subscribe([topic])
    [message] = run.shared(consumer)
    admin = run.admin_client()
    [deleted] = admin.delete_topics([topic]).values()
    deleted.result(20)
    run.pause(1)
    consumer.acknowledge(message)
    committed(run, "commit", consumer)


def test_what_an_acknowledgement_callback_may_not_do(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, [b"a"])
    consumer = run.share_consumer()

    def meddle(*_: Any) -> None:
        for name, given in (
            ("poll", (0,)), ("commit_sync", ()), ("commit_async", ()), ("subscription", ()),
            ("subscribe", (["x"],)), ("unsubscribe", ()), ("close", ()),
            ("acknowledge_offset", (topic, 0, 0)), ("set_acknowledgement_commit_callback", (None,)),
        ):  # fmt: skip
            run.call(name, getattr(consumer, name), *given)
        raise ZeroDivisionError("told")

    consumer.set_acknowledgement_commit_callback(run.callback("on commit", meddle, only=[1]))
    consumer.subscribe([topic])
    run.shared(consumer)
    run.call("commit", consumer.commit_sync)
    consumer.set_acknowledgement_commit_callback(None)
    run.call("afterwards", consumer.poll, 0.2)


def test_it_is_for_one_thread(run: Run) -> None:
    topic = run.topic()
    consumer = run.share_consumer()
    consumer.subscribe([topic])
    thread = threading.Thread(target=consumer.poll, args=(2.0,))
    thread.start()
    run.pause(0.5)
    for name, given in (
        ("poll", (0,)), ("subscribe", ([topic],)), ("subscription", ()), ("unsubscribe", ()),
        ("commit_sync", ()), ("commit_async", ()), ("acknowledge_offset", (topic, 0, 0)),
        ("set_acknowledgement_commit_callback", (None,)), ("close", ()),
    ):  # fmt: skip
        run.call(name, getattr(consumer, name), *given)
    thread.join()
    run.call("close", consumer.close)


def test_who_does_not_poll_hears_of_it(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, [b"a"])
    consumer = run.share_consumer({**EXPLICIT, "max.poll.interval.ms": 1000})
    consumer.subscribe([topic])
    [message] = run.shared(consumer)
    consumer.acknowledge(message)
    run.pause(2.5)
    run.call("too late", consumer.poll, 0.5)
    run.fill(topic, [b"b"])
    run.shared(consumer, "back in the group")


def test_brokers_that_are_not_there(run: Run) -> None:
    nowhere = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0}
    consumer = run.kafka.ShareConsumer({**nowhere, "error_cb": lambda error: None})
    consumer.subscribe(["t"])
    run.call("poll", consumer.poll, 0.5)
    run.call("commit", consumer.commit_sync, 1)
    run.call("close", consumer.close)


def test_a_batch_of_messages(run: Run) -> None:
    messages = [run.kafka.Message("t", 0, offset) for offset in range(3)]
    batch = run.kafka.Messages(messages)
    run.note("whole", len(batch), batch.count(), batch.is_empty(), bool(batch))
    run.note("parts", batch[0], batch[-1], type(batch[1:]).__name__, len(batch[1:]))
    run.note("list", type(batch.records()).__name__, [each.offset() for each in batch])
    run.call("beyond", lambda: batch[3])
    run.note("none", run.kafka.Messages().is_empty(), bool(run.kafka.Messages()))


def test_deserialized_messages(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, [b"1", b"x", b"3"], key=b"k", headers=[("h", b"v")])
    run.fill(topic, [b"4"], key=b"bad")

    def key(data: bytes, context: Any) -> str:
        run.note("key", data, run.text(context.topic), str(context.field), context.headers)
        if data == b"bad":
            raise ValueError("a bad key")
        return data.decode()

    def value(data: bytes, context: Any) -> int:
        run.note("value", data, str(context.field))
        return int(data)

    deserializers = {"key.deserializer": key, "value.deserializer": value}
    consumer = run.share_consumer({**EXPLICIT, **deserializers}, kind="DeserializingShareConsumer")
    consumer.subscribe([topic])
    messages: list[Any] = []
    while len(messages) < 4:
        for message in run.shared(consumer):
            consumer.acknowledge(message)
            messages.append(message)
    committed(run, "commit", consumer)
