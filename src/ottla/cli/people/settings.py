"""``ottla configs``, ``ottla acls`` and ``ottla profile``."""

from __future__ import annotations

import os

import click

from ottla.cli.kafka.cluster import ANY, CONTROLLER, Cluster
from ottla.cli.kafka.errors import check
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.people.connection import Connection, confirm, with_connection, with_output
from ottla.cli.people.output import Row, show
from ottla.cli.people.profiles import Profiles, default_path, shown
from ottla.wire.api.k32_describe_configs import DescribeConfigsRequest, ResourceToDescribe
from ottla.wire.api.k44_incremental_alter_configs import (
    ConfigChange,
    IncrementalAlterConfigsRequest,
    ResourceToAlter,
)

_TYPES = {"topic": 2, "broker": 4, "group": 32}
_SOURCES = {1: "topic", 2: "broker", 3: "all brokers", 4: "file", 5: "default", 8: "group"}
_DEFAULT = 5
_SET, _DELETE = 0, 1


@click.group()
def configs() -> None:
    """See and change the settings of topics, brokers and groups."""


@configs.command("show")
@click.argument("kind", type=click.Choice(tuple(_TYPES)))
@click.argument("name")
@click.option("--all", "with_defaults", is_flag=True, help="Also what nobody has set.")
@with_output
@with_connection
def show_(connection: Connection, kind: str, name: str, with_defaults: bool, output: str) -> None:
    """Show the settings of one topic, broker or group."""

    async def ask(cluster: Cluster) -> list[Row]:
        resource = ResourceToDescribe(
            resource_type=_TYPES[kind], resource_name=name, configuration_keys=None
        )
        target = int(name) if kind == "broker" and name.isdigit() else ANY
        [found] = (await cluster.ask(DescribeConfigsRequest(resources=[resource]), target)).results
        check(found.error_code, found.error_message)
        return [
            {
                "setting": each.name,
                "value": "(hidden)" if each.is_sensitive else each.value,
                "from": _SOURCES.get(each.config_source, str(each.config_source)),
            }
            for each in sorted(found.configs, key=lambda each: str(each.name))
            if with_defaults or each.config_source != _DEFAULT
        ]

    show(connection.ask(ask), ("setting", "value", "from"), output)


@configs.command("set")
@click.argument("kind", type=click.Choice(tuple(_TYPES)))
@click.argument("name")
@click.argument("changes", nargs=-1, required=True, metavar="KEY=VALUE|KEY...")
@with_connection
def set_(connection: Connection, kind: str, name: str, changes: tuple[str, ...]) -> None:
    """Set KEY=VALUE, or set KEY back to its default."""
    wanted = [
        ConfigChange(
            name=key, config_operation=_SET if equals else _DELETE, value=text if equals else None
        )
        for key, equals, text in (change.partition("=") for change in changes)
    ]

    async def ask(cluster: Cluster) -> None:
        resource = ResourceToAlter(resource_type=_TYPES[kind], resource_name=name, configs=wanted)
        request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=False)
        # A broker takes its own settings only.
        target = int(name) if kind == "broker" and name.isdigit() else CONTROLLER
        [altered] = (await cluster.ask(request, target)).responses
        check(altered.error_code, altered.error_message)

    connection.ask(ask)
    click.echo(f"Changed {len(wanted)} setting{'s' if len(wanted) != 1 else ''} of {kind} {name}.")


@click.group()
def profile() -> None:
    """Keep settings for the clusters you work with."""


@profile.command("list")
@with_output
def list_profiles(output: str) -> None:
    """List profiles; the one in use is marked."""
    profiles = Profiles(default_path(os.environ))
    rows = [
        {
            "profile": name,
            "in use": "*" if name == profiles.current else "",
            "brokers": entries.get("bootstrap.servers"),
        }
        for name, entries in sorted(profiles.all.items())
    ]
    show(rows, ("profile", "in use", "brokers"), output)


@profile.command("set")
@click.argument("name")
@click.argument("entries", nargs=-1, required=True, metavar="KEY=VALUE...")
def set_profile(name: str, entries: tuple[str, ...]) -> None:
    """Make or change a profile: bootstrap.servers=HOST:PORT and any client setting.

    KEY= takes a setting away.
    """
    profiles = Profiles(default_path(os.environ))
    held = profiles.all.setdefault(name, {})
    for entry in entries:
        key, equals, text = entry.partition("=")
        if not equals:
            raise ToolFailure(f"'{entry}' is no KEY=VALUE", "as in bootstrap.servers=host:9092")
        if text:
            held[key] = text
        else:
            held.pop(key, None)
    profiles.save()
    click.echo(f"Profile '{name}' has {len(held)} settings; 'ottla profile use {name}' uses it.")


@profile.command("use")
@click.argument("name")
def use_profile(name: str) -> None:
    """Use a profile from now on."""
    profiles = Profiles(default_path(os.environ))
    profiles.get(name)
    profiles.current = name
    profiles.save()
    click.echo(f"Using '{name}'.")


@profile.command("show")
@click.argument("name", required=False)
@with_output
def show_profile(name: str | None, output: str) -> None:
    """Show a profile's settings without its secrets."""
    entries = Profiles(default_path(os.environ)).get(name)
    rows = [{"setting": key, "value": text} for key, text in shown(entries).items()]
    show(rows, ("setting", "value"), output)


@profile.command("delete")
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
def delete_profile(name: str, yes: bool) -> None:
    """Delete a profile."""
    profiles = Profiles(default_path(os.environ))
    profiles.get(name)
    confirm(f"Delete profile '{name}'?", is_agreed=yes)
    del profiles.all[name]
    profiles.current = None if profiles.current == name else profiles.current
    profiles.save()
    click.echo(f"Deleted '{name}'.")
