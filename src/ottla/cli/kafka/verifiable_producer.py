"""``kafka-verifiable-producer``: increasing numbers, and in JSON what became of each."""

from __future__ import annotations

import argparse
import json
import signal
import time
from typing import TYPE_CHECKING, Any

from ottla.cli.kafka.client_settings import client_errors, producing
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.properties import for_our_client, load
from ottla.cli.kafka.subcommands import Parser, Subcommands

if TYPE_CHECKING:
    from ottla import KafkaError, Message, Producer


def _build() -> Parser:
    parser = Parser(
        prog="verifiable-producer",
        description="Produces increasing numbers and tells in JSON what became of each.",
    )
    parser.add_argument("--topic", required=True, help="Where to produce to.")
    parser.add_argument("--max-messages", type=int, default=-1, help="How many; -1: no end.")
    parser.add_argument("--throughput", type=int, default=-1, help="Records/s; -1: no limit.")
    parser.add_argument(
        "--acks", type=int, default=-1, choices=(0, 1, -1), help="Who has to have it."
    )
    for name in ("--producer.config", "--command-config"):
        parser.add_argument(name, metavar="FILE", help="Properties for the producer.")
    parser.add_argument("--message-create-time", type=int, default=-1, help="The first time in ms.")
    parser.add_argument("--value-prefix", type=int, help="What stands before each number.")
    parser.add_argument("--repeating-keys", type=int, help="How many keys to use in turn.")
    connection = parser.add_mutually_exclusive_group(required=True)
    connection.add_argument("--bootstrap-server", help="The brokers to ask first.")
    return parser


def event(name: str, **fields: object) -> None:
    """Print one event."""
    shown = {"timestamp": int(time.time() * 1000), "name": name, **fields}
    print(json.dumps(shown, separators=(",", ":"), ensure_ascii=False), flush=True)


def _act(given: argparse.Namespace) -> int:
    names = vars(given)
    old, new = names["producer.config"], given.command_config
    if old and new:
        raise ToolFailure("Options --producer.config and --command-config are mutually exclusive.")
    if old:
        print(
            "Option --producer.config has been deprecated and will be removed in a future version. "
            "Use --command-config instead."
        )
    settings = for_our_client(load(old or new) if old or new else {})
    settings |= {"bootstrap.servers": given.bootstrap_server, "acks": str(given.acks)}
    # A record that is lost is to be seen as lost.
    settings["message.send.max.retries"] = "0"
    settings.setdefault("partitioner", "murmur2_random")
    with client_errors(given.bootstrap_server), producing(settings) as producer:
        _Sending(producer, given).run()
    return 0


class _Sending:
    """Numbers on their way."""

    def __init__(self, producer: Producer, given: argparse.Namespace) -> None:
        self._producer = producer
        self._given = given
        self._sent = self._acknowledged = 0
        self._is_stopping = False

    def run(self) -> None:
        """Send until there are enough or somebody says stop."""
        before = signal.signal(signal.SIGTERM, self._stop)
        event("startup_complete")
        started = time.monotonic()
        try:
            while not self._is_stopping and self._sent != self._given.max_messages:
                self._send(self._sent)
                self._keep_pace(started)
            self._producer.flush()
        except KeyboardInterrupt:
            self._producer.flush()
        finally:
            signal.signal(signal.SIGTERM, before)
        elapsed_s = max(time.monotonic() - started, 1e-9)
        event("shutdown_complete")
        event(
            "tool_data",
            sent=self._sent,
            acked=self._acknowledged,
            target_throughput=self._given.throughput,
            avg_throughput=self._acknowledged / elapsed_s,
        )

    def _stop(self, *_: object) -> None:
        self._is_stopping = True

    def _send(self, number: int) -> None:
        given = self._given
        text = str(number) if given.value_prefix is None else f"{given.value_prefix}.{number}"
        key = None if given.repeating_keys is None else str(number % given.repeating_keys)
        created = 0
        if given.message_create_time >= 0:
            created = given.message_create_time + number

        def delivered(error: KafkaError | None, message: Message[Any, Any]) -> None:
            self._delivered(key, text, error, message)

        while True:
            try:
                self._producer.produce(
                    given.topic, text, key, on_delivery=delivered, timestamp=created
                )
            except BufferError:
                self._producer.poll(0.05)
            else:
                self._sent += 1
                self._producer.poll(0)
                return

    def _keep_pace(self, started: float) -> None:
        if self._given.throughput <= 0:
            return
        due = started + self._sent / self._given.throughput
        while (ahead_s := due - time.monotonic()) > 0 and not self._is_stopping:
            self._producer.poll(min(ahead_s, 0.1))

    def _delivered(
        self, key: str | None, text: str, error: KafkaError | None, message: Message[Any, Any]
    ) -> None:
        if error is not None:
            event(
                "producer_send_error",
                exception=error.name(),
                message=error.str(),
                topic=self._given.topic,
                key=key,
                value=text,
            )
            return
        self._acknowledged += 1
        event(
            "producer_send_success",
            key=key,
            value=text,
            offset=message.offset(),
            partition=message.partition(),
            topic=message.topic(),
        )


TOOL = Subcommands(_build, _act)
