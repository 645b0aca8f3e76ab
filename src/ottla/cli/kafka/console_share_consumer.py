"""``kafka-console-share-consumer``: records of a share group as lines on standard output."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from ottla.cli.kafka.client_settings import (
    agreed_group,
    client_failures,
    config_file,
    tell_trouble,
)
from ottla.cli.kafka.console_consumer import FORMATTING_OPTIONS, formatter_properties, view
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.failures import OptionError, ToolFailure, UsageError
from ottla.cli.kafka.message_text import formatter
from ottla.cli.kafka.options import Options, flag, integer, value
from ottla.cli.kafka.properties import for_our_client, key_values
from ottla.cli.kafka.renamed_options import given_name

if TYPE_CHECKING:
    from ottla import Message, ShareConsumer

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required."),
    value("topic", "topic", "What to consume. Required."),
    value("group", "group", "The share group."),
    value("command-config", "file", "Properties for the consumer."),
    value("consumer-config", "file", "As --command-config, its older name."),
    value("command-property", "key=value", "A property of the consumer. May be repeated."),
    value("consumer-property", "key=value", "As --command-property, its older name."),
    integer("max-messages", "number", "Stop after so many records."),
    integer("timeout-ms", "ms", "Stop when no record has come for so long."),
    flag("release", "Give the records back to the group, to be delivered again."),
    flag("reject", "Reject the records: they are not delivered again."),
    flag("reject-message-on-error", "Reject records that can't be shown instead of stopping."),
    *FORMATTING_OPTIONS,
)
_DEFAULT_NAME = "console-share-consumer"


def run(options: Options) -> int:
    """Check the options, then show what the group is given."""
    if not options.has("topic"):
        raise UsageError("--topic is a required argument")
    options.require("bootstrap-server")
    if options.has("reject") and options.has("release"):
        raise UsageError("At most one of --reject and --release may be specified.")
    try:
        given = consumer_properties(options)
        show = formatter(options.text("formatter"), formatter_properties(options))
        showing = _Showing(options, show)
    except OptionError as failure:
        raise UsageError(failure.message) from None
    with client_failures(options):
        from ottla import ShareConsumer

        # What can't be made has processed nothing, and says nothing of it.
        consumer = ShareConsumer({**given, "error_cb": tell_trouble})
        with showing, consumer:
            consumer.subscribe([options.text("topic")])
            showing.run(consumer)
    return 0


def consumer_properties(options: Options) -> dict[str, str]:
    """What the consumer is configured with.

    Raises:
        UsageError: settings contradict each other.
    """
    properties = given_name(options, "command-property", "consumer-property")
    config = given_name(options, "command-config", "consumer-config")
    given = config_file(options, config)
    extra = key_values(options.values(properties))
    group = agreed_group(options, given, extra, "--consumer-config")
    given |= extra
    ours = for_our_client(given)
    if "max.poll.records" in given:
        ours["max.poll.records"] = given["max.poll.records"]
    ours.setdefault("client.id", _DEFAULT_NAME)
    ours["group.id"] = group or _DEFAULT_NAME
    ours["bootstrap.servers"] = options.text("bootstrap-server")
    # What was shown is acknowledged, record by record; the rest goes back to the group.
    ours["share.acknowledgement.mode"] = "explicit"
    return ours


class _Showing:
    """Records on their way to standard output."""

    def __init__(self, options: Options, show: Any) -> None:
        from ottla import AcknowledgeType

        self._show = show
        wanted = options.number("max-messages")
        self._left = None if wanted is None or wanted < 0 else wanted
        timeout_ms = options.number("timeout-ms")
        self._timeout_s = -1.0 if timeout_ms is None or timeout_ms < 0 else timeout_ms / 1000
        self._acknowledge_type = (
            AcknowledgeType.REJECT
            if options.has("reject")
            else AcknowledgeType.RELEASE
            if options.has("release")
            else AcknowledgeType.ACCEPT
        )
        self._reject = AcknowledgeType.REJECT
        self._rejects_errors = options.has("reject-message-on-error")
        self._tells_end = options.has("enable-systest-events")
        self._count = 0

    def __enter__(self) -> _Showing:
        return self

    def __exit__(self, *_: object) -> None:
        print(f"Processed a total of {self._count} messages", file=sys.stderr)
        if self._tells_end:
            print("shutdown_complete")

    def run(self, consumer: ShareConsumer) -> None:
        """Show records until there are enough, none comes any more, or nobody reads."""
        last = time.monotonic()
        while self._left is None or self._left > 0:
            messages = consumer.poll(self._timeout_s)
            now = time.monotonic()
            if messages:
                last = now
                self._take(consumer, messages[: self._left].records())
            elif 0 <= self._timeout_s <= now - last:
                return

    def _take(self, consumer: ShareConsumer, messages: list[Message[Any, Any]]) -> None:
        lines: list[bytes] = []
        shown: list[Message[Any, Any]] = []
        try:
            for message in messages:
                line = self._line(consumer, message)
                if line is not None:
                    lines.append(line)
                    shown.append(message)
        finally:
            sys.stdout.buffer.write(b"".join(lines))
            sys.stdout.buffer.flush()
            for message in shown:
                consumer.acknowledge(message, self._acknowledge_type)

    def _line(self, consumer: ShareConsumer, message: Message[Any, Any]) -> bytes | None:
        """The record as it is shown, None for one that was rejected."""
        from ottla import KafkaException

        error = message.error()
        if error is not None:
            raise KafkaException(error)
        self._count += 1
        if self._left is not None:
            self._left -= 1
        try:
            # Kafka's tool knows no leader epochs of shared records.
            delivered = message.delivery_count()
            record = view(message)._replace(leader_epoch=None, delivery_count=delivered)
            line: bytes = self._show(record)
        except ToolFailure as failure:
            if not self._rejects_errors:
                raise
            print(f"rejected a record: {failure.message}", file=sys.stderr)
            consumer.acknowledge(message, self._reject)
            return None
        return line


TOOL = Tool(
    "Shows records as lines that the members of a share group get one by one.", OPTIONS, run
)
