"""Transactions: the order of calls, what each refuses, fencing, offsets."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.testing.side_by_side import Run
from ottla.testing.waiting import eventually


def transactional(run: Run, name: str | None = None, **settings: Any) -> Any:
    """A transactional producer that hasn't been initialised."""
    name = name or run.name("transaction")
    dotted = {key.replace("_", "."): value for key, value in settings.items()}
    return run.producer({"transactional.id": name, **dotted})


def begun(run: Run, name: str | None = None) -> Any:
    """A transactional producer in a transaction."""
    producer = transactional(run, name)
    producer.init_transactions(10)
    producer.begin_transaction()
    return producer


def committed_values(run: Run, topic: str, count: int) -> None:
    """Note what readers of committed messages see, up to one that is written now."""
    run.fill(topic, [b"the end"])
    consumer = run.consumer()
    consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
    found: list[Any] = []

    def polled() -> bool:
        message = consumer.poll(0.1)
        if message is not None:
            found.append((message.value(), message.error()))
        return bool(found) and found[-1][0] == b"the end"

    eventually(polled, what="the last message")
    run.note("committed", found)
    assert len(found) == count + 1


def test_the_way_it_should_go(run: Run) -> None:
    topic = run.topic()
    producer = transactional(run)
    delivered = run.callback("delivered", only=[0])
    run.call("init", producer.init_transactions, 10)
    for number in range(2):
        run.call("begin", producer.begin_transaction)
        run.call("produce", producer.produce, topic, b"%d" % number, on_delivery=delivered)
        run.call("commit", producer.commit_transaction, 10)
    run.call("begin", producer.begin_transaction)
    run.call("produce", producer.produce, topic, b"lost", on_delivery=delivered)
    run.call("flush", producer.flush, 10)
    run.call("abort", producer.abort_transaction, 10)
    committed_values(run, topic, 2)


def test_calls_out_of_order(run: Run) -> None:
    topic = run.topic()
    producer = transactional(run)
    run.call("begin before init", producer.begin_transaction)
    run.call("commit before init", producer.commit_transaction, 1)
    run.call("abort before init", producer.abort_transaction, 1)
    run.call("produce before init", producer.produce, topic, b"x")
    run.call("init", producer.init_transactions, 10)
    run.call("init again", producer.init_transactions, 10)
    run.call("produce outside", producer.produce, topic, b"x")
    run.call("commit outside", producer.commit_transaction, 1)
    run.call("abort outside", producer.abort_transaction, 1)
    run.call("begin", producer.begin_transaction)
    run.call("begin twice", producer.begin_transaction)
    run.call("init inside", producer.init_transactions, 1)
    run.call("commit empty", producer.commit_transaction, 10)
    run.call("begin", producer.begin_transaction)
    run.call("abort empty", producer.abort_transaction, 10)


def test_a_producer_without_transactions(run: Run) -> None:
    producer = run.producer()
    run.call("init", producer.init_transactions, 1)
    run.call("begin", producer.begin_transaction)
    run.call("commit", producer.commit_transaction, 1)
    run.call("abort", producer.abort_transaction, 1)
    metadata = run.consumer().consumer_group_metadata()
    run.call("offsets", producer.send_offsets_to_transaction, [], metadata, 1)


def test_bad_arguments(run: Run) -> None:
    producer = transactional(run)
    run.call("init keyword", lambda: producer.init_transactions(timeout=1))
    run.call("init text", producer.init_transactions, "x")
    run.call("begin argument", producer.begin_transaction, 1)
    run.call("init", producer.init_transactions)
    run.call("begin", producer.begin_transaction)
    run.call("commit text", producer.commit_transaction, "x")
    run.call("abort keyword", lambda: producer.abort_transaction(timeout=1))
    run.call("commit None", producer.commit_transaction, None)
    run.call("commit", producer.commit_transaction)


def test_deliveries_are_reported_by_the_commit(run: Run) -> None:
    topic = run.topic()
    producer = begun(run)
    for number in range(3):
        producer.produce(topic, b"%d" % number, on_delivery=run.callback("delivered"))
    run.call("commit", producer.commit_transaction, 10)
    run.note("queued", len(producer))


def test_an_abort_purges_what_waits(run: Run) -> None:
    topic = run.topic()
    producer = transactional(run, linger_ms=20_000)
    producer.init_transactions(10)
    producer.begin_transaction()
    for number in range(2):
        producer.produce(topic, b"%d" % number, on_delivery=run.callback("delivered", only=[0]))
    run.call("abort", producer.abort_transaction, 10)
    run.note("queued", len(producer))
    run.call("begin", producer.begin_transaction)
    run.call("commit", producer.commit_transaction, 10)


