"""How an error that ends a command is told to a person."""

from __future__ import annotations


def report_error(message: str, hint: str | None = None) -> None:
    """Print ``error: message`` and what to do about it to standard error."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text("error: ", style="bold red") + Text(message))
    if hint:
        console.print(Text(hint))
