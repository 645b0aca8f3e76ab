"""Closed clients, several threads, callbacks that close."""

from __future__ import annotations

import threading
from typing import Any

from ottla.testing.side_by_side import Run


def test_a_closed_producer(run: Run) -> None:
    topic = run.topic()
    producer = run.producer()
    producer.produce(topic, b"x", on_delivery=run.callback("delivered", only=[0]))
    run.call("close", producer.close)
    run.call("close again", producer.close)
    run.call("produce", producer.produce, topic, b"x")
    run.call("batch", producer.produce_batch, topic, [{"value": b"x"}])
    run.call("poll", producer.poll, 0)
    run.call("flush", producer.flush, 0)
    run.call("purge", producer.purge)
    run.call("len", len, producer)
    run.call("list_topics", producer.list_topics, timeout=1)
    run.call("cluster_id", producer.cluster_id, 1)
    run.call("init", producer.init_transactions, 1)
    run.call("begin", producer.begin_transaction)
    run.call("commit", producer.commit_transaction, 1)
    run.call("abort", producer.abort_transaction, 1)
    run.call("offsets", producer.send_offsets_to_transaction, [], b"", 1)
    run.call("credentials", producer.set_sasl_credentials, "a", "b")
    run.call("enter", producer.__enter__)


def test_a_closed_consumer(run: Run) -> None:
    topic = run.topic()
    part = run.kafka.TopicPartition(topic, 0, 0)
    consumer = run.consumer()
    consumer.assign([part])
    run.call("close", consumer.close)
    run.call("close again", consumer.close)
    for name, arguments in (
        ("poll", (0,)), ("consume", (1, 0)), ("subscribe", ([topic],)), ("unsubscribe", ()),
        ("assign", ([part],)), ("unassign", ()), ("incremental_assign", ([part],)),
        ("incremental_unassign", ([part],)), ("assignment", ()), ("commit", ()),
        ("store_offsets", (None, [part])), ("committed", ([part], 1)), ("position", ([part],)),
        ("seek", (part,)), ("pause", ([part],)), ("resume", ([part],)), ("memberid", ()),
        ("get_watermark_offsets", (part,)), ("offsets_for_times", ([part],)),
        ("list_topics", ()), ("cluster_id", ()), ("consumer_group_metadata", ()),
        ("set_sasl_credentials", ("a", "b")), ("__enter__", ()),
    ):  # fmt: skip
        run.call(name, getattr(consumer, name), *arguments)


def test_close_delivers_what_was_produced(run: Run) -> None:
    topic = run.topic()
    producer = run.producer({"linger.ms": 50})
    for number in range(3):
        producer.produce(topic, b"%d" % number, on_delivery=run.callback("delivered"))
    run.call("close", producer.close)
    consumer = run.consumer()
    consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
    run.messages(consumer, 3)


def test_a_consumer_that_was_never_used(run: Run) -> None:
    consumer = run.consumer()
    run.call("close", consumer.close)


def in_thread(function: Any) -> list[Any]:
    """What a function returned or raised in a thread of its own."""
    outcome: list[Any] = []

    def called() -> None:
        try:
            outcome.append(function())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=called)
    thread.start()
    thread.join(20)
    return outcome


def test_a_producer_may_be_used_by_any_thread(run: Run) -> None:
    topic = run.topic()
    producer = run.producer()
    threads: list[int] = []

    def delivered(*_: Any) -> None:
        threads.append(threading.get_ident())

    for number in range(3):
        value = b"%d" % number
        produced = in_thread(
            lambda each=value: producer.produce(topic, each, partition=0, on_delivery=delivered)
        )
        run.note("produced", produced)
    flushing: list[int] = []

    def flush() -> Any:
        flushing.append(threading.get_ident())
        return producer.flush(10)

    run.note("flushed", in_thread(flush))
    run.note("called on the flushing thread", set(threads) == set(flushing), len(threads))


def test_many_threads_produce_at_once(run: Run) -> None:
    topic = run.topic()
    producer = run.producer()
    delivered: list[bytes] = []

    def produce(name: int) -> None:
        for number in range(200):
            producer.produce(
                topic, f"{name} {number}", partition=0,
                on_delivery=lambda _, m: delivered.append(m.value()),
            )  # fmt: skip
            producer.poll(0)

    threads = [threading.Thread(target=produce, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.call("flush", producer.flush, 10)
    run.note("delivered", sorted(delivered))


def test_a_consumer_may_be_used_by_another_thread(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, [b"0", b"1"])
    consumer = run.consumer()
    consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
    run.note("message", in_thread(lambda: consumer.poll(10)))
    run.messages(consumer, 1)
    run.note("close", in_thread(consumer.close))
    run.call("poll", consumer.poll, 0)
