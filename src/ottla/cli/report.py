"""How an error that ends a command is told to a person."""

from __future__ import annotations

from collections.abc import Iterable


def report_errors(problems: Iterable[str], hint: str | None = None) -> None:
    """Print ``error: problem`` for each, then what to do about it, to standard error."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for problem in problems:
        console.print(Text("error: ", style="bold red") + Text(problem))
    if hint:
        console.print(Text(hint))
