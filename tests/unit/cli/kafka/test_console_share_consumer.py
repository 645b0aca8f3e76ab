"""What the console share consumer makes of its options, and of what it is given."""

from __future__ import annotations

from typing import Any

import pytest

from ottla import AcknowledgeType, KafkaError, KafkaException, Message, Messages
from ottla.cli.kafka import console_share_consumer as tool
from ottla.cli.kafka.failures import ToolFailure, UsageError
from ottla.cli.kafka.options import parse


def options(*words: str) -> Any:
    return parse(tool.OPTIONS, ["--bootstrap-server", "b:1", "--topic", "t", *words])


class Consumer:
    """Hands out batches, and remembers what is acknowledged."""

    def __init__(self, *batches: list[Message[Any, Any]]) -> None:
        self.batches = list(batches)
        self.output = b""
        self.acknowledged: list[tuple[int | None, int]] = []

    def poll(self, timeout: float) -> Messages:
        return Messages(self.batches.pop(0) if self.batches else ())

    def acknowledge(self, message: Message[Any, Any], kind: int) -> None:
        self.acknowledged.append((message.offset(), int(kind)))


def show(capsysbinary: Any, consumer: Consumer, *words: str) -> bytes:
    def line(record: Any) -> bytes:
        if record.value == b"bad":
            raise ToolFailure("it is bad")
        return record.value + b" %d\n" % record.delivery_count

    showing = tool._Showing(options(*words), line)
    taking: Any = consumer
    try:
        showing.run(taking)
    finally:
        output: bytes = capsysbinary.readouterr().out
        consumer.output = output
    return output


def records(*values: bytes, first: int = 0) -> list[Message[Any, Any]]:
    return [
        Message("t", 0, first + number, value=value, delivery_count=1)
        for number, value in enumerate(values)
    ]


def test_every_record_that_is_shown_is_accepted(capsysbinary: Any) -> None:
    consumer = Consumer(records(b"a", b"b"), [], records(b"c", b"d", first=2))
    assert show(capsysbinary, consumer, "--max-messages", "3") == b"a 1\nb 1\nc 1\n"
    assert consumer.acknowledged == [(0, 1), (1, 1), (2, 1)]


@pytest.mark.parametrize(
    ("word", "kind"), [("--release", AcknowledgeType.RELEASE), ("--reject", AcknowledgeType.REJECT)]
)
def test_or_given_back_or_rejected(capsysbinary: Any, word: str, kind: int) -> None:
    consumer = Consumer(records(b"a"))
    show(capsysbinary, consumer, "--max-messages", "1", word)
    assert consumer.acknowledged == [(0, kind)]


def test_what_cant_be_shown_ends_the_tool_after_what_came_before(capsysbinary: Any) -> None:
    consumer: Any = Consumer(records(b"a", b"bad", b"c"))
    with pytest.raises(ToolFailure, match="it is bad"):
        show(capsysbinary, consumer)
    assert consumer.output == b"a 1\n"
    assert consumer.acknowledged == [(0, 1)]


def test_or_is_rejected_if_so_wanted(capsysbinary: Any) -> None:
    consumer = Consumer(records(b"a", b"bad", b"c"))
    words = ("--max-messages", "3", "--reject-message-on-error")
    assert show(capsysbinary, consumer, *words) == b"a 1\nc 1\n"
    assert sorted(consumer.acknowledged) == [(0, 1), (1, 3), (2, 1)]


def test_an_error_of_the_group_ends_the_tool(capsysbinary: Any) -> None:
    failed = Message("t", 0, error=KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(KafkaException):
        show(capsysbinary, Consumer([failed]))


def test_the_consumer_is_configured_as_javas_is() -> None:
    given = tool.consumer_properties(
        options("--command-property", "max.poll.records=7", "--group", "g")
    )
    assert given == {
        "bootstrap.servers": "b:1",
        "client.id": "console-share-consumer",
        "group.id": "g",
        "max.poll.records": "7",
        "share.acknowledgement.mode": "explicit",
    }
    assert tool.consumer_properties(options())["group.id"] == "console-share-consumer"
    with pytest.raises(UsageError, match="Detected group ids: 'g', 'h'"):
        tool.consumer_properties(options("--group", "g", "--command-property", "group.id=h"))
