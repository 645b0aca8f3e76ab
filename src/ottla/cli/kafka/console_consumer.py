"""``kafka-console-consumer``: records as lines on standard output."""

from __future__ import annotations

import random
import select
import sys
import time
from typing import TYPE_CHECKING, Any, BinaryIO

from ottla.cli.kafka.client_settings import (
    agreed_group,
    client_failures,
    config_file,
    tell_trouble,
)
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.failures import OptionError, ToolFailure, UsageError
from ottla.cli.kafka.message_text import RecordView, TextFormat, formatter
from ottla.cli.kafka.options import Options, flag, integer, long, value
from ottla.cli.kafka.properties import for_our_client, key_values, load
from ottla.cli.kafka.renamed_options import given_name

if TYPE_CHECKING:
    from ottla import Consumer, KafkaError, Message

FORMATTING_OPTIONS = (
    value(
        "formatter-property",
        "key=value",
        "How records are shown: print.timestamp, print.partition, print.offset, print.delivery, "
        "print.epoch, print.headers, print.key, print.value, key.separator, line.separator, "
        "headers.separator, null.literal, key.deserializer, value.deserializer, "
        "headers.deserializer. May be repeated.",
    ),
    value("property", "key=value", "As --formatter-property, its older name."),
    value("formatter-config", "file", "A file of such properties."),
    value(
        "formatter",
        "class",
        "What shows records: Kafka's own formatters by their names.",
        default="org.apache.kafka.tools.consumer.DefaultMessageFormatter",
    ),
    value("key-deserializer", "class", "What shows keys: Kafka's own deserializers."),
    value("value-deserializer", "class", "What shows values."),
    flag("enable-systest-events", "Say at the end that this was the end."),
)
OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required."),
    value("topic", "topic", "What to consume."),
    value("include", "regex", "Consume all topics that match."),
    value("command-config", "file", "Properties for the consumer."),
    value("consumer.config", "file", "As --command-config, its older name."),
    value("command-property", "key=value", "A property of the consumer. May be repeated."),
    value("consumer-property", "key=value", "As --command-property, its older name."),
    integer("partition", "number", "Only this partition."),
    value("offset", "offset", "Where to begin: a number, earliest or latest.", default="latest"),
    flag("from-beginning", "Begin with the first record unless the group has been further."),
    integer("max-messages", "number", "Stop after so many records."),
    long("timeout-ms", "ms", "Stop when no record has come for so long."),
    value("group", "group", "The consumer group."),
    value(
        "isolation-level",
        "level",
        "read_committed shows no record of an aborted or open transaction.",
        default="read_uncommitted",
    ),
    flag("skip-message-on-error", "Leave out records that can't be shown."),
    *FORMATTING_OPTIONS,
)
_AT_ONCE = 10_000
_BEGINNING, _END = -2, -1
_WAIT_SECONDS = 0.2


def run(options: Options) -> int:
    """Check the options, then show what arrives."""
    _check_options(options)
    try:
        show = formatter(options.text("formatter"), formatter_properties(options))
        given = consumer_properties(options)
        start = _start(options)
        shown = _Showing(options, show)
    except OptionError as failure:
        raise UsageError(failure.message) from None
    with client_failures(options):
        from ottla import Consumer

        # What can't be made has processed nothing, and says nothing of it.
        consumer = Consumer({**for_our_client(given), "error_cb": tell_trouble})
        with shown, consumer:
            _subscribe(consumer, options, start)
            shown.run(consumer)
    return shown.status


def _check_options(options: Options) -> None:
    if options.has("topic") == options.has("include"):
        raise UsageError("Exactly one of the following arguments is required: [topic], [include]")
    if options.has("partition"):
        if not options.has("topic"):
            raise UsageError("The topic is required when partition is specified.")
        if options.has("from-beginning") and options.has("offset"):
            raise UsageError("Options from-beginning and offset cannot be specified together.")
    elif options.has("offset"):
        raise UsageError("The partition is required when offset is specified.")
    options.require("bootstrap-server")


def formatter_properties(options: Options) -> dict[str, str]:
    """How records are to be shown."""
    name = given_name(options, "formatter-property", "property")
    properties = load(options.text("formatter-config")) if options.has("formatter-config") else {}
    for option in ("key-deserializer", "value-deserializer"):
        if options.text(option):
            properties[option.replace("-", ".")] = options.text(option)
    return {**properties, **key_values(options.values(name))}


def consumer_properties(options: Options) -> dict[str, str]:
    """What the consumer is configured with, under Java's names.

    Raises:
        UsageError: settings contradict each other.
    """
    properties = given_name(options, "command-property", "consumer-property")
    config = given_name(options, "command-config", "consumer.config")
    given = config_file(options, config)
    extra = key_values(options.values(properties))
    group = agreed_group(options, given, extra, "--consumer.config")
    if group is not None and options.has("partition"):
        raise UsageError("Options group and partition cannot be specified together.")
    given |= extra
    _set_reset(given, from_beginning=options.has("from-beginning"))
    given["bootstrap.servers"] = options.text("bootstrap-server")
    given.setdefault("client.id", "console-consumer")
    if options.has("isolation-level") or "isolation.level" not in given:
        given["isolation.level"] = options.text("isolation-level")
    if group is None:
        # Nobody will come back for what a group with a name like this has read.
        given.setdefault("enable.auto.commit", "false")
        group = f"console-consumer-{random.randrange(100_000)}"  # noqa: S311 - just a name
    given["group.id"] = group
    return given


