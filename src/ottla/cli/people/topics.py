"""``ottla topics``."""

from __future__ import annotations

import click

from ottla.cli.kafka.cluster import CONTROLLER, Cluster
from ottla.cli.kafka.errors import check
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.topic_description import DEFAULT_CONFIG
from ottla.cli.kafka.topic_queries import describe_configs, describe_topics, metadata
from ottla.cli.people.connection import Connection, confirm, with_connection, with_output
from ottla.cli.people.output import Row, show
from ottla.wire.api.k03_metadata import DescribedTopic
from ottla.wire.api.k19_create_topics import ConfigToSet, CreateTopicsRequest, TopicToCreate
from ottla.wire.api.k20_delete_topics import DeleteTopicsRequest
from ottla.wire.errors import ErrorCode


@click.group()
def topics() -> None:
    """List, describe, create and delete topics."""


@topics.command("list")
@click.option("--all", "with_internal", is_flag=True, help="Also internal topics.")
@with_output
@with_connection
def list_(connection: Connection, with_internal: bool, output: str) -> None:
    """List topics and their health."""

    async def ask(cluster: Cluster) -> list[Row]:
        answer = await metadata(cluster)
        return [
            overview(topic) for topic in answer.topics if with_internal or not topic.is_internal
        ]

    rows = sorted(connection.ask(ask), key=lambda row: str(row["topic"]))
    show(rows, ("topic", "partitions", "replicas", "health"), output)


def overview(topic: DescribedTopic) -> Row:
    """A topic in a line: how large, and whether anything is wrong."""
    partitions = topic.partitions
    offline = sum(each.leader_id < 0 for each in partitions)
    lagging = sum(len(each.isr_nodes) < len(each.replica_nodes) for each in partitions)
    health = "ok"
    if offline:
        health = f"{offline} offline"
    elif lagging:
        health = f"{lagging} under-replicated"
    return {
        "topic": topic.name,
        "partitions": len(partitions),
        "replicas": max((len(each.replica_nodes) for each in partitions), default=0),
        "health": health,
    }


@topics.command()
@click.argument("name")
@with_output
@with_connection
def describe(connection: Connection, name: str, output: str) -> None:
    """Show a topic's partitions, and what is set for it."""

    async def ask(cluster: Cluster) -> tuple[list[Row], list[str]]:
        found = await _find(cluster, [name])
        [view] = await describe_topics(cluster, {name: found[0].topic_id})
        settings = (await describe_configs(cluster, [name]))[name]
        rows: list[Row] = [
            {
                "partition": each.number,
                "leader": each.leader if each.leader >= 0 else None,
                "replicas": list(each.replicas),
                "in sync": list(each.in_sync),
            }
            for each in view.partitions
        ]
        own = [f"{each.name}={each.value}" for each in settings if each.source != DEFAULT_CONFIG]
        return rows, own

    rows, own = connection.ask(ask)
    show(rows, ("partition", "leader", "replicas", "in sync"), output)
    if output == "table" and own:
        click.echo("\n" + "\n".join(own))


async def _find(cluster: Cluster, names: list[str]) -> list[DescribedTopic]:
    """Topics by name; raises ``ToolFailure`` with what may have been meant."""
    found = {topic.name: topic for topic in (await metadata(cluster)).topics}
    for name in names:
        if name not in found:
            import difflib

            close = difflib.get_close_matches(name, [each for each in found if each], n=1)
            hint = f"did you mean '{close[0]}'?" if close else "see 'ottla topics list'"
            raise ToolFailure(f"There is no topic '{name}'", hint)
    return [found[name] for name in names]


@topics.command()
@click.argument("name")
@click.option("-p", "--partitions", type=click.IntRange(1), help="How many; the broker's default.")
@click.option("-r", "--replicas", type=click.IntRange(1, 32767), help="Of each partition.")
@click.option("-c", "--config", "configs", multiple=True, metavar="KEY=VALUE", help="A setting.")
@with_connection
def create(
    connection: Connection,
    name: str,
    partitions: int | None,
    replicas: int | None,
    configs: tuple[str, ...],
) -> None:
    """Create a topic."""
    pairs = [config.partition("=") for config in configs]
    if wrong := [key for key, equals, _ in pairs if not equals]:
        raise ToolFailure(f"'{wrong[0]}' is no KEY=VALUE", "as in -c retention.ms=3600000")
    topic = TopicToCreate(
        name=name,
        num_partitions=partitions or -1,
        replication_factor=replicas or -1,
        assignments=[],
        configs=[ConfigToSet(name=key, value=text) for key, _, text in pairs],
    )

    async def ask(cluster: Cluster) -> int:
        request = CreateTopicsRequest(topics=[topic], timeout_ms=int(cluster.timeout_ms))
        [created] = (await cluster.ask(request, CONTROLLER)).topics
        if created.error_code == ErrorCode.TOPIC_ALREADY_EXISTS:
            raise ToolFailure(
                f"There is a topic '{name}' already", f"see 'ottla topics describe {name}'"
            )
        check(created.error_code, created.error_message)
        return int(created.num_partitions)

    count = connection.ask(ask)
    click.echo(f"Created '{name}' with {count} partition{'s' if count != 1 else ''}.")


@topics.command()
@click.argument("names", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@with_connection
def delete(connection: Connection, names: tuple[str, ...], yes: bool) -> None:
    """Delete topics with all their records."""
    connection.ask(lambda cluster: _find(cluster, list(names)))
    listed = ", ".join(f"'{name}'" for name in names)
    confirm(f"Delete {listed} with all records?", is_agreed=yes)

    async def ask(cluster: Cluster) -> None:
        request = DeleteTopicsRequest(topic_names=list(names), timeout_ms=int(cluster.timeout_ms))
        for deleted in (await cluster.ask(request, CONTROLLER, at_most=5)).responses:
            check(deleted.error_code, deleted.error_message)

    connection.ask(ask)
    click.echo(f"Deleted {listed}.")
