"""Where every ``kafka-*`` command begins: its name says which module is the tool."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ottla.cli.kafka.failures import OptionError, ToolFailure, UsageError
from ottla.cli.kafka.options import HELP, VERSION, Option, Options, describe, parse

KAFKA_VERSION: Final = "4.3.1"
"""The release whose tools these stand in for."""

TOOLS: Final = {
    "kafka-acls": "acls",
    "kafka-broker-api-versions": "broker_api_versions",
    "kafka-cluster": "cluster_tool",
    "kafka-configs": "configs",
    "kafka-console-consumer": "console_consumer",
    "kafka-console-producer": "console_producer",
    "kafka-console-share-consumer": "console_share_consumer",
    "kafka-consumer-groups": "consumer_groups",
    "kafka-consumer-perf-test": "consumer_perf_test",
    "kafka-delete-records": "delete_records",
    "kafka-dump-log": "dump_log",
    "kafka-e2e-latency": "e2e_latency",
    "kafka-features": "features",
    "kafka-get-offsets": "get_offsets",
    "kafka-groups": "groups",
    "kafka-leader-election": "leader_election",
    "kafka-log-dirs": "log_dirs",
    "kafka-producer-perf-test": "producer_perf_test",
    "kafka-reassign-partitions": "reassign_partitions",
    "kafka-share-groups": "share_groups",
    "kafka-storage": "storage",
    "kafka-topics": "topics",
    "kafka-transactions": "transactions",
    "kafka-verifiable-consumer": "verifiable_consumer",
    "kafka-verifiable-producer": "verifiable_producer",
}
"""Command -> module beside this one."""

EXIT_INTERRUPTED: Final = 130


class Tool(NamedTuple):
    """A tool whose options are read as jopt-simple reads them.

    Args:
        summary: what the tool is for.
        options: what it takes besides ``--help`` and ``--version``.
        run: does the work; returns the exit code.
        complaint: how a command line that can't be read is told; ``{}`` stands for the reason.
    """

    summary: str
    options: tuple[Option, ...]
    run: Callable[[Options], int]
    complaint: str = "{}"


def main() -> int:
    """Run the tool that this process was started as; returns its exit code."""
    name = os.path.basename(sys.argv[0])
    return run(name.removesuffix(".py").removesuffix(".sh"), sys.argv[1:])


def run(name: str, words: Sequence[str]) -> int:
    """Run a tool by the name of its command; returns its exit code."""
    module = importlib.import_module(f"ottla.cli.kafka.{TOOLS[name]}")
    try:
        status = _run_tool(name, module.TOOL, words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`kafka-topics --list | head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _run_tool(name: str, tool: Tool | Callable[[Sequence[str]], int], words: Sequence[str]) -> int:
    try:
        if not isinstance(tool, Tool):
            return tool(words)
        return _run_options(name, tool, words)
    except UsageError as failure:
        tell(failure)
        if isinstance(tool, Tool):
            print(_usage(tool), file=sys.stderr)
        return failure.status
    except OptionError as failure:
        failure.hint = failure.hint or f"see '{name} --help'"
        tell(failure)
        return failure.status
    except ToolFailure as failure:
        tell(failure)
        return failure.status


def _run_options(name: str, tool: Tool, words: Sequence[str]) -> int:
    try:
        options = parse((*tool.options, HELP, VERSION), words)
    except OptionError as failure:
        raise OptionError(tool.complaint.format(failure.message)) from None
    # Kafka's tools show their help as an error, and so with an exit code that says so.
    if not words or options.has("help"):
        raise UsageError(tool.summary)
    if options.has("version"):
        print(KAFKA_VERSION)
        return 0
    return tool.run(options)


def _usage(tool: Tool) -> str:
    return describe((*tool.options, HELP, VERSION))


def tell(failure: ToolFailure) -> None:
    """Say on standard error what is wrong, and what to do about it."""
    sys.stdout.flush()
    if failure.told:
        print(failure.told, file=sys.stderr)
    if failure.hint:
        print(f"hint: {failure.hint}", file=sys.stderr)
