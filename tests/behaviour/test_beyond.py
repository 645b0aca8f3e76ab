"""What a program can have of Ottla's synchronous clients that confluent_kafka's don't do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import ottla
from ottla.testing.topics import create_topic
from ottla.testing.waiting import eventually

NewTopic = Callable[..., str]
Unique = Callable[[str], str]
_MEBIBYTE = 1 << 20


def run_python(code: str, *arguments: str, **environment: str) -> str:
    """Run a program in a process of its own; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, timeout=60, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


def consumer_of(bootstrap: str, topic: str, group: str, **settings: Any) -> ottla.Consumer:
    dotted = {key.replace("_", "."): value for key, value in settings.items()}
    consumer = ottla.Consumer({"bootstrap.servers": bootstrap, "group.id": group, **dotted})
    consumer.assign([ottla.TopicPartition(topic, 0, 0)])
    return consumer


def test_a_future_for_each_message(bootstrap: str, new_topic: NewTopic) -> None:
    topic = new_topic(1, **{"max.message.bytes": "10000"})
    with ottla.Producer({"bootstrap.servers": bootstrap}) as producer:
        futures = [producer.send(topic, b"%d" % number) for number in range(10)]
        # Nobody polls: what was asked for by a future comes by itself.
        assert [each.result(10).offset() for each in futures] == list(range(10))
        failing = producer.send(topic, b"x" * 20_000)
        error = failing.exception(10)
        assert isinstance(error, ottla.KafkaException)
        assert error.args[0].code() == ottla.KafkaError.MSG_SIZE_TOO_LARGE


def test_futures_are_settled_though_only_errors_are_reported(
    bootstrap: str, new_topic: NewTopic
) -> None:
    topic = new_topic()
    told: list[ottla.Message] = []
    settings = {"bootstrap.servers": bootstrap, "delivery.report.only.error": True}
    with ottla.Producer(settings) as producer:
        future = producer.send(topic, b"a")
        producer.produce(topic, b"b", on_delivery=lambda _, message: told.append(message))
        assert future.result(10).value() == b"a"
        assert producer.flush(10) == 0
    assert told == []


def test_a_batch_may_carry_headers_and_timestamps(
    bootstrap: str, new_topic: NewTopic, unique: Unique
) -> None:
    topic = new_topic()
    with ottla.Producer({"bootstrap.servers": bootstrap}) as producer:
        messages = [
            {"value": b"%d" % number, "headers": [("n", b"%d" % number)],
             "timestamp": 1_600_000_000_000 + number}
            for number in range(3)
        ]  # fmt: skip
        assert producer.produce_batch(topic, messages) == 3
    with consumer_of(bootstrap, topic, unique("group")) as consumer:
        received = consumer.consume(3, 10)
    assert [message.headers() for message in received] == [
        [("n", b"%d" % number)] for number in range(3)
    ]
    assert [message.timestamp()[1] for message in received] == [
        1_600_000_000_000 + number for number in range(3)
    ]


def test_delivery_reports_tell_the_headers(bootstrap: str, new_topic: NewTopic) -> None:
    topic = new_topic()
    told: list[Any] = []
    with ottla.Producer({"bootstrap.servers": bootstrap}) as producer:
        producer.produce(
            topic, b"x", headers={"a": b"b"}, on_delivery=lambda _, m: told.append(m.headers())
        )
    assert told == [[("a", b"b")]]


def test_a_full_queue_may_be_waited_for(bootstrap: str, new_topic: NewTopic) -> None:
    topic = new_topic()
    settings = {"bootstrap.servers": bootstrap, "queue.buffering.max.messages": 5}
    with ottla.Producer({**settings, "linger.ms": 0}) as producer:
        futures = [producer.send(topic, b"%d" % number, timeout=10) for number in range(200)]
        assert [each.result(10).offset() for each in futures] == list(range(200))


def test_a_consumer_is_iterated(bootstrap: str, new_topic: NewTopic, unique: Unique) -> None:
    topic = new_topic()
    with ottla.Producer({"bootstrap.servers": bootstrap}) as producer:
        for number in range(5):
            producer.produce(topic, b"%d" % number)
    values = []
    with consumer_of(bootstrap, topic, unique("group")) as consumer:
        for message in consumer:
            values.append(message.value())
            if len(values) == 5:
                break
    assert values == [b"0", b"1", b"2", b"3", b"4"]


