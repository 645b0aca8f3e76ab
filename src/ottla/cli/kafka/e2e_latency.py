"""``kafka-e2e-latency``: how long a record takes from a producer to a consumer."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from typing import Any

from ottla.cli.kafka.client_settings import client_errors, producing, tell_trouble
from ottla.cli.kafka.entry import tell
from ottla.cli.kafka.failures import OptionError, ToolFailure, UsageError
from ottla.cli.kafka.options import HELP, VERSION, Options, describe, integer, parse, value
from ottla.cli.kafka.properties import for_our_client, load

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required."),
    value("topic", "topic", "The topic; made with one partition if it isn't there. Required."),
    integer("num-records", "number", "How many records, one after another. Required."),
    value("producer-acks", "acks", "1 or all. Required."),
    integer("record-size", "bytes", "How large a record's value is. Required."),
    integer("record-key-size", "bytes", "How large its key is.", default="0"),
    integer("num-headers", "number", "How many headers it has.", default="0"),
    integer("record-header-key-size", "bytes", "How large a header's name is.", default="0"),
    integer("record-header-size", "bytes", "How large a header's value is.", default="0"),
    value("command-config", "file", "Properties for the clients."),
)
_POSITIONAL = (
    "bootstrap-server", "topic", "num-records", "producer-acks", "record-size", "command-config",
)  # fmt: skip
_TIMEOUT_SECONDS = 60
_DEPRECATED = (
    "WARNING: Positional argument usage is deprecated and will be removed in Apache Kafka 5.0. "
    "Please use named arguments instead: --bootstrap-server, --topic, --num-records, "
    "--producer-acks, --record-size, --command-config"
)


def main(words: Sequence[str]) -> int:
    """Read the command line in either of its forms, then measure."""
    try:
        return _measure(_options(words))
    except UsageError as failure:
        tell(failure)
        print(describe((*OPTIONS, HELP, VERSION)), file=sys.stderr)
        return failure.status
    except OptionError as failure:
        raise ToolFailure(failure.message) from None


def _options(words: Sequence[str]) -> Options:
    declared = (*OPTIONS, HELP, VERSION)
    if not words:
        raise UsageError(TOOL_SUMMARY)
    if not any(word == "--bootstrap-server" or word.startswith("--bootstrap") for word in words):
        if not 5 <= len(words) <= 6:
            raise ToolFailure(
                f"Invalid number of arguments. Expected 5 or 6 positional arguments, but got "
                f"{len(words)}. Usage: bootstrap-server topic num-records producer-acks "
                "record-size [optional] command-config"
            )
        print(_DEPRECATED)
        pairs = zip(_POSITIONAL, words, strict=False)
        words = [part for name, word in pairs for part in (f"--{name}", word)]
    options = parse(declared, words)
    if options.has("help"):
        raise UsageError(TOOL_SUMMARY)
    options.require(*_POSITIONAL[:-1])
    if options.text("producer-acks") not in ("1", "all"):
        raise UsageError(
            "Invalid value for --producer-acks. Latency testing requires synchronous "
            "acknowledgement. Please use '1' or 'all'."
        )
    for name in ("num-records", "record-size"):
        if (options.number(name) or 0) <= 0:
            raise UsageError(f"Value for --{name} must be a positive integer.")
    return options


def _letters(count: int) -> bytes:
    return bytes(random.choices(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=count))  # noqa: S311


def _measure(options: Options) -> int:
    given = load(options.text("command-config")) if options.has("command-config") else {}
    given["bootstrap.servers"] = options.text("bootstrap-server")
    settings = for_our_client(given)
    topic = options.text("topic")
    with client_errors(settings["bootstrap.servers"]):
        from ottla import Consumer, TopicPartition

        writing = {**settings, "linger.ms": "0", "acks": options.text("producer-acks")}
        group = f"test-group-{int(time.time() * 1000)}"
        reading: dict[str, Any] = {**settings, "group.id": group, "enable.auto.commit": "false"}
        with (
            producing(writing) as producer,
            Consumer({**reading, "error_cb": tell_trouble}) as consumer,
        ):
            partitions = _partitions(consumer, settings, topic)
            places = [TopicPartition(topic, number) for number in partitions]
            ends = [consumer.get_watermark_offsets(place)[1] for place in places]
            consumer.assign(
                [
                    TopicPartition(topic, number, end)
                    for number, end in zip(partitions, ends, strict=True)
                ]
            )
            _round_trips(producer, consumer, options)
    return 0


def _partitions(consumer: Any, settings: dict[str, str], topic: str) -> list[int]:
    found = consumer.list_topics(topic, _TIMEOUT_SECONDS).topics[topic]
    if found.error is None:
        return sorted(found.partitions)
    from ottla import AdminClient
    from ottla.admin import NewTopic

    print(
        f'Topic "{topic}" does not exist. Will create topic with 1 partition(s) and replication '
        "factor = 1"
    )
    AdminClient(settings).create_topics([NewTopic(topic, 1, 1)])[topic].result()
    return [0]


def _round_trips(producer: Any, consumer: Any, options: Options) -> None:
    topic, count = options.text("topic"), options.number("num-records") or 0
    headers = [
        (
            _letters(options.number("record-header-key-size") or 0).decode(),
            _letters(options.number("record-header-size") or 0),
        )
        for _ in range(options.number("num-headers") or 0)
    ]
    key_size = options.number("record-key-size") or 0
    latencies_ms = []
    for number in range(count):
        value_sent = _letters(options.number("record-size") or 0)
        key = _letters(key_size) if key_size else None
        began = time.monotonic()
        producer.produce(topic, value_sent, key, headers=headers or None)
        producer.flush(_TIMEOUT_SECONDS)
        message = consumer.poll(_TIMEOUT_SECONDS)
        latency_ms = (time.monotonic() - began) * 1000
        if message is None or message.error() is not None:
            timeout_ms = _TIMEOUT_SECONDS * 1000
            raise ToolFailure(
                f"poll() timed out before finding a result (timeout:[{timeout_ms}ms])"
            )
        if message.value() != value_sent:
            raise ToolFailure(
                "The message value read did not match the message value sent",
                "somebody else writes to this topic: take one of your own",
            )
        if number % 1000 == 0:
            print(f"{number}\t{latency_ms:.6f}")
        latencies_ms.append(latency_ms)
    _tell(sorted(latencies_ms))


def _tell(latencies_ms: list[float]) -> None:
    count = len(latencies_ms)
    print(f"Avg latency: {sum(latencies_ms) / count:.4f} ms")
    median, p99, p999 = (int(latencies_ms[int(count * part)]) for part in (0.5, 0.99, 0.999))
    print(f"Percentiles: 50th = {median}, 99th = {p99}, 99.9th = {p999}")


TOOL_SUMMARY = "Measures how long records take from a producer to a consumer."
TOOL = main
