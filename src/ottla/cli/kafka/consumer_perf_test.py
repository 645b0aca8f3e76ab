"""``kafka-consumer-perf-test``: how fast records can be consumed."""

from __future__ import annotations

import random
import time
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from ottla.cli.kafka.client_metrics import ClientMetrics
from ottla.cli.kafka.client_settings import client_failures, config_file, tell_trouble
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.failures import OptionError, UsageError
from ottla.cli.kafka.options import Options, flag, integer, long, optional, value
from ottla.cli.kafka.properties import for_our_client, key_values
from ottla.cli.kafka.renamed_options import given_name

if TYPE_CHECKING:
    from ottla import Consumer

_DATE_FORMAT = "yyyy-MM-dd HH:mm:ss:SSS"
OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required."),
    value("topic", "topic", "What to consume."),
    value("include", "regex", "Consume all topics that match."),
    value("group", "group", "The consumer group; a new one by default."),
    long("num-records", "number", "How many records to consume. Required."),
    long("messages", "number", "As --num-records, its older name."),
    value("command-config", "file", "Properties for the consumer."),
    value("consumer.config", "file", "As --command-config, its older name."),
    value("command-property", "key=value", "A property of the consumer. May be repeated."),
    integer("fetch-size", "bytes", "How much of a partition to fetch.", default="1048576"),
    integer("socket-buffer-size", "bytes", "The socket's receive buffer.", default="2097152"),
    flag("from-latest", "Begin at the end where the group has no offset."),
    optional("timeout", "ms", "Stop when no record has come for so long.", type_name="Long"),
    long(
        "reporting-interval", "ms", "How often to tell, with --show-detailed-stats.", default="5000"
    ),
    flag("show-detailed-stats", "Tell while it goes on."),
    flag("hide-header", "Leave the headings out."),
    value("date-format", "format", "How times are shown, in Java's letters.", default=_DATE_FORMAT),
    flag("print-metrics", "Show statistics at the end."),
)
_MEGABYTE = 1024 * 1024
_AT_ONCE = 5000
_COLUMNS = (
    "data.consumed.in.MB", "MB.sec", "data.consumed.in.nMsg", "nMsg.sec", "rebalance.time.ms",
    "fetch.time.ms", "fetch.MB.sec", "fetch.nMsg.sec",
)  # fmt: skip
_DEFAULT_TIMEOUT_MS = 10_000


class Consumed(NamedTuple):
    """What was consumed in a while, and how long the group took to form."""

    records: int
    size_bytes: int
    elapsed_ms: float
    joining_ms: float


def run(options: Options) -> int:
    """Check the options, then consume and tell."""
    wanted = "messages" if options.has("messages") else "num-records"
    if options.has("messages") and options.has("num-records"):
        raise UsageError("Options --messages and --num-records cannot be specified together.")
    if options.has("messages"):
        print("Warning: --messages is deprecated. Use --num-records instead.")
    if options.has("topic") == options.has("include"):
        raise UsageError("Exactly one of the following arguments is required: [topic], [include]")
    if not options.has(wanted):
        raise UsageError(
            "Exactly one of the following arguments is required: [messages], [num-records]"
        )
    options.require("bootstrap-server")
    try:
        given = consumer_properties(options)
        count = options.number(wanted) or 0
        shown = _Telling(options)
    except OptionError as failure:
        raise UsageError(failure.message) from None
    with client_failures(options):
        from ottla import Consumer

        metrics = ClientMetrics("consumer") if options.has("print-metrics") else None
        settings = {**for_our_client(given), **(metrics.settings if metrics else {})}
        with Consumer({**settings, "error_cb": tell_trouble}) as consumer:
            shown.run(consumer, options, count)
        if metrics is not None:
            print("\n".join(metrics.lines()))
    return 0


def consumer_properties(options: Options) -> dict[str, str]:
    """What the consumer is configured with, under Java's names."""
    given = config_file(options, given_name(options, "command-config", "consumer.config"))
    given |= key_values(options.values("command-property"))
    given["bootstrap.servers"] = options.text("bootstrap-server")
    group = f"perf-consumer-{random.randrange(100_000)}"  # noqa: S311 - just a name
    given["group.id"] = options.text("group") or given.get("group.id") or group
    given["auto.offset.reset"] = "latest" if options.has("from-latest") else "earliest"
    given["receive.buffer.bytes"] = options.text("socket-buffer-size")
    given["max.partition.fetch.bytes"] = options.text("fetch-size")
    given.setdefault("check.crcs", "false")
    given.setdefault("client.id", "perf-consumer-client")
    return given


