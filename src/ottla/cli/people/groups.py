"""``ottla groups``."""

from __future__ import annotations

import time
from typing import Any

import click

from ottla.cli.kafka.cluster import Cluster, in_order
from ottla.cli.kafka.errors import KafkaFailure
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.group_queries import (
    GroupView,
    committed_offsets,
    delete_group,
    describe_group,
    list_groups,
)
from ottla.cli.kafka.group_tables import OffsetRow, offset_rows
from ottla.cli.kafka.partition_offsets import LATEST, FoundOffset, list_offsets
from ottla.cli.people.connection import Connection, confirm, with_connection, with_output
from ottla.cli.people.group_resets import reset
from ottla.cli.people.output import Row, rich_table, show
from ottla.wire.errors import ErrorCode


@click.group()
def groups() -> None:
    """List groups, see how far they lag behind, reset and delete them."""


groups.add_command(reset)


@groups.command("list")
@with_output
@with_connection
def list_(connection: Connection, output: str) -> None:
    """List groups of all kinds."""
    found = connection.ask(list_groups)
    rows = [
        {
            "group": each.group_id,
            "type": each.type,
            "protocol": each.protocol_type,
            "state": each.state,
        }
        for each in sorted(found)
    ]
    show(rows, ("group", "type", "protocol", "state"), output)


async def rows_of(cluster: Cluster, group_id: str) -> tuple[GroupView, list[OffsetRow]]:
    """A consumer group and its offsets; raises ``ToolFailure`` if there is none."""
    try:
        group = await describe_group(cluster, group_id)
    except KafkaFailure as failure:
        if failure.code != ErrorCode.GROUP_ID_NOT_FOUND:
            raise
        raise ToolFailure(f"There is no group '{group_id}'", "see 'ottla groups list'") from None
    committed = await committed_offsets(cluster, group_id)
    partitions = {each for member in group.members for each in member.assigned} | set(committed)
    ends = await list_offsets(cluster, dict.fromkeys(sorted(partitions), LATEST))
    known = {each: end.offset for each, end in ends.items() if isinstance(end, FoundOffset)}
    return group, offset_rows(group, committed, known)


_LAG_COLUMNS = ("group", "topic", "partition", "offset", "end", "lag", "seconds", "member")


def _lag_rows(connection: Connection, wanted: tuple[str, ...], with_seconds: bool) -> list[Row]:
    async def ask(cluster: Cluster) -> list[tuple[GroupView, list[OffsetRow]]]:
        ids = wanted or tuple(
            sorted(each.group_id for each in await list_groups(cluster) if each.is_consumer_group)
        )
        return await in_order(rows_of(cluster, group_id) for group_id in ids)

    described = connection.ask(ask)
    lagging = {
        (row.topic, row.partition, row.committed.offset)
        for _, rows in described
        for row in rows
        if row.committed is not None and (row.lag or 0) > 0
    }
    times = _times(connection, lagging) if with_seconds else {}
    now_ms = time.time() * 1000
    shown: list[Row] = []
    for group, rows in described:
        for row in rows:
            offset = None if row.committed is None else row.committed.offset
            written_ms = times.get((row.topic, row.partition, offset))
            seconds = 0.0 if row.lag == 0 else None
            if written_ms is not None:
                seconds = round(max(0.0, now_ms - written_ms) / 1000, 1)
            shown.append(
                {
                    "group": group.group_id,
                    "topic": row.topic,
                    "partition": row.partition,
                    "offset": offset,
                    "end": row.end_offset,
                    "lag": row.lag,
                    "seconds": seconds,
                    "member": None if row.member is None else row.member.client_id,
                }
            )
    return shown


def _times(connection: Connection, places: set[Any]) -> dict[Any, int]:
    """When the first unread record of each place was written, as far as it can be read soon."""
    from ottla import Consumer, TopicPartition

    if not places:
        return {}
    offsets: dict[tuple[str, int], list[int]] = {}
    for topic, partition, offset in places:
        offsets.setdefault((topic, partition), []).append(offset)
    settings = connection.client_settings | {"group.id": "ottla-lag", "enable.auto.commit": "false"}
    found: dict[Any, int] = {}
    with Consumer(settings) as consumer:
        # Groups may be at different places of a partition: one round for each of them.
        while offsets:
            turn = {where: waiting.pop() for where, waiting in offsets.items()}
            offsets = {where: waiting for where, waiting in offsets.items() if waiting}
            consumer.assign([TopicPartition(*where, offset) for where, offset in turn.items()])
            missing = set(turn)
            deadline = time.monotonic() + min(connection.timeout_s, 5)
            while missing and time.monotonic() < deadline:
                for message in consumer.consume(500, 0.1):
                    where = message.topic() or "", message.partition() or 0
                    if message.error() is None and where in missing:
                        missing.discard(where)
                        found[(*where, turn[where])] = message.timestamp()[1]
    return found


@groups.command()
@click.argument("names", nargs=-1, metavar="[GROUP]...")
@click.option("-w", "--watch", is_flag=True, help="Keep showing it.")
@click.option("--interval", type=click.FloatRange(0.2), default=2.0, help="How often, in seconds.")
@click.option("--seconds/--no-seconds", default=True, help="Also how old the next record is.")
@with_output
@with_connection
def lag(
    connection: Connection,
    names: tuple[str, ...],
    watch: bool,
    interval: float,
    seconds: bool,
    output: str,
) -> None:
    """Show how far groups lag behind, in records and in seconds."""
    rows = _lag_rows(connection, names, seconds)
    if not watch:
        show(rows, _LAG_COLUMNS, output)
        return
    import threading

    from rich.live import Live

    pause = threading.Event()
    with Live(rich_table(rows, _LAG_COLUMNS), auto_refresh=False) as live:
        while not pause.wait(interval):
            rows = _lag_rows(connection, names, seconds)
            live.update(rich_table(rows, _LAG_COLUMNS), refresh=True)


@groups.command()
@click.argument("name", metavar="GROUP")
@with_output
@with_connection
def describe(connection: Connection, name: str, output: str) -> None:
    """Show a group's members."""
    group, _ = connection.ask(lambda cluster: rows_of(cluster, name))
    if output == "table":
        click.echo(f"{name}: {group.state}, {group.assignor or 'no assignor'}")
    rows = [
        {
            "member": each.member_id,
            "client": each.client_id,
            "host": each.host.lstrip("/"),
            "partitions": [f"{topic}-{index}" for topic, index in sorted(each.assigned)],
        }
        for each in group.members
    ]
    show(rows, ("member", "client", "host", "partitions"), output)


@groups.command()
@click.argument("names", nargs=-1, required=True, metavar="GROUP...")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@with_connection
def delete(connection: Connection, names: tuple[str, ...], yes: bool) -> None:
    """Delete groups with all they have committed."""
    described = connection.ask(lambda cluster: in_order(rows_of(cluster, name) for name in names))
    for group, _ in described:
        if group.members:
            raise ToolFailure(
                f"'{group.group_id}' has {len(group.members)} members",
                "a group can be deleted once they have left",
            )
    listed = ", ".join(f"'{name}'" for name in names)
    confirm(f"Delete {listed} with all committed offsets?", is_agreed=yes)

    async def ask(cluster: Cluster) -> None:
        for name in names:
            await delete_group(cluster, name)

    connection.ask(ask)
    click.echo(f"Deleted {listed}.")
