"""``kafka-producer-perf-test``: how fast, and how soon, records reach the broker."""

from __future__ import annotations

import argparse
import os
import random
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ottla.cli.kafka.client_metrics import ClientMetrics
from ottla.cli.kafka.client_settings import client_errors, producing
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.latencies import Latencies, total_line, window_line
from ottla.cli.kafka.properties import for_our_client, key_values, load
from ottla.cli.kafka.subcommands import Parser, Subcommands

if TYPE_CHECKING:
    from ottla import KafkaError, Message, Producer

_DEFAULT_TRANSACTION_MS = 3000
_RENAMED = (("producer_props", "command_property"), ("producer.config", "command_config"))


_PROGRAM = "kafka-producer-perf-test"
_LAST_STATISTICS_SECONDS = 0.3


def _build() -> Parser:
    parser = Parser(prog=_PROGRAM, description="Measures how fast records can be produced.")
    parser.add_argument("--bootstrap-server", help="The brokers to connect to first.")
    parser.add_argument("--topic", required=True, help="Where to produce to.")
    parser.add_argument("--num-records", type=int, required=True, help="How many records.")
    parser.add_argument("--payload-delimiter", default="\\n", help="What ends a payload.")
    parser.add_argument("--throughput", type=float, required=True, help="Records/s; -1: no limit.")
    for name in ("--producer-props", "--command-property"):
        parser.add_argument(name, nargs="+", metavar="NAME=VALUE", help="Producer properties.")
    for name in ("--producer.config", "--command-config"):
        parser.add_argument(name, metavar="FILE", help="A file of producer properties.")
    parser.add_argument("--print-metrics", action="store_true", help="Show statistics at the end.")
    parser.add_argument("--transactional-id", help="Produce in transactions.")
    parser.add_argument("--transaction-duration-ms", type=int, help="How long one lasts.")
    parser.add_argument("--warmup-records", type=int, default=0, help="Not counted at the end.")
    parser.add_argument("--reporting-interval", type=int, default=5000, help="How often to tell.")
    payload = parser.add_mutually_exclusive_group(required=True)
    payload.add_argument("--record-size", type=int, help="Random payloads of so many bytes.")
    payload.add_argument("--payload-file", help="Payloads from a file, at random.")
    payload.add_argument("--payload-monotonic", action="store_true", help="Payloads 0, 1, 2...")
    return parser


def _act(given: argparse.Namespace) -> int:
    names = vars(given)
    for old, new in _RENAMED:
        shown_old, shown_new = (f"--{name.replace('_', '-')}" for name in (old, new))
        if names[old] and names[new]:
            raise ToolFailure(f"{shown_old} and {shown_new} cannot be specified together.")
        if names[old]:
            print(
                f"Option {shown_old} has been deprecated and will be removed in a future version. "
                f"Use {shown_new} instead."
            )
    if given.warmup_records < 0 or given.warmup_records >= max(1, given.num_records):
        raise ToolFailure(
            "The value for --warmup-records must be strictly fewer than the number of records in "
            "the test, --num-records."
        )
    settings = producer_settings(names)
    payload = _payloads(given)
    metrics = ClientMetrics("producer") if given.print_metrics else None
    watched = {**settings, **(metrics.settings if metrics else {})}
    with client_errors(settings["bootstrap.servers"]), producing(watched) as producer:
        status = _Run(producer, given, payload, settings).run()
        if metrics is not None:
            # Statistics come at intervals: those after the last record are wanted.
            producer.poll(_LAST_STATISTICS_SECONDS)
            print("\n".join(metrics.lines()))
        return status


def producer_settings(names: dict[str, Any]) -> dict[str, str]:
    """What the producer is configured with."""
    config = names["command_config"] or names["producer.config"]
    given = load(config) if config else {}
    given |= key_values(names["command_property"] or names["producer_props"] or [])
    if names["bootstrap_server"]:
        given["bootstrap.servers"] = names["bootstrap_server"]
    if not given.get("bootstrap.servers"):
        raise ToolFailure(
            "At least one of --bootstrap-server, --command-property, --producer-props, "
            "--producer.config or --command-config must be specified."
        )
    settings = for_our_client(given)
    settings.setdefault("client.id", "perf-producer-client")
    duration = names["transaction_duration_ms"]
    if duration is not None and duration <= 0:
        raise ToolFailure("--transaction-duration-ms should be greater than zero")
    name = names["transactional_id"] or settings.get("transactional.id")
    if name or duration is not None:
        settings["transactional.id"] = name or f"performance-producer-{uuid.uuid4()}"
    return settings


