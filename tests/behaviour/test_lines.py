"""Lines of text as records, without a Python object for each."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

import ottla
from ottla import KafkaError, TopicPartition

NewTopic = Callable[..., str]


@pytest.fixture
def settings(bootstrap: str, unique: Callable[[str], str]) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "group.id": unique("group"),
        "enable.auto.commit": False,
    }


def test_a_text_comes_back_byte_for_byte(
    bootstrap: str, new_topic: NewTopic, settings: dict[str, Any]
) -> None:
    topic, random = new_topic(1), Random(5)
    lines = [random.randbytes(random.randrange(200)).replace(b"\n", b" ") for _ in range(20_000)]
    text = b"".join(line + b"\n" for line in lines)
    # Room for few: the call waits for it.
    limits = {"bootstrap.servers": bootstrap, "queue.buffering.max.messages": 1000}
    with ottla.Producer(limits) as producer:
        assert producer.produce_lines(topic, text + b"no line yet") == len(text)
    received = bytearray()
    count = 0
    with ottla.Consumer({**settings, "enable.partition.eof": True}) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        while count < len(lines):
            taken, part = consumer.consume_lines(len(lines) - count, 10)
            assert taken > 0
            count += taken
            received += part
    assert received == text


def test_a_line_is_handed_out_as_soon_as_it_is_there(
    bootstrap: str, new_topic: NewTopic, settings: dict[str, Any]
) -> None:
    topic = new_topic(1)
    with ottla.Producer({"bootstrap.servers": bootstrap}) as producer:
        producer.produce_lines(topic, b"a\nb\n", partition=0)
        producer.produce(topic, None, partition=0)
    with ottla.Consumer(settings) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        got = b""
        while len(got) < 6:
            # An hour: the test's own time limit is what it would run into.
            got += consumer.consume_lines(1000, 3600, separator=b"|", null=b"-")[1]
    assert got == b"a|b|-|"


def test_reports_and_refusals(bootstrap: str, new_topic: NewTopic) -> None:
    topic, told = new_topic(1), []
    with ottla.Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 1000}) as producer:
        producer.produce_lines(
            topic, b"a\nb\n", on_delivery=lambda error, message: told.append(message.value())
        )
        producer.flush(20)
        with pytest.raises(ottla.KafkaException) as caught:
            producer.produce_lines(topic, b"x" * 2000 + b"\n")
    assert told == [b"a", b"b"]
    assert caught.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
    with pytest.raises(RuntimeError):
        producer.produce_lines(topic, b"x\n")
