"""``kafka-console-producer``: each line of standard input becomes a record."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ottla.cli.kafka.client_settings import (
    client_failures,
    config_file,
    producing,
    server_list,
)
from ottla.cli.kafka.console_lines import LineFormat, line_format, parse_line, read_blocks
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.failures import OptionError, ToolFailure, UsageError
from ottla.cli.kafka.options import Options, flag, integer, long, optional, value
from ottla.cli.kafka.properties import for_our_client, key_values, load
from ottla.cli.kafka.renamed_options import given_name

if TYPE_CHECKING:
    from ottla import KafkaError, Message, Producer

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required."),
    value("topic", "topic", "Where to produce to. Required."),
    value("command-config", "file", "Properties for the producer."),
    value("producer.config", "file", "As --command-config, its older name."),
    value("command-property", "key=value", "A property of the producer. May be repeated."),
    value("producer-property", "key=value", "As --command-property, its older name."),
    value(
        "reader-property",
        "key=value",
        "How lines are read: parse.key, key.separator, parse.headers, headers.delimiter, "
        "headers.separator, headers.key.separator, null.marker, ignore.error. May be repeated.",
    ),
    value("property", "key=value", "As --reader-property, its older name."),
    value("reader-config", "file", "A file of such properties."),
    value("line-reader", "class", "Only Kafka's own, one record per line."),
    flag("sync", "Wait for each record before the next is sent."),
    optional("compression-codec", "codec", "none, gzip, snappy, lz4 or zstd; gzip without one."),
    value(
        "request-required-acks", "acks", "Who has to have a record: all (-1), 1 or 0.", default="-1"
    ),
    long("timeout", "ms", "How long a record may wait for others to go with it."),
    integer("batch-size", "bytes", "How large a batch may become."),
    integer("max-partition-memory-bytes", "bytes", "As --batch-size, its older name."),
    long("max-memory-bytes", "bytes", "How much may wait to be sent."),
    long("max-block-ms", "ms", "How long to wait for room or for metadata.", default="60000"),
    integer("message-send-max-retries", "number", "How often to try again."),
    long("retry-backoff-ms", "ms", "How long to wait before that."),
    integer("request-timeout-ms", "ms", "How long the brokers may take."),
    long("metadata-expiry-ms", "ms", "After how long metadata is asked for anew."),
    integer("socket-buffer-size", "bytes", "The socket's send buffer."),
)
_READER = "org.apache.kafka.tools.LineMessageReader"
_AS_PROPERTIES = {
    "timeout": "linger.ms",
    "batch-size": "batch.size",
    "max-partition-memory-bytes": "batch.size",
    "message-send-max-retries": "message.send.max.retries",
    "retry-backoff-ms": "retry.backoff.ms",
    "request-timeout-ms": "request.timeout.ms",
    "metadata-expiry-ms": "topic.metadata.refresh.interval.ms",
    "socket-buffer-size": "socket.send.buffer.bytes",
}
_MOST_ERRORS_TOLD = 10
_GIVEN_UP = ("_PURGE_QUEUE", "_PURGE_INFLIGHT")


def run(options: Options) -> int:
    """Check the options, then produce what standard input holds."""
    options.require("topic")
    server_list(options)
    try:
        reader = reader_properties(options)
        settings = producer_settings(options)
        form = line_format(reader)
    except OptionError as failure:
        raise UsageError(failure.message) from None
    if options.has("line-reader") and options.text("line-reader") != _READER:
        raise ToolFailure(
            f"{options.text('line-reader')} is a Java class, which can't run here",
            "without --line-reader each line is one record",
        )
    sending = _Sending(options, form)
    # What was delivered is of no interest: without reports nothing is kept for them.
    settings["delivery.report.only.error"] = True
    with client_failures(options), producing(settings) as producer:
        sending.run(producer)
    return sending.status


def _name(options: Options, new: str, old: str) -> str:
    return given_name(options, new, old, prefix="Warning: ", old_first=False)


def reader_properties(options: Options) -> dict[str, str]:
    """How lines are to be read."""
    name = _name(options, "reader-property", "property")
    file = load(options.text("reader-config")) if options.has("reader-config") else {}
    return {**file, **key_values(options.values(name))}


def producer_settings(options: Options) -> dict[str, Any]:
    """What the producer is configured with; options beat properties beat the file."""
    properties = _name(options, "command-property", "producer-property")
    given = config_file(options, _name(options, "command-config", "producer.config"))
    given |= key_values(options.values(properties))
    settings: dict[str, Any] = dict(for_our_client(given))
    for name, key in _AS_PROPERTIES.items():
        if options.has(name):
            settings[key] = options.text(name)
    if options.has("max-memory-bytes"):
        kilobytes = max(1, (options.number("max-memory-bytes") or 0) // 1024)
        settings["queue.buffering.max.kbytes"] = str(kilobytes)
    if options.has("compression-codec"):
        settings["compression.type"] = options.text("compression-codec") or "gzip"
    if options.has("request-required-acks") or "acks" not in settings:
        settings["acks"] = options.text("request-required-acks")
    settings["bootstrap.servers"] = options.text("bootstrap-server")
    settings.setdefault("client.id", "console-producer")
    # The same key goes where Java's producers put it.
    settings.setdefault("partitioner", "murmur2_random")
    if settings["acks"] in ("-1", "all"):
        settings.setdefault("enable.idempotence", "true")
    return settings


class _Sending:
    """Standard input on its way to the broker."""

    _producer: Producer

    def __init__(self, options: Options, form: LineFormat) -> None:
        self._topic = options.text("topic")
        self._form = form
        self._is_sync = options.has("sync")
        self._block_ms = options.number("max-block-ms") or 0
        self._failed = self._told = 0
        self._line_number = 0

    def run(self, producer: Producer) -> None:
        """Send everything there is."""
        self._producer = producer
        prompts = sys.stdin.isatty()
        send = self._send_lines if self._form.is_plain and not self._is_sync else self._send_each
        self._prompt(prompts)
        for block in read_blocks(sys.stdin.buffer):
            send(block)
            self._prompt(prompts)

    @property
    def status(self) -> int:
        """The exit code, which tells whether all of it arrived; only known at the end."""
        if self._failed > self._told:
            print(f"not delivered in all: {self._failed}", file=sys.stderr)
        return 1 if self._failed else 0

    @staticmethod
    def _prompt(wanted: bool) -> None:
        if wanted:
            print(">", end="", flush=True)

    def _send_lines(self, block: bytes | memoryview) -> None:
        """Every line is a value: the client takes them as they are."""
        accepted = self._producer.produce_lines(
            self._topic, block, on_delivery=self._delivered, timeout=self._block_ms / 1000
        )
        if accepted < len(block):
            raise self._no_room()
        self._producer.poll(0)

    def _send_each(self, block: bytes | memoryview) -> None:
        for line in bytes(block[:-1]).split(b"\n"):
            self._line_number += 1
            record = parse_line(line, self._line_number, self._form)
            self._produce(record.value, record.key, record.headers)
        self._producer.poll(0)

    def _produce(self, text: bytes | None, key: bytes | None, headers: Any) -> None:
        try:
            self._producer.produce(
                self._topic,
                text,
                key,
                headers=headers,
                on_delivery=self._delivered,
                timeout=self._block_ms / 1000,
            )
        except BufferError:
            raise self._no_room() from None
        if self._is_sync:
            self._producer.flush()

    def _no_room(self) -> ToolFailure:
        return ToolFailure(
            f"Nothing could be delivered for {self._block_ms} ms, and no more fits into memory",
            "--max-block-ms says how long to wait, --max-memory-bytes how much may wait",
        )

    def _delivered(self, error: KafkaError | None, message: Message[Any, Any]) -> None:
        if error is None:
            return
        self._failed += 1
        # What was given up is told once, by its reason.
        if self._told < _MOST_ERRORS_TOLD and error.name() not in _GIVEN_UP:
            self._told += 1
            print(
                f"a record for {message.topic()} was not delivered: {error.str()}", file=sys.stderr
            )


TOOL = Tool("Produces each line of standard input as a record.", OPTIONS, run)
