"""The ``ottla`` command: finds the subcommand and hands over."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ottla.cli.commands.broker import BROKER, UP
from ottla.cli.flags import Command, parse_plain

COMMANDS: dict[str, Command] = {command.name: command for command in (UP, BROKER)}

EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`ottla ... | head`): nobody is left to tell.
        sys.stderr.close()
        return 1


def _dispatch(arguments: Sequence[str]) -> int:
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is not None:
        values = parse_plain(command.flags, arguments[1:])
        if values is not None:
            return command.run(values)
    from ottla.cli.application import run

    return run(COMMANDS, arguments)