def test_an_unknown_partition_is_told(bootstrap: str, new_topic: NewTopic, unique: Unique) -> None:
    # As long as a new partition may take to be known everywhere.
    soon = {"topic.metadata.propagation.max.ms": 100, "topic.metadata.refresh.interval.ms": 50}
    settings = {"bootstrap.servers": bootstrap, "group.id": unique("group"), **soon}
    with ottla.Consumer(settings) as consumer:
        consumer.assign([ottla.TopicPartition(new_topic(), 5, 0)])
        message = eventually(lambda: consumer.poll(0.1), what="the error")
        assert message.error() is not None
        assert message.error().code() == ottla.KafkaError._UNKNOWN_PARTITION


def test_the_broker_can_be_waited_for(bootstrap: str, unique: Unique) -> None:
    ottla.Producer({"bootstrap.servers": bootstrap}).wait_connected(10)
    with ottla.Consumer({"bootstrap.servers": bootstrap, "group.id": unique("group")}) as consumer:
        consumer.wait_connected(10)


def test_why_a_broker_cannot_be_reached() -> None:
    for servers, reason in (
        ("127.0.0.1:1", "refused"),
        ("no-such-host.invalid:9092", "no-such-host.invalid"),
    ):
        producer = ottla.Producer({"bootstrap.servers": servers, "log_level": 0})
        with pytest.raises(ottla.KafkaException, match=reason):
            producer.wait_connected(1.0)
        producer.close()


def test_the_byte_budget_of_what_is_fetched_ahead_holds(
    bootstrap: str, new_topic: NewTopic, unique: Unique
) -> None:
    topic = new_topic()
    with ottla.Producer({"bootstrap.servers": bootstrap}) as producer:
        for _ in range(64 * 1024):
            producer.produce(topic, b"x" * 1024)
    # A process of its own: memory that was once used is rarely given back.
    program = """
import resource, sys, threading
import ottla
servers, topic, group = sys.argv[1:]
consumer = ottla.Consumer({
    "bootstrap.servers": servers, "group.id": group, "queued.max.messages.kbytes": 4096,
})
before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
consumer.assign([ottla.TopicPartition(topic, 0, 0)])
assert consumer.poll(20) is not None
threading.Event().wait(1.0)
idle_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
left = 64 * 1024 - 1
while left:
    left -= len(consumer.consume(500, 1.0))
busy_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
consumer.close()
print(idle_kib // 1024, busy_kib // 1024)
"""
    idle_mib, busy_mib = map(int, run_python(program, bootstrap, topic, unique("group")).split())
    # The budget of 4 MiB, an answer on its way, and what the interpreter loads meanwhile.
    assert idle_mib <= 24
    assert busy_mib <= 24


def test_a_forked_child_is_told(bootstrap: str, new_topic: NewTopic, unique: Unique) -> None:
    topic = new_topic()
    program = """
import os, sys
import ottla
servers, topic, group = sys.argv[1:]
producer = ottla.Producer({"bootstrap.servers": servers})
consumer = ottla.Consumer({"bootstrap.servers": servers, "group.id": group})
consumer.assign([ottla.TopicPartition(topic, 0, 0)])
producer.produce(topic, b"of the parent")
producer.flush(10)
child = os.fork()
if not child:
    told = []
    for call in (
        lambda: producer.produce(topic, b"x"), lambda: producer.flush(1),
        lambda: producer.poll(0), lambda: consumer.poll(0), lambda: consumer.consume(1, 0),
        lambda: consumer.commit(),
    ):
        try:
            call()
            told.append("nothing")
        except RuntimeError as error:
            told.append("fork" in str(error))
    try:
        own = ottla.Producer({"bootstrap.servers": servers})
        own.produce(topic, b"of the child")
        told.append(own.flush(10) == 0)
    except Exception as error:
        told.append(error)
    print(told, flush=True)
    os._exit(0)
os.waitpid(child, 0)
producer.produce(topic, b"of the parent again")
print(producer.flush(10), sorted(message.value() for message in consumer.consume(3, 10)))
"""
    child, parent = run_python(program, bootstrap, topic, unique("group")).splitlines()
    assert child == str([True] * 7)
    assert parent == "0 [b'of the child', b'of the parent', b'of the parent again']"