def _payloads(given: argparse.Namespace) -> Callable[[int], bytes]:
    if given.record_size is not None:
        if given.record_size <= 0:
            raise ToolFailure(f"{_PROGRAM}: error: --record-size should be greater than zero.")
        letters = random.choices(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=given.record_size)  # noqa: S311
        fixed = bytes(letters)
        return lambda number: fixed
    if given.payload_monotonic:
        return lambda number: b"%d" % number
    delimiter = given.payload_delimiter.encode().decode("unicode_escape").encode()
    path = os.path.abspath(given.payload_file)
    print(f"Reading payloads from: {path}")
    try:
        with open(path, "rb") as file:
            listed = [part for part in file.read().split(delimiter) if part]
    except OSError as error:
        hint = f"{path}: {error.strerror}"
        raise ToolFailure("File does not exist or empty file provided.", hint) from None
    if not listed:
        raise ToolFailure("File does not exist or empty file provided.")
    print(f"Number of records read: {len(listed)}")
    return lambda number: random.choice(listed)  # noqa: S311 - a choice, no secret


class _Run:
    """One measurement."""

    def __init__(
        self,
        producer: Producer,
        given: argparse.Namespace,
        payload: Callable[[int], bytes],
        settings: dict[str, str],
    ) -> None:
        self._producer = producer
        self._given = given
        self._payload = payload
        self._total, self._steady, self._window = Latencies(), Latencies(), Latencies()
        self._interval_s = given.reporting_interval / 1000
        self._started = self._window_began = time.monotonic()
        self._steady_began = self._started
        self._acknowledged = 0
        self._failure: KafkaError | None = None
        self._transaction_s: float | None = None
        if "transactional.id" in settings:
            duration_ms = given.transaction_duration_ms or _DEFAULT_TRANSACTION_MS
            self._transaction_s = duration_ms / 1000

    def run(self) -> int:
        """Produce all records, then tell; returns the exit code."""
        given = self._given
        if given.warmup_records:
            print(
                f"Warmup first {given.warmup_records} records. Steady state results will print "
                "after the complete test summary."
            )
        if self._transaction_s is not None:
            self._producer.init_transactions()
        self._started = self._window_began = self._steady_began = time.monotonic()
        self._send_all()
        self._producer.flush()
        ended = time.monotonic()
        print(total_line(self._total, ended - self._started))
        if given.warmup_records:
            print(total_line(self._steady, ended - self._steady_began, "steady state records"))
        if self._failure is not None:
            raise ToolFailure(self._failure.str())
        return 0

    def _send_all(self) -> None:
        begun: float | None = None
        for number in range(self._given.num_records):
            if self._transaction_s is not None and begun is None:
                self._producer.begin_transaction()
                begun = time.monotonic()
            self._send(self._payload(number))
            now = time.monotonic()
            if begun is not None and now - begun >= (self._transaction_s or 0):
                self._producer.commit_transaction()
                begun = None
            self._keep_pace(number + 1)
        if begun is not None:
            self._producer.commit_transaction()

    def _send(self, payload: bytes) -> None:
        sent = time.monotonic()

        def delivered(error: KafkaError | None, message: Message[Any, Any]) -> None:
            self._delivered(sent, len(payload), error)

        while True:
            try:
                self._producer.produce(self._given.topic, payload, on_delivery=delivered)
            except BufferError:
                self._producer.poll(0.05)
            else:
                self._producer.poll(0)
                return

    def _keep_pace(self, sent: int) -> None:
        """Wait while more was sent than is wanted by now."""
        if self._given.throughput <= 0:
            return
        due = self._started + sent / self._given.throughput
        while (ahead_s := due - time.monotonic()) > 0:
            self._producer.poll(min(ahead_s, 0.1))

    def _delivered(self, sent: float, size_bytes: int, error: KafkaError | None) -> None:
        if error is not None:
            self._failure = self._failure or error
            return
        now = time.monotonic()
        latency_ms = int((now - sent) * 1000)
        self._acknowledged += 1
        self._total.add(latency_ms, size_bytes)
        self._window.add(latency_ms, size_bytes)
        if self._acknowledged == self._given.warmup_records:
            self._steady_began = now
        elif self._acknowledged > self._given.warmup_records:
            self._steady.add(latency_ms, size_bytes)
        if now - self._window_began >= self._interval_s:
            print(window_line(self._window, now - self._window_began), flush=True)
            self._window, self._window_began = Latencies(), now


TOOL = Subcommands(_build, _act)
