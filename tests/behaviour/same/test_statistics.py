"""stats_cb: when it is called, and what the document holds."""

from __future__ import annotations

import json
from typing import Any

from ottla.testing.side_by_side import Run


def shape(document: Any) -> Any:
    """The keys of a document, level by level, whatever their values."""
    if isinstance(document, dict):
        return {key: shape(document[key]) for key in sorted(document)}
    return type(document).__name__.replace("float", "number").replace("int", "number")


def last_document(run: Run, client: Any, documents: list[str], is_enough: Any) -> Any:
    """Poll a client until a document satisfies a condition."""

    def polled() -> Any:
        client.poll(0.02)
        return documents and is_enough(json.loads(documents[-1]))

    run.serve_until(run.producer(), polled, "statistics")
    return json.loads(documents[-1])


def test_of_a_producer(run: Run) -> None:
    topic = run.topic()
    documents: list[str] = []
    settings = {"statistics.interval.ms": 50, "stats_cb": documents.append, "client.id": "me"}
    producer = run.producer(settings)
    for _ in range(5):
        producer.produce(topic, b"x" * 100, partition=0)
    producer.flush(10)
    document = last_document(run, producer, documents, lambda each: each["txmsgs"] == 5)
    run.note("kind", type(documents[0]).__name__)
    topics, brokers = document.pop("topics"), document.pop("brokers")
    run.note("top", shape(document))
    run.note("facts", [document[key] for key in ("client_id", "type", "txmsgs")])
    # What of the framing is counted is each library's own.
    run.note("bytes", document["txmsg_bytes"] >= 500)
    [name] = [name for name, each in brokers.items() if each["nodeid"] == 1]
    # By the names of requests; those never sent need not be told.
    requests = brokers[name].pop("req")
    run.note("requests", requests["Produce"] > 0)
    run.note("broker", shape(brokers[name]))
    run.note("state", brokers[name]["state"])
    partitions = topics[topic].pop("partitions")
    run.note("topic", shape(topics[topic]))
    run.note("partition", shape(partitions["0"]), partitions["0"]["txmsgs"])


def test_of_a_consumer(run: Run) -> None:
    topic = run.topic()
    run.fill(topic, [b"x"] * 4)
    documents: list[str] = []
    settings = {"statistics.interval.ms": 50, "stats_cb": documents.append}
    consumer = run.consumer(settings)
    consumer.subscribe([topic])
    run.messages(consumer, 4)

    def is_enough(document: Any) -> bool:
        partition = document["topics"].get(topic, {}).get("partitions", {}).get("0", {})
        return partition.get("app_offset") == 4 and partition.get("hi_offset") == 4

    document = last_document(run, consumer, documents, is_enough)
    topics, brokers = document.pop("topics"), document.pop("brokers")
    run.note("top", shape(document))
    run.note("group", document["cgrp"]["state"], document["cgrp"]["assignment_size"])
    run.note("brokers", bool(brokers))
    partitions = topics[topic].pop("partitions")
    run.note("topic", shape(topics[topic]))
    partition = partitions["0"]
    run.note("partition", shape(partition))
    for key in ("app_offset", "stored_offset", "committed_offset", "hi_offset", "lo_offset",
                "ls_offset", "consumer_lag", "rxmsgs", "leader"):  # fmt: skip
        run.note(key, partition[key])


def test_the_callback_may_raise(run: Run) -> None:
    raised: list[str] = []

    def fail(document: str) -> None:
        raise ValueError(type(document).__name__)

    producer = run.producer({"statistics.interval.ms": 20, "stats_cb": fail})

    def polled() -> bool:
        try:
            producer.poll(0.1)
        except ValueError as error:
            raised.append(str(error))
        return bool(raised)

    run.serve_until(run.producer(), polled, "the exception")
    run.note("raised", raised)


def test_nothing_without_an_interval(run: Run) -> None:
    producer = run.producer({"stats_cb": run.callback("statistics")})
    run.call("poll", producer.poll, 0.1)
