"""``ottla groups reset``: where a group is to go on, shown before it is done."""

from __future__ import annotations

import re
import time

import click

from ottla.cli.kafka.cluster import Cluster
from ottla.cli.kafka.consumer_group_resets import Offsets, listed
from ottla.cli.kafka.errors import KafkaFailure
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.group_queries import commit_offsets, committed_offsets, describe_group
from ottla.cli.kafka.offset_resets import parse_datetime, parse_duration, parse_topic, within
from ottla.cli.kafka.partition_offsets import EARLIEST, LATEST, Partition, leaders
from ottla.cli.people.connection import Connection, confirm, with_connection, with_output
from ottla.cli.people.output import Row, show
from ottla.wire.errors import ErrorCode

_COLUMNS = ("topic", "partition", "from", "to", "change")


@click.command()
@click.argument("name", metavar="GROUP")
@click.option(
    "--to",
    "where",
    required=True,
    metavar="WHERE",
    help="earliest, latest, an offset, +N or -N from where it is, a time (2026-05-22T10:00:00), or "
    "how long ago (PT2H, P1D).",
)
@click.option(
    "-t",
    "--topic",
    "topics",
    multiple=True,
    metavar="TOPIC[:0,1]",
    help="Which topic, or some partitions of it; all that the group has committed by default.",
)
@click.option("--execute", is_flag=True, help="Do it; otherwise it is only shown.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@with_output
@with_connection
def reset(
    connection: Connection,
    name: str,
    where: str,
    topics: tuple[str, ...],
    execute: bool,
    yes: bool,
    output: str,
) -> None:
    """Set where GROUP goes on. Without --execute it is only shown."""
    before, after = connection.ask(lambda cluster: _plan(cluster, name, where, topics))
    rows: list[Row] = [
        {
            "topic": topic,
            "partition": index,
            "from": before.get((topic, index)),
            "to": offset,
            "change": offset - before.get((topic, index), 0),
        }
        for (topic, index), offset in sorted(after.items())
    ]
    show(rows, _COLUMNS, output)
    if not execute:
        click.echo("Nothing was changed: add --execute to do it.", err=True)
        return
    confirm(f"Reset '{name}' in {len(rows)} partitions?", is_agreed=yes)
    connection.ask(lambda cluster: commit_offsets(cluster, name, after))
    click.echo(f"Reset '{name}'.", err=True)


async def _plan(
    cluster: Cluster, name: str, where: str, topics: tuple[str, ...]
) -> tuple[Offsets, Offsets]:
    """What is committed now, and what shall be.

    Raises:
        ToolFailure: the group has members, nothing to reset, or ``where`` makes no sense.
    """
    await _check_idle(cluster, name)
    try:
        committed = {
            each: found.offset for each, found in (await committed_offsets(cluster, name)).items()
        }
    except KafkaFailure as failure:
        if failure.code != ErrorCode.GROUP_ID_NOT_FOUND:
            raise
        committed = {}
    partitions = await _partitions(cluster, topics) if topics else sorted(committed)
    if not partitions:
        raise ToolFailure(
            f"'{name}' has committed nothing", "name a topic with --topic to begin there"
        )
    return committed, await _targets(cluster, where, partitions, committed)


async def _check_idle(cluster: Cluster, name: str) -> None:
    try:
        group = await describe_group(cluster, name)
    except KafkaFailure as failure:
        if failure.code != ErrorCode.GROUP_ID_NOT_FOUND:
            raise
        return  # it may be given offsets before its first member comes
    if group.members:
        count = len(group.members)
        raise ToolFailure(
            f"'{name}' has {count} member{'s' if count != 1 else ''}, which would not notice",
            f"stop them first: 'ottla groups describe {name}' shows who they are",
        )


async def _partitions(cluster: Cluster, topics: tuple[str, ...]) -> list[Partition]:
    try:
        parsed = [parse_topic(topic) for topic in topics]
    except ValueError as error:
        raise ToolFailure(str(error), "as in --topic orders:0,1") from None
    existing = await leaders(cluster, (topic for topic, _ in parsed))
    chosen: list[Partition] = []
    for topic, indexes in parsed:
        found = [each for each in existing if each[0] == topic]
        chosen += found if indexes is None else [(topic, index) for index in indexes]
        if not found or set(chosen) - set(existing):
            missing = topic if not found else f"{topic}:{','.join(map(str, indexes or ()))}"
            raise ToolFailure(f"There is no '{missing}'", "see 'ottla topics list'")
    return sorted(set(chosen))


async def _targets(
    cluster: Cluster, where: str, partitions: list[Partition], committed: Offsets
) -> Offsets:
    if where in ("earliest", "latest"):
        return await listed(cluster, partitions, EARLIEST if where == "earliest" else LATEST)
    if re.fullmatch(r"[+-]?\d+", where):
        return await _near(cluster, where, partitions, committed)
    try:
        if where[:1] in ("P", "p"):
            timestamp_ms = int(time.time() * 1000) - parse_duration(where)
        else:
            timestamp_ms = parse_datetime(where)
    except ValueError:
        raise ToolFailure(
            f"'{where}' is no place to go on",
            "say earliest, latest, 100, -100, 2026-05-22T10:00:00 or PT2H",
        ) from None
    found = await listed(cluster, partitions, timestamp_ms)
    rest = [each for each, offset in found.items() if offset < 0]
    return {**found, **await listed(cluster, rest, LATEST)}


async def _near(
    cluster: Cluster, where: str, partitions: list[Partition], committed: Offsets
) -> Offsets:
    """An offset, or so many records on or back, as near as the logs allow."""
    shifts = where[0] in "+-"
    if shifts and (lacking := set(partitions) - set(committed)):
        topic, index = min(lacking)
        raise ToolFailure(
            f"Nothing is committed for {topic}-{index} from where {where} could be counted",
            "say earliest, latest or an offset",
        )
    first = await listed(cluster, partitions, EARLIEST)
    end = await listed(cluster, partitions, LATEST)
    return {
        each: within(int(where) + (committed[each] if shifts else 0), first[each], end[each])
        for each in partitions
    }
