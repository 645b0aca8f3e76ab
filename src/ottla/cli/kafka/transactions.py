"""``kafka-transactions``: list, describe and abort transactions, and find those that hang."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from ottla.cli.kafka.cluster import Cluster, KeyType, ask_cluster, in_order
from ottla.cli.kafka.entry import KAFKA_VERSION
from ottla.cli.kafka.errors import KafkaFailure, check
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.group_queries import coordinator_of
from ottla.cli.kafka.hanging_transactions import (
    OpenTransaction,
    abort,
    describe_partitions,
    find_hanging,
)
from ottla.cli.kafka.properties import load
from ottla.cli.kafka.subcommands import Parser, Subcommands, subcommand
from ottla.cli.kafka.topic_queries import live_brokers
from ottla.wire.errors import ErrorCode

DEFAULT_TIMEOUT_MINUTES = 15


def _build() -> Parser:
    parser = Parser(
        prog="kafka-transactions.sh",
        description="Shows the transactions of producers, and ends those that hang.",
    )
    parser.add_argument("-v", "--version", action="version", version=KAFKA_VERSION)
    parser.add_argument("--command-config", metavar="FILE", help="Properties for the connection.")
    parser.add_argument(
        "--bootstrap-server", metavar="host:port", required=True, help="The brokers to ask first."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, text: str) -> Parser:
        return subcommand(commands, name, text, is_terse=False)

    listing = add("list", "List transactions.")
    listing.add_argument("--duration-filter", type=int, help="Only those open for so many ms.")
    listing.add_argument("--transactional-id-pattern", help="Only ids that match this pattern.")
    add("describe", "Describe one transaction.").add_argument("--transactional-id", required=True)
    producers = add("describe-producers", "Show who has written to a partition.")
    _add_partition(producers, is_required=True)
    producers.add_argument("--broker-id", type=int, help="The replica to ask, not the leader.")
    aborting = add("abort", "Abort a transaction that hangs.")
    _add_partition(aborting, is_required=True)
    aborting.add_argument("--start-offset", type=int, help="The transaction's first offset.")
    for name in ("--producer-id", "--producer-epoch", "--coordinator-epoch"):
        aborting.add_argument(name, type=int, help="For brokers before Kafka 3.0.")
    hanging = add("find-hanging", "Find transactions that nobody will end.")
    _add_partition(hanging, is_required=False)
    hanging.add_argument("--broker-id", type=int, help="The broker whose partitions to look at.")
    hanging.add_argument(
        "--max-transaction-timeout",
        type=int,
        default=DEFAULT_TIMEOUT_MINUTES,
        help="Minutes after which an open transaction is looked at.",
    )
    force = add("forceTerminateTransaction", "End an id's transaction by fencing its producer.")
    force.add_argument("--transactionalId", required=True)
    return parser


def _add_partition(parser: Parser, *, is_required: bool) -> None:
    parser.add_argument("--topic", required=is_required, help="The topic.")
    parser.add_argument("--partition", type=int, required=is_required, help="The partition.")


def _act(given: argparse.Namespace) -> int:
    _check(given)
    entries = load(given.command_config) if given.command_config else {}
    entries["bootstrap.servers"] = given.bootstrap_server
    ask_cluster(entries, lambda cluster: _ACTIONS[given.command](cluster, given))
    return 0


def _check(given: argparse.Namespace) -> None:
    if given.command == "find-hanging":
        if given.topic is None and given.broker_id is None:
            raise ToolFailure(
                "The `find-hanging` command requires either --topic or --broker-id to limit the "
                "scope of the search"
            )
        if given.partition is not None and given.topic is None:
            raise ToolFailure("The --partition argument requires --topic to be provided")
    if given.command == "abort" and given.start_offset is None:
        if given.producer_id is None:
            raise ToolFailure(
                "The transaction to abort must be identified either with --start-offset (for "
                "brokers on 3.0 or above) or with --producer-id, --producer-epoch, and "
                "--coordinator-epoch (for older brokers)"
            )
        for name in ("producer_epoch", "coordinator_epoch"):
            if getattr(given, name) is None:
                raise ToolFailure(f"Missing required argument --{name.replace('_', '-')}")


_NO_COORDINATOR = (
    "FindCoordinator request for transactionalId `CoordinatorKey(idValue='{}', type=TRANSACTION)` "
    "failed due to authorization failure"
)


def failed(what: str, why: str) -> ToolFailure:
    """How a question that was refused is told."""
    return ToolFailure(f"{what}: {why}. Enable debug logging for additional detail.")


def print_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell, tabs between them."""
    lines = [heading, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    for line in lines:
        cells = zip(line, widths, strict=True)
        print("\t".join(f"{cell:<{width}}" for cell, width in cells) + "\t")


async def _list(cluster: Cluster, given: argparse.Namespace) -> None:
    from ottla.wire.api.k66_list_transactions import ListTransactionsRequest

    duration, pattern = given.duration_filter, given.transactional_id_pattern
    request = ListTransactionsRequest(
        state_filters=[],
        producer_id_filters=[],
        duration_filter=-1 if duration is None else duration,
        transactional_id_pattern=pattern,
    )
    at_least = 2 if pattern else 1 if duration is not None and duration >= 0 else 0
    brokers = sorted(await live_brokers(cluster))
    answers = await in_order(cluster.ask(request, each, at_least=at_least) for each in brokers)
    rows = []
    for broker, answer in zip(brokers, answers, strict=True):
        try:
            check(answer.error_code)
        except KafkaFailure as failure:
            raise failed("Failed to list transactions", failure.message) from None
        rows += [
            (each.transactional_id, str(broker), str(each.producer_id), each.transaction_state)
            for each in answer.transaction_states
        ]
    print_table(("TransactionalId", "Coordinator", "ProducerId", "TransactionState"), rows)


async def describe_transaction(cluster: Cluster, transactional_id: str) -> Any:
    """What the coordinator knows of a transactional id; raises ``KafkaFailure``."""
    from ottla.wire.api.k65_describe_transactions import DescribeTransactionsRequest

    answer = await cluster.ask_coordinator(
        transactional_id,
        DescribeTransactionsRequest(transactional_ids=[transactional_id]),
        lambda answered: answered.transaction_states[0].error_code,
        key_type=KeyType.TRANSACTION,
    )
    [described] = answer.transaction_states
    check(described.error_code)
    return described


async def _describe(cluster: Cluster, given: argparse.Namespace) -> None:
    name = given.transactional_id
    try:
        found = await describe_transaction(cluster, name)
    except KafkaFailure as failure:
        what = f"Failed to describe transaction state of transactional-id `{name}`"
        if failure.code == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            raise failed(what, _NO_COORDINATOR.format(name)) from None
        raise failed(what, failure.message) from None
    coordinator, _, _ = await coordinator_of(cluster, name, KeyType.TRANSACTION)
    started_ms = found.transaction_start_time_ms
    lasts = str(int(time.time() * 1000) - started_ms) if started_ms >= 0 else "None"
    partitions = [f"{each.topic}-{index}" for each in found.topics for index in each.partitions]
    row = {
        "CoordinatorId": str(coordinator),
        "TransactionalId": name,
        "ProducerId": str(found.producer_id),
        "ProducerEpoch": str(found.producer_epoch),
        "TransactionState": found.transaction_state,
        "TransactionTimeoutMs": str(found.transaction_timeout_ms),
        "CurrentTransactionStartTimeMs": str(started_ms) if started_ms >= 0 else "None",
        "TransactionDurationMs": lasts,
        "TopicPartitions": ",".join(partitions),
    }
    print_table(list(row), [list(row.values())])


async def _describe_producers(cluster: Cluster, given: argparse.Namespace) -> None:
    partition = given.topic, given.partition
    try:
        [producers] = (await describe_partitions(cluster, [partition], given.broker_id)).values()
    except KafkaFailure as failure:
        where = "leader" if given.broker_id is None else f"broker {given.broker_id}"
        what = f"Failed to describe producers for partition {given.topic}-{given.partition}"
        why = failure.message
        if failure.code == ErrorCode.TOPIC_AUTHORIZATION_FAILED:
            why = (
                f"Failed to fetch metadata for partition {given.topic}-{given.partition} due to "
                "topic authorization failure"
            )
        raise failed(f"{what} on {where}", why) from None
    rows = [
        (
            str(each.producer_id),
            str(each.producer_epoch),
            str(each.coordinator_epoch),
            str(each.last_sequence),
            str(each.last_timestamp),
            str(each.current_txn_start_offset) if each.current_txn_start_offset >= 0 else "None",
        )
        for each in producers
    ]
    heading = (
        "ProducerId", "ProducerEpoch", "LatestCoordinatorEpoch", "LastSequence", "LastTimestamp",
        "CurrentTransactionStartOffset",
    )  # fmt: skip
    print_table(heading, rows)


async def _abort(cluster: Cluster, given: argparse.Namespace) -> None:
    partition = given.topic, given.partition
    shown = f"{given.topic}-{given.partition}"
    ids = given.producer_id, given.producer_epoch, given.coordinator_epoch
    if given.start_offset is not None:
        try:
            [producers] = (await describe_partitions(cluster, [partition])).values()
        except KafkaFailure as failure:
            what = f"Failed to validate producer state for partition {shown}"
            raise failed(what, failure.message) from None
        opened = [e for e in producers if e.current_txn_start_offset == given.start_offset]
        if not opened:
            raise ToolFailure(
                f"Could not find any open transactions starting at offset {given.start_offset} on "
                f"partition {shown}"
            )
        ids = opened[0].producer_id, opened[0].producer_epoch, opened[0].coordinator_epoch
    try:
        await abort(cluster, partition, *ids)
    except KafkaFailure as failure:
        raise failed(f"Failed to abort transaction on partition {shown}", failure.message) from None


async def _find_hanging(cluster: Cluster, given: argparse.Namespace) -> None:
    now_ms = int(time.time() * 1000)
    hanging: list[OpenTransaction] = await find_hanging(
        cluster,
        topic=given.topic,
        partition=given.partition,
        broker_id=given.broker_id,
        opened_before_ms=now_ms - given.max_transaction_timeout * 60_000,
    )
    rows = [
        (
            each.topic,
            str(each.partition),
            str(each.producer.producer_id),
            str(each.producer.producer_epoch),
            str(each.producer.coordinator_epoch),
            str(each.producer.current_txn_start_offset),
            str(each.producer.last_timestamp),
            str((now_ms - each.producer.last_timestamp) // 60_000),
        )
        for each in hanging
    ]
    heading = (
        "Topic", "Partition", "ProducerId", "ProducerEpoch", "CoordinatorEpoch", "StartOffset",
        "LastTimestamp", "Duration(min)",
    )  # fmt: skip
    print_table(heading, rows)


async def _force(cluster: Cluster, given: argparse.Namespace) -> None:
    from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest

    name = given.transactionalId
    request = InitProducerIdRequest(transactional_id=name, transaction_timeout_ms=1)
    deadline = cluster.engine.now_ms() + cluster.timeout_ms
    while True:
        answer = await cluster.ask_coordinator(
            name, request, lambda answered: answered.error_code, key_type=KeyType.TRANSACTION
        )
        # While the coordinator ends what was open it asks to come again.
        waits = answer.error_code == ErrorCode.CONCURRENT_TRANSACTIONS
        if not waits or cluster.engine.now_ms() > deadline:
            break
        await cluster.pause()
    if answer.error_code:
        failure = KafkaFailure(answer.error_code)
        raise failed(f"Failed to force terminate transactionalId `{name}`", failure.message)


_ACTIONS = {
    "list": _list,
    "describe": _describe,
    "describe-producers": _describe_producers,
    "abort": _abort,
    "find-hanging": _find_hanging,
    "forceTerminateTransaction": _force,
}
TOOL = Subcommands(_build, _act)
