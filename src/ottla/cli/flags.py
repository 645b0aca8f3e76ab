"""Commands and their flags, declared once.

Two readers use the same declarations: :func:`parse_plain` here, which knows only the well-formed
``--name value`` and costs nothing to import, and click (``cli/application.py``), which takes over
for help, abbreviations and every mistake. A server must be listening sooner than click is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

FlagValues = Mapping[str, Sequence[str]]
"""Flag name (with its dashes) to the values given, in order; flags not given are absent."""


class Flag(NamedTuple):
    """One option of a command; every option takes a value."""

    name: str
    metavar: str
    help: str
    repeatable: bool = False
    choices: tuple[str, ...] = ()


class Command(NamedTuple):
    """One subcommand of ``ottla``."""

    name: str
    summary: str
    description: str
    flags: tuple[Flag, ...]
    run: Callable[[FlagValues], int]
    """Runs the command and returns the process's exit code."""


def parse_plain(flags: Sequence[Flag], arguments: Sequence[str]) -> dict[str, list[str]] | None:
    """Read ``--name value`` and ``--name=value``; ``None`` when anything else is among them."""
    by_name = {flag.name: flag for flag in flags}
    values: dict[str, list[str]] = {}
    rest = iter(arguments)
    for argument in rest:
        name, has_value, value = argument.partition("=")
        flag = by_name.get(name)
        if flag is None:
            return None
        if not has_value:
            following = next(rest, None)
            if following is None or following.startswith("-"):
                return None
            value = following
        if flag.choices and value not in flag.choices:
            return None
        given = values.setdefault(name, [])
        if given and not flag.repeatable:
            return None
        given.append(value)
    return values
