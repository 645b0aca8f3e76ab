"""``ottla produce`` and ``ottla consume``."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import stat
import sys
import time
from typing import Any

import click

from ottla.cli.kafka.client_settings import client_errors, producing, tell_trouble
from ottla.cli.kafka.console_consumer import view
from ottla.cli.kafka.console_lines import read_lines
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.people.connection import Connection, with_connection
from ottla.cli.people.progress import Progress

_IDLE_SECONDS = 1.0


@click.command()
@click.argument("topic")
@click.argument("value", required=False)
@click.option("-k", "--key", help="The record's key.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header.")
@click.option("--key-separator", help="Each line of standard input is KEY, this, VALUE.")
@click.option("-z", "--compress", type=click.Choice(("gzip", "snappy", "lz4", "zstd")), help="How.")
@with_connection
def produce(
    connection: Connection,
    topic: str,
    value: str | None,
    key: str | None,
    headers: tuple[str, ...],
    key_separator: str | None,
    compress: str | None,
) -> None:
    """Produce VALUE, or each line of standard input."""
    pairs = [header.partition("=") for header in headers]
    named = [(name, text.encode()) for name, _, text in pairs]
    settings = connection.client_settings | {
        "acks": "all",
        "enable.idempotence": "true",
        "partitioner": "murmur2_random",
        "message.timeout.ms": str(int(connection.timeout_s * 1000)),
    }
    if compress:
        settings["compression.type"] = compress
    reasons: collections.Counter[str] = collections.Counter()

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            reasons[error.str()] += 1

    count = 0
    servers = settings["bootstrap.servers"]
    with (
        client_errors(servers),
        producing(settings) as producer,
        _progress_of_input(value) as progress,
    ):
        for text, text_key in _records(value, key, key_separator):
            count += 1
            producer.produce(
                topic, text, text_key, headers=named or None, on_delivery=delivered, timeout=-1
            )
            producer.poll(0)
            progress.advance(len(text) + 1)
    if reasons:
        failed, [(reason, _)] = reasons.total(), reasons.most_common(1)
        raise ToolFailure(f"{failed} of {count} records were not delivered: {reason}")
    click.echo(f"{count} record{'s' if count != 1 else ''} delivered to '{topic}'.", err=True)


def _progress_of_input(value: str | None) -> Progress:
    """How far standard input has been read; how much there is, is known of files only."""
    total = None
    if value is None:
        with contextlib.suppress(OSError, ValueError):
            found = os.fstat(sys.stdin.fileno())
            total = found.st_size if stat.S_ISREG(found.st_mode) else None
    return Progress("Producing", total, counts_bytes=True)


def _records(value: str | None, key: str | None, separator: str | None) -> Any:
    fixed = None if key is None else key.encode()
    if value is not None:
        yield value.encode(), fixed
        return
    mark = None if separator is None else separator.encode()
    for lines in read_lines(sys.stdin.buffer):
        for line in lines:
            before, found, after = (b"", b"", line) if mark is None else line.partition(mark)
            yield (after, before) if found else (line, fixed)


@click.command()
@click.argument("topic")
@click.option("-f", "--follow", is_flag=True, help="Keep waiting for new records.")
@click.option("-n", "--max", "most", type=click.IntRange(1), help="Stop after so many records.")
@click.option("--tail", type=click.IntRange(0), help="Begin so many records before the end.")
@click.option("--group", help="Consume as this group, and commit.")
@click.option("-o", "--output", type=click.Choice(("text", "json", "value")), default="text")
@with_connection
def consume(
    connection: Connection,
    topic: str,
    follow: bool,
    most: int | None,
    tail: int | None,
    group: str | None,
    output: str,
) -> None:
    """Show the records of TOPIC: all there are, or with -f those to come as well."""
    settings = connection.client_settings | {
        "group.id": group or "ottla-consume",
        "enable.auto.commit": "true" if group else "false",
        "auto.offset.reset": "earliest",
        "enable.partition.eof": "true",
    }
    with client_errors(settings["bootstrap.servers"]):
        from ottla import Consumer

        with Consumer({**settings, "error_cb": tell_trouble}) as consumer:
            unfinished = _start(consumer, topic, group, tail, connection.timeout_s)
            with Progress("Consuming", is_wanted=not sys.stdout.isatty()) as progress:
                _show(consumer, unfinished, progress, follow=follow, most=most, output=output)


def _start(
    consumer: Any, topic: str, group: str | None, tail: int | None, timeout_s: float
) -> set[int] | None:
    """Begin; returns the partitions whose ends are yet to come, None in a group."""
    from ottla import TopicPartition

    found = consumer.list_topics(topic, timeout_s).topics.get(topic)
    if found is None or found.error is not None:
        raise ToolFailure(f"There is no topic '{topic}'", "see 'ottla topics list'")
    if group:
        consumer.subscribe([topic])
        return None
    places = []
    for number in sorted(found.partitions):
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout_s)
        offset = first if tail is None else max(first, end - tail)
        places.append(TopicPartition(topic, number, offset))
    consumer.assign(places)
    return set(found.partitions)


def _show(
    consumer: Any,
    unfinished: set[int] | None,
    progress: Progress,
    *,
    follow: bool,
    most: int | None,
    output: str,
) -> None:
    from ottla import KafkaError, KafkaException

    count, last = 0, time.monotonic()
    while most is None or count < most:
        before = count
        for message in consumer.consume(500 if most is None else min(500, most - count), 0.2):
            error = message.error()
            if error is None:
                count += 1
                last = time.monotonic()
                sys.stdout.buffer.write(line(message, output))
            elif error.code() == KafkaError._PARTITION_EOF:
                if unfinished is not None:
                    unfinished.discard(message.partition())
            else:
                raise KafkaException(error)
        sys.stdout.buffer.flush()
        progress.advance(count - before)
        is_idle = time.monotonic() - last > _IDLE_SECONDS
        if not follow and (unfinished == set() or (unfinished is None and count and is_idle)):
            return


def line(message: Any, output: str) -> bytes:
    """A record as a line."""
    record = view(message)
    if output == "value":
        return (record.value or b"") + b"\n"
    key, value = (
        None if data is None else data.decode(errors="replace")
        for data in (record.key, record.value)
    )
    if output == "json":
        headers = {
            name: None if data is None else data.decode(errors="replace")
            for name, data in record.headers
        }
        shown = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp_ms,
            "key": key,
            "value": value,
            "headers": headers,
        }
        return json.dumps(shown, ensure_ascii=False).encode() + b"\n"
    where = f"{record.partition}:{record.offset}"
    shown_key = "" if key is None else f"{key}: "
    return f"{where:<10} {shown_key}{'(null)' if value is None else value}\n".encode()
