"""Making clients: what a configuration may hold, and how a bad one is refused."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from ottla.testing.side_by_side import Run

REFUSED_BY_ALL: list[dict[str, Any]] = [
    {"buffer.memory": 1},
    {"key.serializer": "x"},
    {"max.block.ms": 1},
    {"partitioner.class": "x"},
    {"fetch.max.wait.ms": 1},
    {"zookeeper.connect": "localhost"},
    {"log_cb": print},
    {"linger.ms": -1},
    {"linger.ms": "soon"},
    {"queue.buffering.max.ms": 900_001},
    {"acks": 1001},
    {"acks": "most"},
    {"compression.codec": "brotli"},
    {"compression.type": 7},
    {"compression.level": 13},
    {"partitioner": "best"},
    {"enable.idempotence": "perhaps"},
    {"security.protocol": "carrier-pigeon"},
    {"client.dns.lookup": "guess"},
    {"auto.offset.reset": "yesterday"},
    {"isolation.level": "read_everything"},
    {"session.timeout.ms": 0},
    {"group.protocol": "modern"},
    {"message.max.bytes": 999},
    {"socket.timeout.ms": 9},
    {"log_level": 8},
    {"enable.idempotence": True, "acks": "1"},
    {"enable.idempotence": True, "max.in.flight": 6},
    {"transactional.id": "t", "transaction.timeout.ms": 1000, "message.timeout.ms": 2000},
    {"default.topic.config": {"acks": "most"}},
    {"default.topic.config": {"no.such.key": 1}},
    {"default.topic.config": 5},
    {"on_delivery": 5},
    {"on_commit": 5},
    {"error_cb": 5},
    {"stats_cb": "x"},
    {"throttle_cb": 5},
    {"oauth_cb": 5},
    {"bootstrap.servers": ["a:1", "b:2"]},
    {"client.id": None},
    {5: "x"},
]


def attempt(run: Run, label: str, make: Any, *args: Any, **kwargs: Any) -> None:
    """Note whether a client could be made."""
    # Passing no keywords isn't the same as passing an empty dictionary of them.
    made = (lambda: make(*args, **kwargs)) if kwargs else (lambda: make(*args))
    run.call(label, lambda: type(made()).__name__)


@pytest.mark.parametrize("settings", REFUSED_BY_ALL, ids=lambda each: "+".join(map(str, each)))
def test_a_bad_setting(run: Run, settings: dict[str, Any]) -> None:
    for make in (run.kafka.Producer, run.kafka.Consumer, run.admin.AdminClient):
        needed = {"group.id": "g"} if make is run.kafka.Consumer else {}
        attempt(run, make.__name__, make, {**needed, **settings})


@pytest.mark.parametrize("key", ["sasl.jaas.config", "ssl.truststore.location"])
def test_what_only_java_has(run: Run, key: str) -> None:
    # The text says what to use instead, each library in its own words.
    run.code_of("producer", run.kafka.Producer, {key: "x"})


def test_ways_to_pass_a_configuration(run: Run) -> None:
    producer, consumer = run.kafka.Producer, run.kafka.Consumer
    attempt(run, "dictionary", producer, {"client.id": "x"})
    attempt(run, "keywords", producer, **{"client.id": "x", "linger.ms": 1})
    attempt(run, "both", producer, {"client.id": "x"}, **{"linger.ms": 1})
    attempt(run, "both, one bad", producer, {"client.id": "x"}, **{"linger.ms": -5})
    attempt(run, "underscores", producer, bootstrap_servers="x")
    attempt(run, "nothing", producer)
    attempt(run, "an empty dictionary", producer, {})
    attempt(run, "two dictionaries", producer, {}, {})
    attempt(run, "a list", producer, [("client.id", "x")])
    attempt(run, "a text", producer, "client.id")
    attempt(run, "no group", consumer, {"client.id": "x"})
    attempt(run, "consumer of nothing", consumer)
    attempt(run, "no configuration", run.admin.AdminClient, {})
    attempt(run, "admin of nothing", run.admin.AdminClient)


def test_the_dictionary_stays_as_it_was(run: Run) -> None:
    settings = {"client.id": "x", "default.topic.config": {"acks": "1"}, "error_cb": print}
    run.kafka.Producer(settings)
    run.note("keys", sorted(settings), settings["default.topic.config"])
    settings["group.id"] = "g"
    run.kafka.Consumer(settings).close()
    run.note("keys", sorted(settings), settings["default.topic.config"])


def test_old_names_are_taken(run: Run) -> None:
    for settings in (
        {"metadata.broker.list": "localhost:1", "message.send.max.retries": 3},
        {"queue.buffering.max.ms": 3, "compression.codec": "gzip"},
        {"request.required.acks": 1, "delivery.timeout.ms": 1000},
        {"max.in.flight": 1, "default.topic.config": {"message.timeout.ms": 7}},
        {"api.version.request": True, "broker.version.fallback": "0.9.0"},
        {"socket.blocking.max.ms": 10, "produce.offset.report": False},
        {"fetch.message.max.bytes": 100, "offset.store.method": "broker"},
        {"enable.idempotence": "true", "linger.ms": "2.5", "acks": "all"},
        {"compression.type": "zstd", "compression.level": 3, "statistics.interval.ms": "0"},
    ):
        attempt(run, str(sorted(settings)), run.kafka.Producer, settings)


def test_an_unknown_key_keeps_its_error(run: Run) -> None:
    try:
        run.kafka.Producer({"group.idd": "x"})
    except run.kafka.KafkaException as error:
        [inner] = error.args
        run.note("error", inner, inner.code(), inner.name(), str(inner), repr(inner))
        run.note("compared", inner == run.kafka.KafkaError._INVALID_ARG, inner.code() == -186)
        run.note("exception", str(error))


def test_a_logger_may_be_passed(run: Run) -> None:
    logger = logging.getLogger("behaviour")
    attempt(run, "keyword", run.kafka.Producer, {"client.id": "x"}, logger=logger)
    attempt(run, "key", run.kafka.Producer, {"logger": logger})
    attempt(run, "no logger", run.kafka.Producer, {}, logger=None)


def test_settings_for_the_other_kind_are_accepted(run: Run) -> None:
    quiet = {"log_level": 0}
    attempt(run, "producer", run.kafka.Producer, {**quiet, "group.id": "g"})
    attempt(run, "reset", run.kafka.Producer, {**quiet, "auto.offset.reset": "error"})
    attempt(run, "consumer", run.kafka.Consumer, {**quiet, "group.id": "g", "acks": 1})


def test_clients_know_how_to_describe_themselves(run: Run) -> None:
    producer, consumer = run.producer(), run.consumer()
    for client in (producer, consumer):
        run.note("type", type(client).__name__)
        run.note("truth", bool(client))
    run.note("length", len(producer))
    run.call("length of a consumer", len, consumer)
    run.note("version", type(run.kafka.version()).__name__)
    run.note("library", [type(each).__name__ for each in run.kafka.libversion()])


def test_clients_are_context_managers(run: Run) -> None:
    topic = run.topic()
    with run.kafka.Producer({"bootstrap.servers": run.bootstrap_servers}) as producer:
        producer.produce(topic, b"flushed at the end", on_delivery=run.callback("delivered"))
        with_block = producer
    run.call("produce after", with_block.produce, topic, b"x")
    with run.consumer() as consumer:
        consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
        run.messages(consumer, 1)
    run.call("poll after", consumer.poll, 0)


def test_subclasses_work(run: Run) -> None:
    topic = run.topic()

    class Mine(run.kafka.Producer):  # type: ignore[misc]
        def __init__(self, settings: dict[str, Any]) -> None:
            super().__init__(settings)
            self.extra = 1

        def produce(self, *args: Any, **kwargs: Any) -> None:
            run.note("my produce", args)
            super().produce(*args, **kwargs)

    mine = Mine({"bootstrap.servers": run.bootstrap_servers})
    mine.produce(topic, b"x")
    run.call("flush", mine.flush, 10)
    run.note("extra", mine.extra, isinstance(mine, run.kafka.Producer))

    class Reader(run.kafka.Consumer):  # type: ignore[misc]
        def poll(self, timeout: float = -1) -> Any:
            return super().poll(timeout)

    reader = Reader({"bootstrap.servers": run.bootstrap_servers, "group.id": run.name("group")})
    reader.assign([run.kafka.TopicPartition(topic, 0, 0)])
    run.messages(reader, 1)
    reader.close()
