"""poll() and consume(): messages, ends of partitions, errors, bad arguments."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.testing.side_by_side import Run

VALUES = [b"0", b"1", b"2", b"3"]


def test_messages_of_an_assigned_partition(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, VALUES, key=b"k", headers=[("a", b"1")], timestamp=1_600_000_000_000)
    consumer = run.consumer()
    run.call("assign", consumer.assign, [run.kafka.TopicPartition(topic, 0, 0)])
    [first, *_] = run.messages(consumer, 4)
    run.note("length", len(first))
    run.note("deserialized", first.deserialized_key(), first.deserialized_value())
    run.note("delivery count", first.delivery_count())
    run.call("nothing more", consumer.poll, 0.05)


def test_batches(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, VALUES)
    consumer = run.consumer()
    consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
    first = run.quietly("consume", consumer.consume, 3, 10)
    run.note("three", [message.value() for message in first])
    rest = run.quietly("consume", consumer.consume, num_messages=5, timeout=0.3)
    run.note("the rest", [message.value() for message in rest])
    run.call("none left", consumer.consume, 5, 0.05)
    run.call("none wanted", consumer.consume, 0, 5)
    run.note("kind", isinstance(first, list))


@pytest.mark.parametrize("arguments", [(-1,), (1_000_001,), ("x",), (1, "x"), (1, None), (None,)])
def test_bad_arguments_of_consume(run: Run, arguments: tuple[Any, ...]) -> None:
    run.call("consume", run.consumer().consume, *arguments)


def test_bad_arguments_of_poll(run: Run) -> None:
    consumer = run.consumer()
    run.call("text", consumer.poll, "x")
    run.call("None", consumer.poll, None)
    run.call("two", consumer.poll, 1, 2)
    run.call("keyword", consumer.poll, timeout=0)
    run.call("unknown keyword", consumer.poll, timeout_ms=0)
    run.call("nothing assigned", consumer.poll, 0.01)


def test_the_end_of_a_partition(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, VALUES[:2])
    consumer = run.consumer({"enable.partition.eof": True})
    consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
    [*_, end] = run.messages(consumer, 3)
    run.note("length", len(end), end.error().code() == run.kafka.KafkaError._PARTITION_EOF)
    run.note("texts", str(end.error()), repr(end.error()))
    run.call("once", consumer.poll, 0.2)
    run.fill(topic, [b"more"])
    run.messages(consumer, 2)


def test_the_end_of_an_empty_partition(run: Run) -> None:
    topic = run.topic(2)
    consumer = run.consumer({"enable.partition.eof": True})
    consumer.assign([run.kafka.TopicPartition(topic, 1)])
    run.messages(consumer, 1)
    batch = run.quietly("consume", consumer.consume, 1, 0.1)
    run.note("none again", batch)


def test_ends_are_items_of_a_batch(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, VALUES)
    consumer = run.consumer({"enable.partition.eof": True})
    consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
    run.call("consume", consumer.consume, 5, 10)


def test_an_unknown_topic_is_told(run: Run) -> None:
    consumer = run.consumer({"allow.auto.create.topics": False})
    topic = run.name("topic") + "-missing"
    run.call("subscribe", consumer.subscribe, [topic])
    run.messages(consumer, 1)


@pytest.mark.parametrize("reset", ["earliest", "latest", "error", "smallest", "beginning", "end"])
def test_no_offset_to_start_from(run: Run, reset: str) -> None:
    topic = run.topic()
    run.fill(topic, VALUES)
    consumer = run.consumer({"auto.offset.reset": reset, "enable.partition.eof": True})
    consumer.assign([run.kafka.TopicPartition(topic, 0)])
    run.messages(consumer, {"error": 1, "latest": 1, "end": 1}.get(reset, 5))


@pytest.mark.parametrize("reset", ["earliest", "latest", "error"])
def test_an_offset_out_of_range(run: Run, reset: str) -> None:
    topic = run.topic()
    run.fill(topic, VALUES)
    consumer = run.consumer({"auto.offset.reset": reset, "enable.partition.eof": True})
    consumer.assign([run.kafka.TopicPartition(topic, 0, 100)])
    run.messages(consumer, 1)


@pytest.mark.parametrize("where", ["BEGINNING", "END", "STORED", "INVALID"])
def test_logical_offsets(run: Run, where: str) -> None:
    topic = run.topic()
    run.fill(topic, VALUES)
    consumer = run.consumer({"enable.partition.eof": True})
    start = run.kafka.TopicPartition(topic, 0, getattr(run.kafka, f"OFFSET_{where}"))
    run.call("assign", consumer.assign, [start])
    run.messages(consumer, 1)


def test_offsets_relative_to_the_end(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, VALUES)
    consumer = run.consumer()
    run.call("assign", consumer.assign, [run.kafka.TopicPartition(topic, 0, -2002)])
    run.call("poll", consumer.poll, 0.3)


def test_bad_arguments_of_assign(run: Run) -> None:
    topic = run.topic()
    consumer = run.consumer()
    one = run.kafka.TopicPartition(topic, 0)
    for bad in (None, "x", one, (one,), [topic], [(topic, 0)], 5):
        run.call(f"assign {type(bad).__name__}", consumer.assign, bad)
        run.call(f"incremental {type(bad).__name__}", consumer.incremental_assign, bad)
        run.call(f"unassign {type(bad).__name__}", consumer.incremental_unassign, bad)
    run.call("no partition", consumer.assign, [run.kafka.TopicPartition(topic)])
    run.call("assignment", consumer.assignment)
    run.call("twice the same", consumer.assign, [one, one])
    run.call("empty", consumer.assign, [])
    run.call("assignment", consumer.assignment)


def test_assigning_and_unassigning(run: Run) -> None:
    topic = run.topic(3)
    consumer = run.consumer()
    parts = [run.kafka.TopicPartition(topic, number, 0) for number in range(3)]
    run.call("assign", consumer.assign, parts[:2])
    run.call("assignment", lambda: sorted(consumer.assignment()))
    run.call("incremental", consumer.incremental_assign, parts[2:])
    run.call("again", consumer.incremental_assign, parts[2:])
    run.call("assignment", lambda: sorted(consumer.assignment()))
    run.call("incremental unassign", consumer.incremental_unassign, parts[:1])
    run.call("again", consumer.incremental_unassign, parts[:1])
    run.call("assignment", lambda: sorted(consumer.assignment()))
    run.call("unassign", consumer.unassign)
    run.call("assignment", consumer.assignment)
    run.call("unassign again", consumer.unassign)


def test_a_changed_assignment_drops_what_was_fetched(run: Run) -> None:
    first, second = run.topic(), run.topic()
    run.fill(first, VALUES)
    run.fill(second, [b"other"])
    consumer = run.consumer()
    consumer.assign([run.kafka.TopicPartition(first, 0, 0)])
    run.messages(consumer, 1)
    consumer.assign([run.kafka.TopicPartition(second, 0, 0)])
    run.messages(consumer, 1)
    run.call("nothing of the first", consumer.poll, 0.1)


@pytest.mark.parametrize("isolation", ["read_committed", "read_uncommitted"])
def test_isolation(run: Run, isolation: str) -> None:
    topic = run.topic()
    producer = run.producer({"transactional.id": run.name("transaction")})
    producer.init_transactions(10)
    for number, end in enumerate(["commit", "abort", "commit"]):
        producer.begin_transaction()
        producer.produce(topic, f"{number} {end}", partition=0)
        producer.flush(10)
        getattr(producer, f"{end}_transaction")(10)
    run.fill(topic, [b"plain"])
    consumer = run.consumer({"isolation.level": isolation, "enable.partition.eof": True})
    consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
    run.messages(consumer, 4 if isolation == "read_committed" else 5)


def test_messages_can_be_kept_and_compared(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, [b"1", b"2"])
    consumer = run.consumer()
    consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
    first, second = run.messages(consumer, 2)
    consumer.close()
    run.note("values", first.value(), second.value())
    run.note("equal", first == first, first == second, first != second)
    run.call("hash", hash, first)
    run.call("set value", first.set_value, "changed")
    run.call("set key", first.set_key, b"key")
    run.call("set headers", first.set_headers, [("a", b"b")])
    run.call("set topic", first.set_topic, "elsewhere")
    run.note("changed", first)


def test_a_group_is_needed_for_nothing_but_groups(run: Run) -> None:
    run.call("no group", run.kafka.Consumer, {"bootstrap.servers": run.bootstrap_servers})


def test_no_broker(run: Run) -> None:
    consumer = run.consumer({"bootstrap.servers": "127.0.0.1:1"})
    part = run.kafka.TopicPartition("t", 0)
    consumer.subscribe(["t"])
    run.call("poll", consumer.poll, 0.1)
    for name, function in (
        ("committed", lambda: consumer.committed([part], timeout=0.2)),
        ("watermarks", lambda: consumer.get_watermark_offsets(part, timeout=0.2)),
        ("list_topics", lambda: consumer.list_topics(timeout=0.2)),
        ("times", lambda: consumer.offsets_for_times([part], timeout=0.2)),
    ):
        run.call(name, function)
    run.call("close", consumer.close)
