"""Tools with subcommands, which Kafka declares with argparse4j and we with argparse.

Both come from the same root, so that little is left to translate: some wording, and the exit code.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ottla.cli.kafka.failures import ToolFailure

_REQUIRED = re.compile(r"the following arguments are required: (.*)")
_UNKNOWN = re.compile(r"unrecognized arguments: (.*)")
_NO_NUMBER = re.compile(r"argument (\S+): invalid int value: '(.*)'")
_CHOICES = re.compile(r"(?:argument \S+: )?(invalid choice: .*)")


def worded_as_kafkas(message: str) -> str:
    """An error of argparse in argparse4j's words."""
    if found := _REQUIRED.fullmatch(message):
        name = found[1].split(", ")[0]
        return f"argument {name} is required" if name.startswith("-") else "too few arguments"
    if found := _UNKNOWN.fullmatch(message):
        return f"unrecognized arguments: '{found[1]}'"
    if found := _NO_NUMBER.fullmatch(message):
        text = found[2]
        return (
            f"argument {found[1]}: could not convert '{text}' to Integer "
            f'(For input string: "{text}")'
        )
    if found := _CHOICES.fullmatch(message):
        return found[1]
    return message


class Parser(argparse.ArgumentParser):
    """Reads one tool's command line, or that of one of its subcommands.

    Args:
        is_terse: errors are told in one line, without the usage.
        help_status: the exit code after help, which most of Kafka's tools show as an error.
    """

    def __init__(self, *, is_terse: bool = False, help_status: int = 1, **keywords: Any) -> None:
        super().__init__(allow_abbrev=False, **keywords)
        self.is_terse = is_terse
        self.help_status = help_status

    def error(self, message: str) -> NoReturn:
        told = worded_as_kafkas(message)
        if self.is_terse:
            raise ToolFailure(f"Command line error: {told}. Type --help for help.")
        self.print_usage(sys.stderr)
        raise ToolFailure(f"{self.prog.split()[0]}: error: {told}")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise ToolFailure(message or "", status=self.help_status)


class Subcommands:
    """A tool with subcommands.

    Args:
        build: declares the arguments; the subcommand's name becomes ``command``.
        act: does the work; returns the exit code.
    """

    def __init__(
        self, build: Callable[[], Parser], act: Callable[[argparse.Namespace], int]
    ) -> None:
        self._build = build
        self._act = act

    def __call__(self, words: Sequence[str]) -> int:
        return self._act(self._build().parse_args(list(words)))


def subcommand(
    parent: Any, name: str, text: str, *, is_terse: bool = False, help_status: int = 1
) -> Parser:
    """Add a subcommand to what ``add_subparsers`` returned."""
    made: Parser = parent.add_parser(
        name, help=text, description=text, is_terse=is_terse, help_status=help_status
    )
    return made