def test_offsets_in_a_transaction(run: Run) -> None:
    topic, group = run.topic(), run.name("group")
    consumer = run.consumer({"group.id": group})
    part = run.kafka.TopicPartition
    metadata = consumer.consumer_group_metadata()
    producer = begun(run)
    run.call("send", producer.send_offsets_to_transaction, [part(topic, 0, 7)], metadata, 10)
    run.code_of("meanwhile", lambda: consumer.committed([part(topic, 0)], timeout=0.3))
    run.call("commit", producer.commit_transaction, 10)
    run.call("after", consumer.committed, [part(topic, 0)], timeout=10)
    producer.begin_transaction()
    run.call("send", producer.send_offsets_to_transaction, [part(topic, 0, 9)], metadata)
    run.call("abort", producer.abort_transaction, 10)
    run.call("after an abort", consumer.committed, [part(topic, 0)], timeout=10)


def test_bad_offsets_in_a_transaction(run: Run) -> None:
    topic = run.topic()
    part = run.kafka.TopicPartition
    metadata = run.consumer().consumer_group_metadata()
    producer = transactional(run)
    producer.init_transactions(10)
    send = producer.send_offsets_to_transaction
    run.call("outside", send, [part(topic, 0, 1)], metadata, 1)
    producer.begin_transaction()
    run.call("none", send, [], metadata, 1)
    run.call("no offset", send, [part(topic, 0)], metadata, 1)
    run.call("no metadata", send, [part(topic, 0, 1)], None, 1)
    run.call("junk", send, [part(topic, 0, 1)], b"junk", 1)
    run.call("not a list", send, part(topic, 0, 1), metadata, 1)
    run.call("keywords", lambda: send(positions=[], group_metadata=metadata))
    run.call("commit", producer.commit_transaction, 10)


def test_a_fenced_producer(run: Run) -> None:
    topic, name = run.topic(), run.name("transaction")
    first = begun(run, name)
    first.produce(topic, b"of the first", on_delivery=run.callback("delivered", only=[0]))
    run.call("flush", first.flush, 10)
    second = transactional(run, name)
    run.call("init of the second", second.init_transactions, 10)
    run.code_of("commit of the first", first.commit_transaction, 10)
    run.code_of("abort of the first", first.abort_transaction, 10)
    run.code_of("begin of the first", first.begin_transaction)
    run.call("produce of the first", first.produce, topic, b"x")
    second.begin_transaction()
    second.produce(topic, b"of the second", partition=0)
    run.call("commit of the second", second.commit_transaction, 10)
    committed_values(run, topic, 1)


def test_a_message_that_fails_makes_the_transaction_fail(run: Run) -> None:
    topic = run.topic(max_message_bytes="10000")
    producer = begun(run)
    delivered = run.callback("delivered", only=[0])
    producer.produce(topic, b"x" * 20_000, on_delivery=delivered)
    run.call("flush", producer.flush, 10)
    run.call("commit", producer.commit_transaction, 10)
    run.call("produce", producer.produce, topic, b"x")
    run.call("abort", producer.abort_transaction, 10)
    run.call("begin", producer.begin_transaction)
    run.call("commit", producer.commit_transaction, 10)


def test_no_broker(run: Run) -> None:
    settings = {"bootstrap.servers": "127.0.0.1:1", "transactional.id": run.name("transaction")}
    producer = run.producer(settings)
    run.call("init", producer.init_transactions, 0.2)
    run.call("init again", producer.init_transactions, 0.2)


@pytest.mark.parametrize("setting", [{"acks": 1}, {"max.in.flight": 6}, {"retries": 0}])
def test_settings_that_transactions_rule_out(run: Run, setting: dict[str, Any]) -> None:
    settings = {"transactional.id": "t", **setting}
    run.call("producer", lambda: type(run.kafka.Producer(settings)).__name__)


def test_close_aborts(run: Run) -> None:
    topic = run.topic()
    producer = begun(run)
    producer.produce(topic, b"never seen", on_delivery=run.callback("delivered", only=[0]))
    run.call("flush", producer.flush, 10)
    run.call("close", producer.close)
    run.fill(topic, [b"plain"])
    committed_values(run, topic, 1)


def test_an_idempotent_producer(run: Run) -> None:
    topic = run.topic()
    producer = run.producer({"enable.idempotence": True, "linger.ms": 0, "batch.num.messages": 2})
    for number in range(7):
        producer.produce(topic, b"%d" % number, on_delivery=run.callback("delivered", only=[0]))
    run.call("flush", producer.flush, 10)
    committed_values(run, topic, 7)
