"""``kafka-verifiable-consumer``: in JSON what is assigned, consumed and committed."""

from __future__ import annotations

import argparse
import signal
from typing import TYPE_CHECKING, Any

from ottla.cli.kafka.client_settings import client_errors, tell_trouble
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.properties import for_our_client, load
from ottla.cli.kafka.subcommands import Parser, Subcommands
from ottla.cli.kafka.verifiable_producer import event

if TYPE_CHECKING:
    from ottla import Consumer, Message, TopicPartition

_ASSIGNORS = {
    "RangeAssignor": "range",
    "RoundRobinAssignor": "roundrobin",
    "CooperativeStickyAssignor": "cooperative-sticky",
}
_AT_ONCE = 500


def _build() -> Parser:
    parser = Parser(
        prog="verifiable-consumer",
        description="Consumes and tells in JSON what is assigned, consumed and committed.",
    )
    parser.add_argument("--topic", required=True, help="What to consume.")
    parser.add_argument("--group-protocol", default="classic", help="classic or consumer.")
    parser.add_argument("--group-remote-assignor", help="The assignor, in the consumer protocol.")
    parser.add_argument("--group-id", required=True, help="The group.")
    parser.add_argument("--group-instance-id", help="This member's own name.")
    parser.add_argument("--max-messages", type=int, default=-1, help="How many; -1: no end.")
    parser.add_argument("--session-timeout", type=int, help="In ms, in the classic protocol.")
    parser.add_argument("--verbose", action="store_true", help="Tell each record.")
    parser.add_argument("--enable-autocommit", action="store_true", help="Commit now and then.")
    parser.add_argument("--reset-policy", default="earliest", help="earliest, latest or none.")
    parser.add_argument(
        "--assignment-strategy",
        default="org.apache.kafka.clients.consumer.RangeAssignor",
        help="One of Kafka's assignors, in the classic protocol.",
    )
    for name in ("--consumer.config", "--command-config"):
        parser.add_argument(name, metavar="FILE", help="Properties for the consumer.")
    parser.add_argument("--bootstrap-server", required=True, help="The brokers to ask first.")
    return parser


def consumer_settings(given: argparse.Namespace) -> dict[str, str]:
    """What the consumer is configured with; raises ``ToolFailure``."""
    old, new = vars(given)["consumer.config"], given.command_config
    if old and new:
        raise ToolFailure("Options --consumer.config and --command-config are mutually exclusive.")
    settings = for_our_client(load(old or new) if old or new else {})
    settings |= {
        "bootstrap.servers": given.bootstrap_server,
        "group.id": given.group_id,
        "enable.auto.commit": str(given.enable_autocommit).lower(),
        "auto.offset.reset": "error" if given.reset_policy == "none" else given.reset_policy,
        "group.protocol": given.group_protocol.lower(),
    }
    if given.group_instance_id:
        settings["group.instance.id"] = given.group_instance_id
    if settings["group.protocol"] == "consumer":
        if given.group_remote_assignor:
            settings["group.remote.assignor"] = given.group_remote_assignor
        return settings
    if given.session_timeout is not None:
        settings["session.timeout.ms"] = str(given.session_timeout)
    name = given.assignment_strategy.rpartition(".")[2]
    if name not in _ASSIGNORS:
        raise ToolFailure(f"There is no assignor {name} here", f"there are {', '.join(_ASSIGNORS)}")
    settings["partition.assignment.strategy"] = _ASSIGNORS[name]
    return settings


def _act(given: argparse.Namespace) -> int:
    settings = consumer_settings(given)
    with client_errors(given.bootstrap_server):
        from ottla import Consumer

        with Consumer({**settings, "error_cb": tell_trouble}) as consumer:
            _Reading(consumer, given).run()
    event("shutdown_complete")
    return 0


def _shown(partitions: list[TopicPartition]) -> list[dict[str, object]]:
    return [{"topic": each.topic, "partition": each.partition} for each in partitions]


class _Reading:
    """What one member does."""

    def __init__(self, consumer: Consumer, given: argparse.Namespace) -> None:
        self._consumer = consumer
        self._given = given
        self._count = 0
        self._is_stopping = False

    def run(self) -> None:
        """Consume until there is enough or somebody says stop."""
        before = signal.signal(signal.SIGTERM, self._stop)
        event("startup_complete")
        self._consumer.subscribe(
            [self._given.topic],
            on_assign=lambda _, these: event("partitions_assigned", partitions=_shown(these)),
            on_revoke=lambda _, these: event("partitions_revoked", partitions=_shown(these)),
        )
        most = self._given.max_messages
        try:
            while not self._is_stopping and (most < 0 or self._count < most):
                at_once = _AT_ONCE if most < 0 else min(_AT_ONCE, most - self._count)
                messages = self._consumer.consume(at_once, 0.2)
                good = [message for message in messages if message.error() is None]
                if good:
                    self._tell(good)
        except KeyboardInterrupt:
            pass  # as asked to: what was consumed has been told
        finally:
            signal.signal(signal.SIGTERM, before)

    def _stop(self, *_: object) -> None:
        self._is_stopping = True

    def _tell(self, messages: list[Message[Any, Any]]) -> None:
        self._count += len(messages)
        offsets: dict[tuple[str, int], list[int]] = {}
        for message in messages:
            where = message.topic() or "", message.partition() or 0
            offsets.setdefault(where, []).append(message.offset() or 0)
            if self._given.verbose:
                self._tell_record(message)
        summaries = [
            {
                "topic": topic,
                "partition": partition,
                "count": len(found),
                "minOffset": min(found),
                "maxOffset": max(found),
            }
            for (topic, partition), found in offsets.items()
        ]
        event("records_consumed", count=len(messages), partitions=summaries)
        if not self._given.enable_autocommit:
            self._commit({where: max(found) + 1 for where, found in offsets.items()})

    @staticmethod
    def _tell_record(message: Message[Any, Any]) -> None:
        event(
            "record_data",
            key=_text(message.key()),
            value=_text(message.value()),
            topic=message.topic(),
            partition=message.partition(),
            offset=message.offset(),
        )

    def _commit(self, offsets: dict[tuple[str, int], int]) -> None:
        from ottla import KafkaException, TopicPartition

        shown = [
            {"topic": topic, "partition": partition, "offset": offset}
            for (topic, partition), offset in offsets.items()
        ]
        try:
            self._consumer.commit(
                offsets=[TopicPartition(*where, offset) for where, offset in offsets.items()],
                asynchronous=False,
            )
        except KafkaException as failure:
            error = failure.args[0]
            event("offsets_committed", offsets=shown, success=False, error=error.str())
        else:
            event("offsets_committed", offsets=shown, success=True)


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="replace")


TOOL = Subcommands(_build, _act)