def _set_reset(given: dict[str, str], *, from_beginning: bool) -> None:
    reset = given.setdefault("auto.offset.reset", "earliest" if from_beginning else "latest")
    if from_beginning and reset != "earliest":
        raise ToolFailure(
            f"Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', "
            "please remove one option"
        )


def _start(options: Options) -> int:
    text = options.text("offset")
    if not options.has("offset"):
        return _BEGINNING if options.has("from-beginning") else _END
    special = {"earliest": _BEGINNING, "latest": _END}
    if text.lower() in special:
        return special[text.lower()]
    if text.isascii() and text.isdigit() and int(text) < 1 << 63:
        return int(text)
    raise UsageError(
        f"The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', "
        "or a non-negative long."
    )


def _subscribe(consumer: Consumer, options: Options, start: int) -> None:
    if options.has("include"):
        consumer.subscribe([f"^(?:{options.text('include')})$"])
        return
    topic, number = options.text("topic"), options.number("partition")
    if number is None:
        consumer.subscribe([topic])
        return
    from ottla import TopicPartition

    consumer.assign([TopicPartition(topic, number, start)])


class _Showing:
    """Records on their way to standard output."""

    def __init__(self, options: Options, show: Any) -> None:
        self._show = show
        self._is_plain = isinstance(show, TextFormat) and show.is_plain
        wanted = options.number("max-messages")
        self._left = None if wanted is None or wanted < 0 else wanted
        timeout_ms = options.number("timeout-ms")
        self._timeout_s = None if timeout_ms is None or timeout_ms < 0 else timeout_ms / 1000
        self._skips_errors = options.has("skip-message-on-error")
        self._tells_end = options.has("enable-systest-events")
        self._count = 0
        self.status = 0

    def __enter__(self) -> _Showing:
        return self

    def __exit__(self, *_: object) -> None:
        print(f"Processed a total of {self._count} messages", file=sys.stderr)
        if self._tells_end:
            print("shutdown_complete")

    def run(self, consumer: Consumer) -> None:
        """Show records until there are enough, none comes any more, or nobody reads."""
        show = self._show_text if self._is_plain else self._show_messages
        last = time.monotonic()
        while self._left is None or self._left > 0:
            most = _AT_ONCE if self._left is None else min(_AT_ONCE, self._left)
            shown = show(consumer, most)
            self._count += shown
            if self._left is not None:
                self._left -= shown
            now = time.monotonic()
            if shown:
                last = now
            elif self._timeout_s is not None and now - last > self._timeout_s:
                return
            elif is_reader_gone(sys.stdout.buffer):
                raise BrokenPipeError

    def _show_text(self, consumer: Consumer, most: int) -> int:
        """Values are all that is shown: the client makes lines of them."""
        from ottla import KafkaException

        try:
            count, text = consumer.consume_lines(
                most,
                _WAIT_SECONDS,
                separator=self._show.line_separator,
                null=self._show.null_literal,
            )
        except KafkaException as failure:
            _check(failure.args[0])
            return 0
        write_whole(sys.stdout.buffer, text)
        return count

    def _show_messages(self, consumer: Consumer, most: int) -> int:
        messages = []
        # What is there, or the first that comes: nobody is to wait until there are many.
        for message in consumer.consume(most, 0) or consumer.consume(1, _WAIT_SECONDS):
            error = message.error()
            if error is None:
                messages.append(message)
            else:
                _check(error)
        sys.stdout.buffer.write(b"".join(map(self._line, messages)))
        sys.stdout.buffer.flush()
        return len(messages)

    def _line(self, message: Message[Any, Any]) -> bytes:
        try:
            line: bytes = self._show(view(message))
        except ToolFailure as failure:
            if not self._skips_errors:
                raise
            print(f"skipped a record: {failure.message}", file=sys.stderr)
            return b""
        return line


def _check(error: KafkaError) -> None:
    """Raise what ends the tool; a topic may be created yet, and Kafka's tool waits for that too."""
    from ottla import KafkaException

    if error.name() not in ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC"):
        raise KafkaException(error)
    print(f"{error.str()}: waiting for it", file=sys.stderr)


def is_reader_gone(output: BinaryIO) -> bool:
    """Whether nobody reads a pipe any more (``| head -1``), before anything is written to it."""
    try:
        poll = select.poll()
        poll.register(output.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):
        return False  # it is in memory


def write_whole(output: BinaryIO, data: memoryview) -> None:
    """Write and flush; past the buffer, which would only copy what is large."""
    output.flush()
    raw = getattr(output, "raw", None)
    if raw is None:
        output.write(data)
        return
    while data:
        data = data[raw.write(data) or 0 :]


def view(message: Message[Any, Any]) -> RecordView:
    """A message as formatters see it."""
    kind, timestamp_ms = message.timestamp()
    return RecordView(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        kind,
        timestamp_ms,
        message.key(),
        message.value(),
        list(message.headers() or ()),
        message.leader_epoch(),
    )


TOOL = Tool("Shows records as lines.", OPTIONS, run)
