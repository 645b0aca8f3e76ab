"""``ottla doctor``: look at a cluster as an experienced operator would."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable

import click

from ottla.cli.kafka.cluster import Cluster, in_order
from ottla.cli.kafka.errors import KafkaFailure
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.group_queries import list_groups
from ottla.cli.kafka.hanging_transactions import find_hanging
from ottla.cli.kafka.metadata_versions import level_text
from ottla.cli.kafka.topic_queries import describe_configs, metadata
from ottla.cli.people import findings
from ottla.cli.people.connection import Connection, with_connection, with_output
from ottla.cli.people.findings import (
    FAILURE,
    OK,
    WARNING,
    BrokerSeen,
    DirectorySeen,
    Finding,
    GroupSeen,
    PartitionSeen,
)
from ottla.cli.people.groups import rows_of
from ottla.cli.people.output import show
from ottla.wire.api.k03_metadata import MetadataResponse
from ottla.wire.api.k18_api_versions import ApiVersionsRequest
from ottla.wire.api.k35_describe_log_dirs import DescribeLogDirsRequest

_HANGING_AFTER_MS = 15 * 60_000
_MARKS = {OK: "[green]ok[/]", WARNING: "[yellow]warning[/]", FAILURE: "[bold red]failure[/]"}
_COLUMNS = ("level", "subject", "text", "hint")
_MOST_GROUPS = 200


@click.command()
@with_output
@with_connection
def doctor(connection: Connection, output: str) -> int:
    """Check a cluster: addresses, versions, partitions, transactions, groups, disks."""
    asked = connection.entries["bootstrap.servers"]
    try:
        found = connection.ask(lambda cluster: examine(cluster, asked))
    except ToolFailure as failure:
        found = [Finding(FAILURE, "connection", failure.message, failure.hint)]
    if output == "table":
        _tell(found)
    else:
        show([each._asdict() for each in found], _COLUMNS, output)
    return 1 if any(each.level == FAILURE for each in found) else 0


def _tell(found: list[Finding]) -> None:
    if not sys.stdout.isatty():
        for each in found:
            click.echo(f"{each.level:<8} {each.subject}: {each.text}")
            if each.hint:
                click.echo(f"         {each.hint}")
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    for each in found:
        console.print(f"{_MARKS[each.level]} [bold]{escape(each.subject)}[/]: {escape(each.text)}")
        if each.hint:
            console.print(f"   [dim]{escape(each.hint)}[/]")


async def examine(cluster: Cluster, asked: str) -> list[Finding]:
    """All findings, also where a broker can't or won't tell something."""
    started = cluster.engine.now_ms()
    answer = await metadata(cluster)
    took_ms = cluster.engine.now_ms() - started
    found = [Finding(OK, "connection", f"{asked} answers in {took_ms:.0f} ms")]
    brokers = [BrokerSeen(each.node_id, each.host, each.port) for each in answer.brokers]
    found += findings.judge_brokers(asked, brokers)
    parts: dict[str, Callable[[], Awaitable[list[Finding]]]] = {
        "versions": lambda: _versions(cluster, brokers),
        "partitions": lambda: _partitions(cluster, answer, len(brokers)),
        "transactions": lambda: _transactions(cluster, brokers),
        "groups": lambda: _groups(cluster),
        "disks": lambda: _disks(cluster, brokers),
    }
    for subject, part in parts.items():
        try:
            found += await part()
        except KafkaFailure as failure:
            found.append(Finding(WARNING, subject, f"couldn't be looked at: {failure.message}"))
    return found


async def _versions(cluster: Cluster, brokers: list[BrokerSeen]) -> list[Finding]:
    from ottla import __version__

    request = ApiVersionsRequest(client_software_name="ottla", client_software_version=__version__)
    answers = await in_order(cluster.ask(request, each.broker_id) for each in brokers)
    levels = {
        each.name: level_text(each.name, each.max_version_level)
        for answer in answers[:1]
        for each in answer.finalized_features
    }
    shown = ", ".join(f"{name} {level}" for name, level in sorted(levels.items()))
    found = [Finding(OK, "features", shown or "none finalized")]
    offered = [{each.api_key: each.max_version for each in answer.api_keys} for answer in answers]
    if any(each != offered[0] for each in offered):
        found.append(
            Finding(
                WARNING,
                "versions",
                "brokers don't all offer the same versions",
                "fine while an upgrade is under way, a surprise otherwise",
            )
        )
    return found


async def _partitions(cluster: Cluster, answer: MetadataResponse, brokers: int) -> list[Finding]:
    names = [topic.name for topic in answer.topics if topic.name and not topic.error_code]
    configs = await describe_configs(cluster, names) if names else {}
    least = {
        name: next((int(e.value or 1) for e in held if e.name == "min.insync.replicas"), 1)
        for name, held in configs.items()
    }
    seen = [
        PartitionSeen(
            f"{topic.name}-{each.partition_index}",
            each.leader_id,
            len(each.replica_nodes),
            len(each.isr_nodes),
            least.get(topic.name or "", 1),
        )
        for topic in answer.topics
        for each in topic.partitions
    ]
    return [*findings.judge_partitions(seen), *findings.judge_durability(brokers, seen)]


async def _transactions(cluster: Cluster, brokers: list[BrokerSeen]) -> list[Finding]:
    before_ms = int(time.time() * 1000) - _HANGING_AFTER_MS
    hanging: set[str] = set()
    for broker in brokers:
        for each in await find_hanging(
            cluster,
            topic=None,
            partition=None,
            broker_id=broker.broker_id,
            opened_before_ms=before_ms,
        ):
            hanging.add(
                f"{each.topic}-{each.partition} from {each.producer.current_txn_start_offset}"
            )
    return findings.judge_transactions(sorted(hanging))


async def _groups(cluster: Cluster) -> list[Finding]:
    listed = [each for each in await list_groups(cluster) if each.is_consumer_group]
    seen = []
    for listing in listed[:_MOST_GROUPS]:
        try:
            group, rows = await rows_of(cluster, listing.group_id)
        except ToolFailure:
            continue  # it has gone in the meantime
        lag = sum(max(0, row.lag or 0) for row in rows)
        seen.append(GroupSeen(group.group_id, group.state, len(group.members), lag))
    found = findings.judge_groups(seen)
    if len(listed) > _MOST_GROUPS:
        found.append(Finding(OK, "groups", f"only {_MOST_GROUPS} of {len(listed)} were looked at"))
    return found


async def _disks(cluster: Cluster, brokers: list[BrokerSeen]) -> list[Finding]:
    answers = await in_order(
        cluster.ask(DescribeLogDirsRequest(topics=[]), each.broker_id) for each in brokers
    )
    return findings.judge_directories(
        DirectorySeen(
            broker.broker_id,
            each.log_dir,
            KafkaFailure(each.error_code).message if each.error_code else "",
            each.total_bytes,
            each.usable_bytes,
        )
        for broker, answer in zip(brokers, answers, strict=True)
        for each in answer.results
    )