def date_text(moment_s: float, java_format: str) -> str:
    """A time in the letters of Java's ``SimpleDateFormat``."""
    moment = datetime.fromtimestamp(moment_s)
    parts = {
        "yyyy": f"{moment.year:04d}",
        "MM": f"{moment.month:02d}",
        "dd": f"{moment.day:02d}",
        "HH": f"{moment.hour:02d}",
        "mm": f"{moment.minute:02d}",
        "ss": f"{moment.second:02d}",
        "SSS": f"{moment.microsecond // 1000:03d}",
    }
    text = java_format
    for letters, shown in parts.items():
        text = text.replace(letters, shown)
    return text


def cells(total: Consumed, window: Consumed) -> list[str]:
    """The numbers of a line: of all, and of the window for rates."""
    elapsed_s = max(window.elapsed_ms, 1) / 1000
    fetch_ms = max(window.elapsed_ms - window.joining_ms, 1)
    megabytes = window.size_bytes / _MEGABYTE
    return [
        f"{total.size_bytes / _MEGABYTE:.4f}",
        f"{megabytes / elapsed_s:.4f}",
        str(total.records),
        f"{window.records / elapsed_s:.4f}",
        str(int(window.joining_ms)),
        str(int(fetch_ms)),
        f"{megabytes / fetch_ms * 1000:.4f}",
        f"{window.records / fetch_ms * 1000:.4f}",
    ]


class _Telling:
    """A measurement, told as it goes on or at its end."""

    def __init__(self, options: Options) -> None:
        self._format = options.text("date-format")
        self._is_detailed = options.has("show-detailed-stats")
        self._interval_ms = options.number("reporting-interval") or 0
        timeout = options.number("timeout") if options.has("timeout") else None
        self._timeout_ms = _DEFAULT_TIMEOUT_MS if timeout is None else timeout
        self._joining_ms = 0.0
        self._join_began = 0.0
        if not options.has("hide-header"):
            head = ("time", "threadId") if self._is_detailed else ("start.time", "end.time")
            print(", ".join((*head, *_COLUMNS)))

    def run(self, consumer: Consumer, options: Options, wanted: int) -> None:
        """Consume; the group's forming is measured apart."""
        pattern = f"^(?:{options.text('include')})$"
        topic = pattern if options.has("include") else options.text("topic")
        started = self._join_began = last = time.monotonic()
        started_at = time.time()
        consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked)
        records = size = 0
        window_records = window_size = 0
        window_began = started
        while records < wanted and (time.monotonic() - last) * 1000 <= self._timeout_ms:
            messages = consumer.consume(min(_AT_ONCE, wanted - records), 0.1)
            good = [message for message in messages if message.error() is None]
            if good:
                last = time.monotonic()
            taken = sum(len(each.key() or b"") + len(each.value() or b"") for each in good)
            records, size = records + len(good), size + taken
            window_records, window_size = window_records + len(good), window_size + taken
            now = time.monotonic()
            if self._is_detailed and (now - window_began) * 1000 >= self._interval_ms:
                elapsed_ms = (now - window_began) * 1000
                window = Consumed(window_records, window_size, elapsed_ms, self._joining_ms)
                self._tell_window(Consumed(records, size, elapsed_ms, 0), window)
                window_began, window_records, window_size = now, 0, 0
                self._joining_ms = 0.0
        if records < wanted:
            print(
                f"WARNING: Exiting before consuming the expected number of records: timeout "
                f"({self._timeout_ms} ms) exceeded. You can use the --timeout option to increase "
                "the timeout."
            )
        if not self._is_detailed:
            elapsed_ms = (time.monotonic() - started) * 1000
            total = Consumed(records, size, elapsed_ms, self._joining_ms)
            times = [date_text(each, self._format) for each in (started_at, time.time())]
            print(", ".join([*times, *cells(total, total)]))

    def _tell_window(self, total: Consumed, window: Consumed) -> None:
        shown = [date_text(time.time(), self._format), "0", *cells(total, window)]
        print(", ".join(shown), flush=True)

    def _assigned(self, consumer: object, partitions: object) -> None:
        self._joining_ms += (time.monotonic() - self._join_began) * 1000

    def _revoked(self, consumer: object, partitions: object) -> None:
        self._join_began = time.monotonic()


TOOL = Tool("Measures how fast records can be consumed.", OPTIONS, run)
