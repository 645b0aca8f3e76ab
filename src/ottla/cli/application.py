"""The click application: help, versions, suggestions and errors, from the same declarations."""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ottla import __version__
from ottla.cli.flags import Command, Flag
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.report import report_errors

EXIT_USAGE = 2
HELP_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


# Subcommand -> module below `people` and the name of its click command there.
PEOPLE = {
    "acls": ("delegated", "acls"),
    "completion": ("delegated", "completion"),
    "configs": ("settings", "configs"),
    "consume": ("messages", "consume"),
    "doctor": ("doctor", "doctor"),
    "groups": ("groups", "groups"),
    "log": ("delegated", "log"),
    "perf": ("delegated", "perf"),
    "produce": ("messages", "produce"),
    "profile": ("settings", "profile"),
    "topics": ("topics", "topics"),
}


class _Ottla(click.Group):
    """The root command: it imports subcommands when they are needed, and knows what a mistyped one
    was meant to be."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.commands, *PEOPLE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in PEOPLE:
            return super().get_command(ctx, cmd_name)
        module, name = PEOPLE[cmd_name]
        found: click.Command = getattr(importlib.import_module(f"ottla.cli.people.{module}"), name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            close = difflib.get_close_matches(name, self.list_commands(ctx), n=1, cutoff=0.5)
            suggestion = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(f"There is no command '{name}'.{suggestion}", ctx)
        return super().resolve_command(ctx, args)


def run(commands: Mapping[str, Command], arguments: Sequence[str]) -> int:
    """Run ``arguments`` through click; returns the process's exit code."""
    application = _Ottla(
        "ottla",
        help="Kafka's protocol and platform in Python.",
        context_settings=HELP_SETTINGS,
        commands=[_click_command(command) for command in commands.values()],
    )
    click.version_option(__version__, prog_name="ottla", message="%(prog)s %(version)s")(
        application
    )
    if "_OTTLA_COMPLETE" in os.environ:
        application.main(list(arguments), prog_name="ottla")  # what click does for the shell
    try:
        result = application.main(list(arguments), prog_name="ottla", standalone_mode=False)
    except ToolFailure as failure:
        if failure.told:
            report_errors([failure.told], failure.hint)
        return failure.status
    except click.exceptions.NoArgsIsHelpError as shown:
        click.echo(shown.ctx.get_help() if shown.ctx else shown.format_message())
        return EXIT_USAGE
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "ottla"
        report_errors([error.format_message()], f"Try '{where} --help'.")
        return EXIT_USAGE
    except click.Abort:
        return 130
    return result if isinstance(result, int) else 0


def _click_command(command: Command) -> click.Command:
    def callback(**parameters: Any) -> int:
        values: dict[str, Sequence[str]] = {}
        for flag in command.flags:
            value = parameters[_parameter_name(flag)]
            if value not in (None, ()):
                values[flag.name] = value if flag.repeatable else (value,)
        return command.run(values)

    return click.Command(
        command.name,
        context_settings=HELP_SETTINGS,
        callback=callback,
        params=[_click_option(flag) for flag in command.flags],
        short_help=command.summary,
        help=command.description,
    )


def _click_option(flag: Flag) -> click.Option:
    return click.Option(
        [flag.name, _parameter_name(flag)],
        metavar=flag.metavar,
        help=flag.help,
        multiple=flag.repeatable,
        type=click.Choice(flag.choices) if flag.choices else click.STRING,
    )


def _parameter_name(flag: Flag) -> str:
    # "set" and others are Python's own names: a prefix keeps them apart.
    return "flag_" + flag.name.lstrip("-").replace("-", "_")
