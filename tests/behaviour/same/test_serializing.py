"""SerializingProducer and DeserializingConsumer: objects in, objects out."""

from __future__ import annotations

import importlib
import json
from typing import Any

from ottla.testing.side_by_side import Run

FROM_THE_BEGINNING = {"auto.offset.reset": "earliest", "enable.partition.eof": True}


def serialization(run: Run) -> Any:
    return importlib.import_module(f"{run.kafka.__name__}.serialization")


def errors(run: Run) -> Any:
    return importlib.import_module(f"{run.kafka.__name__}.error")


def producer(run: Run, **serializers: Any) -> Any:
    named = {f"{part}.serializer": each for part, each in serializers.items()}
    settings = {"bootstrap.servers": run.bootstrap_servers, "log_level": 0, **named}
    made = run.kafka.SerializingProducer(settings)
    run.at_the_end(made.close)
    return made


def consumer(run: Run, topic: str, **deserializers: Any) -> Any:
    named = {f"{part}.deserializer": each for part, each in deserializers.items()}
    ours = {"bootstrap.servers": run.bootstrap_servers, "log_level": 0}
    settings = {**ours, **FROM_THE_BEGINNING, "group.id": run.name("group"), **named}
    made = run.kafka.DeserializingConsumer(settings)
    run.at_the_end(made.close)
    made.assign([run.kafka.TopicPartition(topic, 0, 0)])
    return made


def read(run: Run, consumer: Any, count: int) -> None:
    """Note what a consumer gets, the exceptions among it."""
    for _ in range(count):
        try:
            message = consumer.poll(20)
        except run.kafka.KafkaException as error:
            run.note("raised", type(error), error.code, error.name, error, error.exception)
            run.note("message", error.kafka_message)
            continue
        run.note("message", message)
        run.note("objects", message.deserialized_key(), message.deserialized_value())


def test_numbers_and_texts_there_and_back(run: Run) -> None:
    names, topic = serialization(run), run.topic()
    sender = producer(run, key=names.IntegerSerializer(), value=names.StringSerializer("utf_16_be"))
    report = run.callback("report")
    run.call("both", sender.produce, topic, 7, "sieben", on_delivery=report)
    run.call("flush", sender.flush, 20)
    run.call("neither", sender.produce, topic, on_delivery=report)
    run.call("flush", sender.flush, 20)
    receiver = consumer(
        run, topic, key=names.IntegerDeserializer(), value=names.StringDeserializer("utf_16_be")
    )
    read(run, receiver, 3)
    run.call("consume", receiver.consume, 1, 1)


def test_serializers_are_told_of_what(run: Run) -> None:
    topic = run.topic()

    def serialize(thing: Any, context: Any) -> bytes:
        run.note("to bytes", thing, context.topic, str(context.field), context.headers)
        return json.dumps(thing).encode()

    def deserialize(data: bytes | None, context: Any) -> Any:
        run.note("from bytes", data, context.topic, str(context.field), context.headers)
        return json.loads(data or b"")

    sender = producer(run, key=serialize, value=serialize)
    sender.produce(topic, ["k"], {"v": 1}, 0, headers=[("h", b"x")])
    sender.produce(topic, key=None, value=[], partition=0, timestamp=1_600_000_000_000)
    run.call("flush", sender.flush, 20)
    read(run, consumer(run, topic, key=deserialize, value=deserialize), 2)


def test_what_cannot_be_serialized_is_not_sent(run: Run) -> None:
    names, topic = serialization(run), run.topic()
    sender = producer(run, key=names.IntegerSerializer(), value=names.StringSerializer())
    for label, key, value in (("key", "x", "v"), ("value", 1, 5), ("both", "x", 5)):
        try:
            sender.produce(topic, key, value)
        except errors(run).ProduceError as error:
            run.note(label, type(error), error.code, error.name, type(error.exception))
        except Exception as error:  # what a serializer raises itself may be anything
            run.note(label, type(error))
    run.note("waiting", len(sender))


def test_what_cannot_be_deserialized_is_passed_over(run: Run) -> None:
    names, topic = serialization(run), run.topic()
    run.fill(topic, [b"\xff"], key=b"\0\0\0\1")
    run.fill(topic, [b"good"], key=b"\0\0\0\2")
    run.fill(topic, [b"good"], key=b"no number")
    receiver = consumer(
        run, topic, key=names.IntegerDeserializer(), value=names.StringDeserializer()
    )
    read(run, receiver, 4)


def test_without_serializers_there_are_bytes(run: Run) -> None:
    topic = run.topic()
    sender = producer(run)
    run.call("bytes", sender.produce, topic, b"k", "v")
    run.call("number", sender.produce, topic, 1)
    run.call("flush", sender.flush, 20)
    read(run, consumer(run, topic), 2)


def test_closed_ones_and_bad_arguments(run: Run) -> None:
    called: list[Any] = []
    sender = producer(run, value=lambda thing, _: called.append(thing))
    run.call("no topic", sender.produce, 5, "k", "v")
    run.call("close", sender.close)
    run.call("produce", sender.produce, "t", "k", "v")
    run.note("serialized", called)
    receiver = consumer(run, run.topic())
    run.call("close", receiver.close)
    run.call("poll", receiver.poll, 0)
    run.call("unknown key", run.kafka.DeserializingConsumer, {"group.id": "g", "kee.y": 1})
    run.call("no group", run.kafka.DeserializingConsumer, {})
    run.note("generic", run.kafka.DeserializingConsumer[str, int].__name__)
    run.note("generic", run.kafka.SerializingProducer[str, int].__name__)