def test_the_pure_twin_does_the_same_and_is_told_of_once(
    bootstrap: str, new_topic: NewTopic, unique: Unique
) -> None:
    topic = new_topic()
    program = """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")
import ottla
from ottla.client import backend
servers, topic, group = sys.argv[1:]
for _ in range(2):
    producer = ottla.Producer({"bootstrap.servers": servers, "compression.type": "lz4"})
    for number in range(3):
        producer.produce(topic, b"%d" % number, b"k", headers=[("a", b"b")])
    producer.flush(10)
consumer = ottla.Consumer({"bootstrap.servers": servers, "group.id": group})
consumer.assign([ottla.TopicPartition(topic, 0, 0)])
print(backend.NAME, [message.value() for message in consumer.consume(6, 10)])
consumer.close()
"""
    values = "[b'0', b'1', b'2', b'0', b'1', b'2']"
    group = unique("group")
    asked_for = run_python(program, bootstrap, topic, group, OTTLA_PURE_PYTHON="1")
    assert asked_for.splitlines()[-1] == f"python {values}"
    # As if the extension hadn't been built.
    blocked = "import sys; sys.modules['ottla.client._native'] = None\n" + program
    lines = run_python(blocked, bootstrap, new_topic(), unique("group")).splitlines()
    assert lines[-1] == f"python {values}"
    assert [line for line in lines if "accelerator" in line] == lines[:1]


def test_a_client_that_is_forgotten_ends(bootstrap: str) -> None:
    program = """
import gc, sys, threading, time
import ottla
before = threading.active_count()
for number in range(3):
    ottla.Producer({"bootstrap.servers": sys.argv[1]})
    ottla.Consumer({"bootstrap.servers": sys.argv[1], "group.id": "g"})
gc.collect()
deadline = time.monotonic() + 10
while threading.active_count() > before and time.monotonic() < deadline:
    threading.Event().wait(0.01)
print(threading.active_count() - before)
"""
    assert run_python(program, bootstrap).strip() == "0"


def test_a_program_may_end_without_closing(bootstrap: str, new_topic: NewTopic) -> None:
    program = """
import sys
import ottla
producer = ottla.Producer({"bootstrap.servers": sys.argv[1]})
producer.produce(sys.argv[2], b"x")
producer.flush(10)
consumer = ottla.Consumer({"bootstrap.servers": sys.argv[1], "group.id": "g"})
consumer.subscribe([sys.argv[2]])
consumer.poll(0.2)
print("the end")
"""
    assert run_python(program, bootstrap, new_topic()) == "the end\n"


def test_many_clients_in_one_process(bootstrap: str, new_topic: NewTopic) -> None:
    topic = new_topic()
    producers = [ottla.Producer({"bootstrap.servers": bootstrap}) for _ in range(20)]
    told: list[int | None] = []
    for producer in producers:
        producer.produce(topic, b"x", on_delivery=lambda _, m: told.append(m.offset()))
    for producer in producers:
        producer.close()
    assert sorted(offset for offset in told if offset is not None) == list(range(20))


def test_large_messages(own_broker: Callable[..., Any]) -> None:
    broker = own_broker({"message.max.bytes": str(24 * _MEBIBYTE)})
    servers = broker.bootstrap_servers
    create_topic(servers, "t", 1, {"max.message.bytes": str(24 * _MEBIBYTE)})
    values = [bytes([number]) * (10 * _MEBIBYTE + number) for number in range(3)]
    with ottla.Producer(
        {"bootstrap.servers": servers, "message.max.bytes": 20 * _MEBIBYTE}
    ) as producer:
        for value in values:
            producer.produce("t", value)
    with consumer_of(servers, "t", "g") as consumer:
        assert [message.value() for message in consumer.consume(3, 30)] == values
