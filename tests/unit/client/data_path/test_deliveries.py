"""What callbacks are given: a message of their own, whatever they do with it."""

from __future__ import annotations

import pickle
import traceback
from types import ModuleType
from typing import Any

import pytest

from ottla.client.errors import KafkaError

VALUES = [b"%d" % number * 300 for number in range(6)]


def deliveries(twin: ModuleType, callback: Any, **outcome: Any) -> Any:
    records = twin.Accumulator()
    records.set_partition_count("t", 1)
    for number, value in enumerate(VALUES):
        headers = [("h", b"1")] if number == 4 else None
        records.append("t", 0, b"k%d" % number, value, headers, 7, callback)
    return records.take("t", 0).deliveries(10, **outcome)


def test_messages_that_are_kept_keep_what_they_say(twin: ModuleType) -> None:
    kept: list[Any] = []

    def keep_all_but_every_third(error: Any, message: Any) -> None:
        if message.offset() % 3:
            kept.append(message)

    assert deliveries(twin, keep_all_but_every_third).serve() == 6
    assert [message.offset() for message in kept] == [10, 11, 13, 14]
    assert [message.key() for message in kept] == [b"k0", b"k1", b"k3", b"k4"]
    assert [message.value() for message in kept] == [VALUES[0], VALUES[1], VALUES[3], VALUES[4]]
    assert [message.headers() for message in kept] == [None, None, None, [("h", b"1")]]


def test_what_one_callback_changes_is_not_seen_by_the_next(twin: ModuleType) -> None:
    seen: list[Any] = []

    def change(error: Any, message: Any) -> None:
        seen.append((message.topic(), message.key(), message.value(), message.headers()))
        if message.offset() % 2:
            message.set_topic("changed")
            message.set_key("changed")
            message.set_headers([])
        message.set_value([message])

    deliveries(twin, change).serve()
    headers: list[Any] = [None, None, None, None, [("h", b"1")], None]
    assert seen == [("t", b"k%d" % n, VALUES[n], headers[n]) for n in range(6)]


@pytest.mark.parametrize(
    "look",
    [
        len,
        bool,
        pickle.dumps,
        lambda message: message == message,
        lambda message: message.deserialized_key(),
        lambda message: message.deserialized_value(),
    ],
)
def test_whatever_a_callback_looks_at_is_there(twin: ModuleType, look: Any) -> None:
    seen: list[tuple[Any, Any]] = []

    def callback(error: Any, message: Any) -> None:
        looked = look(message)
        alike = twin.Message("t", 0, message.offset(), message.key(), message.value(),
            message.headers(), None, message.timestamp(), message.latency())  # fmt: skip
        seen.append((looked, look(alike)))

    deliveries(twin, callback).serve()
    assert [first for first, _ in seen] == [second for _, second in seen]


def test_a_message_lives_on_in_the_traceback_of_its_callback(twin: ModuleType) -> None:
    def fail(error: Any, message: Any) -> None:
        raise RuntimeError(str(message.offset()))

    served = deliveries(twin, fail)
    messages = []
    for _ in VALUES:
        with pytest.raises(RuntimeError) as raised:
            served.serve()
        frame = list(traceback.walk_tb(raised.value.__traceback__))[-1][0]
        messages.append(frame.f_locals["message"])
    assert [(message.key(), message.value()) for message in messages] == [
        (b"k%d" % number, value) for number, value in enumerate(VALUES)
    ]


def test_failures_tell_what_was_not_delivered(twin: ModuleType) -> None:
    error = KafkaError(KafkaError._MSG_TIMED_OUT)
    seen: list[Any] = []
    deliveries(
        twin, lambda told, message: seen.append((told, message.error(), message.value())),
        error=error,
    ).serve()  # fmt: skip
    assert seen == [(error, error, value) for value in VALUES]
