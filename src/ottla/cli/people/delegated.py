"""``ottla acls``, ``ottla log`` and ``ottla perf``: Kafka's tools, under our roof."""

from __future__ import annotations

import click

from ottla.cli.people.connection import Connection, with_connection

_PASS_ON = {"ignore_unknown_options": True, "help_option_names": []}


def _run(tool: str, words: list[str]) -> int:
    from ottla.cli.kafka.entry import run

    return run(tool, words)


@click.group()
def log() -> None:
    """Look into the files of a log directory."""


@log.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--records", is_flag=True, help="Show records, not only batches.")
@click.option("--data", is_flag=True, help="Show keys and values.")
@click.option("--offsets", is_flag=True, help="Show the records of __consumer_offsets.")
def dump(files: tuple[str, ...], records: bool, data: bool, offsets: bool) -> int:
    """Show what is in segments, indexes and snapshots."""
    words = ["--files", ",".join(files)]
    chosen = {"--deep-iteration": records, "--print-data-log": data, "--offsets-decoder": offsets}
    return _run("kafka-dump-log", [*words, *(name for name, wanted in chosen.items() if wanted)])


@click.group()
def perf() -> None:
    """Measure how fast a cluster is."""


@perf.command("produce")
@click.argument("topic")
@click.option("-n", "--records", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("-s", "--size", type=click.IntRange(1), default=100, show_default=True)
@click.option("--rate", type=float, default=-1, help="Records a second at most.")
@with_connection
def produce(connection: Connection, topic: str, records: int, size: int, rate: float) -> int:
    """Produce to TOPIC as fast as it goes."""
    words = ["--topic", topic, "--num-records", str(records), "--record-size", str(size)]
    words += ["--throughput", str(rate), "--command-property", *_properties(connection)]
    return _run("kafka-producer-perf-test", words)


@perf.command("consume")
@click.argument("topic")
@click.option("-n", "--records", type=click.IntRange(1), default=1_000_000, show_default=True)
@with_connection
def consume(connection: Connection, topic: str, records: int) -> int:
    """Consume from TOPIC as fast as it goes."""
    words = ["--bootstrap-server", connection.entries["bootstrap.servers"]]
    words += ["--topic", topic, "--num-records", str(records)]
    for entry in _properties(connection):
        words += ["--command-property", entry]
    return _run("kafka-consumer-perf-test", words)


def _properties(connection: Connection) -> list[str]:
    return [f"{key}={text}" for key, text in connection.entries.items()]


@click.command(context_settings=_PASS_ON)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def acls(words: tuple[str, ...]) -> int:
    """List, add and remove access rules, as kafka-acls does."""
    return _run("kafka-acls", list(words))


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete this command: source it in its start file."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    root = context.find_root()
    if kind is None:
        raise click.UsageError(f"{shell} isn't known")
    click.echo(kind(root.command, {}, root.info_name or "ottla", "_OTTLA_COMPLETE").source())
