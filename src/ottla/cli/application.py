"""The click application: help, versions, suggestions and errors, from the same declarations."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ottla import __version__
from ottla.cli.flags import Command, Flag
from ottla.cli.report import report_errors

EXIT_USAGE = 2
HELP_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Ottla(click.Group):
    """The root command, which knows what a mistyped subcommand was meant to be."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            close = difflib.get_close_matches(name, self.commands, n=1, cutoff=0.5)
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
    try:
        result = application.main(list(arguments), prog_name="ottla", standalone_mode=False)
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
