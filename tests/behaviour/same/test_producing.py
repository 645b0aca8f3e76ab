"""produce(), poll(), flush(), purge() and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.testing.side_by_side import Run

T0_MS = 1_600_000_000_000


def read(run: Run, topic: str, count: int, partitions: int = 1) -> None:
    """Note what lies in a topic, partition by partition."""
    for partition in range(partitions):
        consumer = run.consumer()
        consumer.assign([run.kafka.TopicPartition(topic, partition, 0)])
        run.messages(consumer, count, f"partition {partition}")


def test_keys_and_values_of_every_kind(run: Run) -> None:
    topic = run.topic()
    producer = run.producer()
    for key, value in (
        (b"k", b"v"), ("k", "v"), (None, b"v"), (b"k", None), (None, None), (b"", b""), ("", ""),
        ("ключ", "значение"), (b"\x00\xff", b"\x00\xff"),
    ):  # fmt: skip
        run.call("produce", producer.produce, topic, value, key, timestamp=T0_MS)
    for bad in (5, 1.5, bytearray(b"x"), memoryview(b"x"), {}, [], object(), True):
        run.call(f"value {type(bad).__name__}", producer.produce, topic, bad)
        run.call(f"key {type(bad).__name__}", producer.produce, topic, b"", bad)
    run.call("flush", producer.flush, 10)
    read(run, topic, 9)


def test_bad_arguments(run: Run) -> None:
    topic = run.topic()
    producer = run.producer()
    run.call("no topic", producer.produce)
    for bad in (None, b"bytes", 5):
        run.call(f"topic {bad!r}", producer.produce, bad, b"x")
    run.call("empty topic", producer.produce, "", b"x")
    run.call("partition None", producer.produce, topic, b"x", partition=None)
    run.call("partition text", producer.produce, topic, b"x", partition="0")
    run.call("timestamp None", producer.produce, topic, b"x", timestamp=None)
    run.call("timestamp float", producer.produce, topic, b"x", timestamp=1.5)
    run.call("no callback", producer.produce, topic, b"x", callback=5)
    run.call("no on_delivery", producer.produce, topic, b"x", on_delivery="x")
    run.call("unknown keyword", producer.produce, topic, b"x", header=[])
    run.call("callback None", producer.produce, topic, b"x", callback=None, on_delivery=None)
    run.call("len", len, producer)
    run.call("poll text", producer.poll, "x")
    run.call("poll None", producer.poll, None)
    run.call("flush text", producer.flush, "x")


@pytest.mark.parametrize("form", ["list", "dict", "pairs of str", "mixed"])
def test_headers(run: Run, form: str) -> None:
    topic = run.topic()
    headers: Any = {
        "list": [("a", b"1"), ("a", b"2"), ("b", b""), ("c", None)],
        "dict": {"a": b"1", "b": "text", "c": None},
        "pairs of str": [("a", "текст"), ("b", "")],
        "mixed": [("a", b"1"), ("b", "x"), ("ключ", None)],
    }[form]
    producer = run.producer()
    run.call("produce", producer.produce, topic, b"x", headers=headers, timestamp=T0_MS)
    run.call("flush", producer.flush, 10)
    read(run, topic, 1)


def test_bad_headers(run: Run) -> None:
    producer = run.producer()
    for bad in (
        5, "ab", b"ab", [("a",)], [("a", b"1", b"2")], [(b"a", b"1")], [("a", 5)], {"a": 5},
        [5], [["a", b"1"]], ("a", b"1"), {5: b"x"}, [("a", [b"1"])],
    ):  # fmt: skip
        run.call(f"headers {bad!r}", producer.produce, "anything", b"x", headers=bad)
    run.note("queued", len(producer))
    for good in (None, [], {}, ()):
        run.call(f"headers {good!r}", producer.produce, "anything", b"x", headers=good)


def test_timestamps(run: Run) -> None:
    topic = run.topic()
    producer = run.producer()
    for timestamp_ms in (T0_MS, T0_MS + 5, 1, 0, T0_MS - 1_000_000_000):
        run.call("produce", producer.produce, topic, b"x", timestamp=timestamp_ms)
    run.call("flush", producer.flush, 10)
    delivered = run.callback("delivered", only=[0])
    run.call("negative", producer.produce, topic, b"x", timestamp=-5, on_delivery=delivered)
    run.call("huge", producer.produce, topic, b"x", timestamp=1 << 70)
    run.call("flush", producer.flush, 10)
    read(run, topic, 5)


def test_log_append_time(run: Run) -> None:
    topic = run.topic(message_timestamp_type="LogAppendTime")
    producer = run.producer()
    producer.produce(topic, b"x", timestamp=T0_MS, on_delivery=run.callback("delivered"))
    run.call("flush", producer.flush, 10)
    read(run, topic, 1)


def test_a_full_queue_of_messages(run: Run) -> None:
    producer = run.producer({"queue.buffering.max.messages": 3, "linger.ms": 60_000})
    topic = run.topic()
    for number in range(5):
        run.call(f"produce {number}", producer.produce, topic, b"x")
    run.note("queued", len(producer))
    run.call("flush", producer.flush, 10)
    run.call("again", producer.produce, topic, b"x")


def test_a_full_queue_of_bytes(run: Run) -> None:
    producer = run.producer({"queue.buffering.max.kbytes": 1, "linger.ms": 60_000})
    topic = run.topic()
    run.call("half", producer.produce, topic, b"x" * 600)
    run.call("whole", producer.produce, topic, b"x" * 600)
    run.note("queued", len(producer))
    run.call("flush", producer.flush, 10)
    run.call("larger than the queue", producer.produce, topic, b"x" * 2000)


def test_an_oversized_message(run: Run) -> None:
    topic = run.topic()
    producer = run.producer({"message.max.bytes": 2000})
    run.call("value", producer.produce, topic, b"x" * 2001)
    run.call("key", producer.produce, topic, b"x", b"k" * 2001)
    run.call("both", producer.produce, topic, b"x" * 1200, b"k" * 1200)
    run.call("fits", producer.produce, topic, b"x" * 1000)
    run.note("queued", len(producer))
    run.call("flush", producer.flush, 10)


def test_the_broker_refuses_a_large_message(run: Run) -> None:
    topic = run.topic(max_message_bytes="10000")
    producer = run.producer()
    producer.produce(topic, b"x" * 20_000, b"k", on_delivery=run.callback("delivered"))
    run.call("flush", producer.flush, 10)
    producer.produce(topic, b"small", on_delivery=run.callback("delivered", only=[0]))
    run.call("flush", producer.flush, 10)


def test_a_partition_that_does_not_exist(run: Run) -> None:
    topic = run.topic(2)
    producer = run.producer()
    delivered = run.callback("delivered")
    producer.produce(topic, b"learns the topic", partition=0, on_delivery=delivered)
    run.call("flush", producer.flush, 10)
    run.call("partition 2", producer.produce, topic, b"x", partition=2, on_delivery=delivered)
    run.call("partition -2", producer.produce, topic, b"x", partition=-2, on_delivery=delivered)
    run.call("partition 1", producer.produce, topic, b"x", partition=1, on_delivery=delivered)
    run.call("flush", producer.flush, 10)


def test_a_partition_that_does_not_exist_of_a_topic_not_known_yet(run: Run) -> None:
    topic = run.topic(2)
    producer = run.producer()
    run.call(
        "partition 7", producer.produce, topic, b"x", partition=7,
        on_delivery=run.callback("delivered"),
    )  # fmt: skip
    run.call("flush", producer.flush, 10)


def test_a_bad_topic_name(run: Run) -> None:
    producer = run.producer({"message.timeout.ms": 5000})
    delivered = run.callback("delivered")
    run.call("odd name", producer.produce, "no/such?name", b"x", on_delivery=delivered)
    run.call("flush", producer.flush, 10)


def test_an_unknown_topic(run: Run) -> None:
    settings = {"allow.auto.create.topics": False, "topic.metadata.propagation.max.ms": 500}
    producer = run.producer(settings)
    # Kafka creates topics for producers unless it is told not to.
    topic = run.name("topic") + "?"
    run.call("produce", producer.produce, topic, b"1", on_delivery=run.callback("delivered"))
    run.call("flush", producer.flush, 10)
    run.call("again", producer.produce, topic, b"2", on_delivery=run.callback("delivered"))


def test_a_message_without_a_broker_times_out(run: Run) -> None:
    settings = {"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": 300}
    producer = run.producer(settings)
    run.call("produce", producer.produce, "t", b"v", b"k", on_delivery=run.callback("delivered"))
    run.call("flush too short", producer.flush, 0.05)
    run.call("flush", producer.flush, 10)
    run.note("queued", len(producer))


def test_purge(run: Run) -> None:
    topic = run.topic()
    producer = run.producer({"linger.ms": 60_000})
    for number in range(3):
        value = b"%d" % number
        producer.produce(topic, value, partition=0, on_delivery=run.callback("delivered"))
    run.note("queued", len(producer))
    run.call("purge nothing", producer.purge, in_queue=False, in_flight=False)
    run.call("poll", producer.poll, 0)
    run.call("purge", producer.purge)
    run.call("flush", producer.flush, 10)
    run.note("queued", len(producer))
    run.call("positional", producer.purge, True, True, True)
    run.call("bad", producer.purge, in_queue="x")
    run.call("unknown", producer.purge, queue=True)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_compression(run: Run, codec: str) -> None:
    topic = run.topic()
    producer = run.producer({"compression.type": codec, "linger.ms": 50})
    for number in range(4):
        producer.produce(topic, b"%d" % number * 100, b"k", 0, timestamp=T0_MS + number)
    run.call("flush", producer.flush, 10)
    read(run, topic, 4)


@pytest.mark.parametrize("acks", [0, 1, -1, "all"])
def test_acks(run: Run, acks: Any) -> None:
    topic = run.topic()
    producer = run.producer({"acks": acks})
    producer.produce(topic, b"x", b"k", 0, on_delivery=run.callback("delivered"))
    run.call("flush", producer.flush, 10)
    read(run, topic, 1)


@pytest.mark.parametrize(
    "partitioner",
    ["consistent", "consistent_random", "murmur2", "murmur2_random", "fnv1a", "fnv1a_random"],
)
def test_partitioners_agree(run: Run, partitioner: str) -> None:
    topic = run.topic(7)
    producer = run.producer({"partitioner": partitioner})
    chosen: dict[bytes | None, int] = {}
    for number in range(40):
        key = b"key-%d" % number
        producer.produce(
            topic, b"", key, on_delivery=lambda _, m: chosen.update({m.key(): m.partition()})
        )
    producer.produce(
        topic, b"", b"", on_delivery=lambda _, m: chosen.update({m.key(): m.partition()})
    )
    run.call("flush", producer.flush, 10)
    empty = chosen.pop(b"")
    run.note("chosen", sorted(chosen.items()))
    if not partitioner.endswith("random"):
        run.note("without a key", empty)


def test_a_partition_may_be_chosen(run: Run) -> None:
    topic = run.topic(3)
    producer = run.producer()
    for partition in (0, 1, 2):
        producer.produce(topic, b"%d" % partition, b"same key", partition, timestamp=T0_MS)
    run.call("flush", producer.flush, 10)
    read(run, topic, 1, partitions=3)


def test_batches_of_messages(run: Run) -> None:
    topic = run.topic()
    producer = run.producer()
    messages: list[dict[str, Any]] = [
        {"value": b"1", "key": b"k"}, {"value": "2"}, {"key": "only key"}, {}, {"value": None},
    ]  # fmt: skip
    run.call("batch", producer.produce_batch, topic, messages, partition=0)
    run.note("messages", messages)
    run.call("flush", producer.flush, 10)
    run.call("empty", producer.produce_batch, topic, [])
    run.call("tuple", producer.produce_batch, topic, ({"value": b"x"},))
    run.call("not dictionaries", producer.produce_batch, topic, [b"x"])
    run.call("some not dictionaries", producer.produce_batch, topic, [{"value": b"x"}, 5])
    run.note("queued", len(producer))
    run.call("no topic", producer.produce_batch)
    read(run, topic, 5)


def test_batches_report_each_message(run: Run) -> None:
    topic = run.topic()
    producer = run.producer()
    general = run.callback("general", only=[0])
    messages = [{"value": b"1"}, {"value": b"2"}]
    run.call("batch", producer.produce_batch, topic, messages, 0, general)
    run.call("flush", producer.flush, 10)
    more = [{"value": b"3"}]
    run.call("named", producer.produce_batch, topic, more, partition=0, on_delivery=general)
    run.call("flush", producer.flush, 10)


def test_batches_beyond_the_queue(run: Run) -> None:
    topic = run.topic()
    producer = run.producer({"queue.buffering.max.messages": 2, "linger.ms": 60_000})
    messages: list[dict[str, Any]] = [{"value": b"%d" % number} for number in range(4)]
    run.call("batch", producer.produce_batch, topic, messages, partition=0)
    run.note("messages", messages)
    run.call("flush", producer.flush, 10)


def test_batches_with_an_oversized_message(run: Run) -> None:
    topic = run.topic()
    producer = run.producer({"message.max.bytes": 1000})
    messages: list[dict[str, Any]] = [{"value": b"1"}, {"value": b"x" * 2000}, {"value": b"3"}]
    run.call("batch", producer.produce_batch, topic, messages, partition=0)
    run.note("errors", [message.get("_error") for message in messages])
    run.call("flush", producer.flush, 10)


def test_list_topics_and_cluster_id(run: Run) -> None:
    topic = run.topic(2)
    for client in (run.producer(), run.consumer()):
        metadata = client.list_topics(topic, timeout=10)
        run.note("topics", dict(metadata.topics))
        run.note("brokers", len(metadata.brokers), metadata.controller_id in metadata.brokers)
        run.note("kind", type(metadata).__name__, str(metadata.topics[topic]))
        everything = client.list_topics(timeout=10)
        run.note("all", topic in everything.topics)
        run.note("cluster", client.cluster_id(10) == metadata.cluster_id)
        run.call("bad timeout", client.list_topics, timeout="x")
        missing = client.list_topics("no/such", timeout=10)
        run.note("missing", missing.topics)
