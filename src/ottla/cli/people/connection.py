"""What all subcommands share: how to reach the cluster, how to show, when to ask back."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import click

from ottla.cli.kafka.cluster import Cluster, ask_cluster
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.properties import for_our_client, load
from ottla.cli.people.output import FORMATS
from ottla.cli.people.profiles import Profiles, default_path, resolve
from ottla.cli.people.progress import Progress

Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])
DEFAULT_TIMEOUT_SECONDS = 15.0


class Connection(NamedTuple):
    """How to reach a cluster."""

    entries: dict[str, str]
    timeout_s: float

    def ask(self, work: Callable[[Cluster], Awaitable[Result]]) -> Result:
        """Do some asking; raises ``ToolFailure`` when nobody answers."""
        with Progress(f"Asking {self.entries.get('bootstrap.servers', 'the cluster')}"):
            return ask_cluster(self.entries, work, timeout_ms=self.timeout_s * 1000)

    @property
    def client_settings(self) -> dict[str, str]:
        """As our producers and consumers take them."""
        return for_our_client(self.entries)


def with_connection(function: Function) -> Function:
    """Add the options that say which cluster; they arrive as ``connection``."""

    def receive(**given: Any) -> Any:
        servers, config = given.pop("servers"), given.pop("config")
        profiles = Profiles(default_path(os.environ))
        entries = resolve(
            servers,
            load(config) if config else {},
            profiles.get(given.pop("profile")),
            os.environ,
        )
        return function(connection=Connection(entries, given.pop("timeout_s")), **given)

    receive.__doc__ = function.__doc__
    receive.__name__ = function.__name__
    params = getattr(function, "__click_params__", [])
    receive.__click_params__ = params  # type: ignore[attr-defined]
    options = (
        click.option(
            "-b", "--bootstrap-server", "servers", metavar="HOST:PORT", help="The brokers."
        ),
        click.option("--profile", metavar="NAME", help="The profile to use this once."),
        click.option("--config-file", "config", metavar="FILE", help="Properties to connect with."),
        click.option(
            "--timeout",
            "timeout_s",
            type=float,
            default=DEFAULT_TIMEOUT_SECONDS,
            show_default=True,
            metavar="SECONDS",
            help="How long any answer may take.",
        ),
    )
    decorated: Any = receive
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def with_output(function: Function) -> Function:
    """Add ``--output``; it arrives as ``output``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How to show it.",
    )(function)


def confirm(question: str, *, is_agreed: bool) -> None:
    """Ask before something is destroyed.

    Raises:
        ToolFailure: nobody said yes.
    """
    if is_agreed:
        return
    if not sys.stdin.isatty():
        raise ToolFailure(f"{question} Nobody is there to say yes.", "add --yes to mean it")
    if not click.confirm(question, default=False):
        raise ToolFailure("Nothing was done.")
