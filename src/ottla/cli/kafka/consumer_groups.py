"""``kafka-consumer-groups``: list, describe, delete and reset consumer groups."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ottla.cli.kafka.cluster import Cluster, ask_cluster, in_order, settings
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.errors import KafkaFailure
from ottla.cli.kafka.failures import OptionError, UsageError
from ottla.cli.kafka.group_deletions import delete_group_offsets, delete_groups
from ottla.cli.kafka.group_queries import (
    GroupView,
    committed_offsets,
    describe_group,
    list_groups,
)
from ottla.cli.kafka.group_tables import (
    OffsetRow,
    listing_table,
    members_table,
    offset_rows,
    offsets_table,
    state_table,
)
from ottla.cli.kafka.offset_resets import SCENARIOS
from ottla.cli.kafka.options import Options, flag, long, optional, value
from ottla.cli.kafka.partition_offsets import LATEST, FoundOffset, list_offsets

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required."),
    value("command-config", "file", "Properties for the connection."),
    value("group", "group", "The group. May be repeated."),
    flag("all-groups", "All consumer groups."),
    value(
        "topic",
        "topic[:partitions]",
        "A topic, or some of its partitions (topic:0,1,2), whose offsets to reset or delete. May "
        "be repeated.",
    ),
    flag("all-topics", "All topics that the group has offsets of."),
    flag("list", "Name all consumer groups."),
    flag("describe", "Show what a group has read and how far it lags behind."),
    flag("members", "Describe the members."),
    flag("offsets", "Describe the offsets, as without it."),
    optional(
        "state",
        "states",
        "Describe the group's state; with --list show the state, and only groups in these states.",
    ),
    optional("type", "types", "With --list show the type, and only groups of these types."),
    flag("verbose", "Describe more: epochs, and who is assigned what."),
    flag("delete", "Delete groups and all their offsets."),
    flag("delete-offsets", "Delete a group's offsets of topics."),
    flag("reset-offsets", "Set a group's offsets. The group must have no members."),
    flag("dry-run", "Show what a reset would do, and don't do it."),
    flag("execute", "Do the reset."),
    flag("export", "Show the reset as CSV, for --from-file."),
    flag("to-earliest", "Reset to the first record."),
    flag("to-latest", "Reset to the end."),
    flag("to-current", "Reset to where the group is now."),
    long("to-offset", "offset", "Reset to an offset."),
    long("shift-by", "number", "Reset by so many records forward, or back where negative."),
    value("to-datetime", "time", "Reset to the first record since YYYY-MM-DDThh:mm:ss.sss."),
    value("by-duration", "duration", "Reset to the first record since so long ago: PnDTnHnMnS."),
    value("from-file", "file", "Reset as this CSV file says."),
    long("timeout", "ms", "How long any answer may take.", default="30000"),
    value("validate-regex", "regex", "Say whether a subscription by this pattern is possible."),
)
ACTIONS = ("list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex")
STATES = (
    "PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning",
    "Reconciling",
)  # fmt: skip
TYPES = ("Consumer", "Classic", "Share", "Streams")
_REBALANCING = {"PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling"}
_DRY_RUN = (
    "WARN: No action will be performed as the --execute option is missing. In version 5.0, this "
    "command will require either --dry-run or --execute to be specified. You should add the "
    "--dry-run option explicitly if you are scripting this command and want to keep the current "
    "default behavior without prompting."
)


def run(options: Options) -> int:
    """Check the options, then do the one thing they ask for."""
    check(options)
    if options.has("validate-regex"):
        return _validate_regex(options.text("validate-regex"))
    try:
        timeout_ms = options.number("timeout") or 0
        ask_cluster(
            settings(options), lambda cluster: _act(cluster, options), timeout_ms=timeout_ms
        )
    except (KafkaFailure, OptionError, ValueError) as failure:
        # Kafka's tool tells success here, and scripts have learned to read what it prints.
        message = failure.qualified if isinstance(failure, KafkaFailure) else failure
        print_error(f"Executing consumer group command failed due to {message}")
    return 0


async def _act(cluster: Cluster, options: Options) -> None:
    if options.has("list"):
        await _list(cluster, options)
    elif options.has("describe"):
        await _describe(cluster, options)
    elif options.has("delete"):
        await delete_groups(cluster, await _chosen_groups(cluster, options))
    elif options.has("delete-offsets"):
        await delete_group_offsets(cluster, options.text("group"), options.values("topic"))
    else:
        from ottla.cli.kafka.consumer_group_resets import reset

        await reset(cluster, options, await _chosen_groups(cluster, options))


def print_error(message: str) -> None:
    """Kafka's way to say on standard output that something failed."""
    print(f"\nError: {message}")


def check(options: Options) -> None:
    """Refuse options that don't fit together; raises ``UsageError``."""
    if not options.has("validate-regex"):
        options.require("bootstrap-server")
    has_groups = options.has("group") or options.has("all-groups")
    for action in ("describe", "delete", "reset-offsets"):
        if action == "reset-offsets" and options.has(action):
            _check_reset_mode(options)
        if options.has(action) and not has_groups:
            raise UsageError(f"Option [{action}] takes one of these options: [group], [all-groups]")
    if options.has("describe"):
        _check_describe(options)
    if options.has("delete") and options.has("topic"):
        raise UsageError(
            "The consumer does not support topic-specific offset deletion from a consumer group."
        )
    if options.has("delete-offsets") and not (options.has("group") and options.has("topic")):
        raise UsageError("Option [delete-offsets] takes the following options: [topic], [group]")
    if options.has("reset-offsets"):
        for scenario in SCENARIOS:
            options.forbid(scenario, *(other for other in SCENARIOS if other != scenario))
    options.forbid("group", "all-groups", "list")
    options.forbid("topic", "list", "describe")
    if sum(options.has(action) for action in ACTIONS) != 1:
        shown = ", ".join(f"--{action}" for action in ACTIONS)
        raise UsageError(f"Command must include exactly one action: {shown}")


def _check_describe(options: Options) -> None:
    details = ("members", "offsets", "state")
    if sum(options.has(detail) for detail in details) > 1:
        raise UsageError(
            "Option [describe] takes at most one of these options: [members], [offsets], [state]"
        )
    if options.has("state") and options.only("state") is not None:
        raise UsageError("Option [describe] does not take a value for [state]")


def _check_reset_mode(options: Options) -> None:
    if options.has("dry-run") and options.has("execute"):
        raise UsageError("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
    if not options.has("dry-run") and not options.has("execute"):
        import sys

        print(_DRY_RUN, file=sys.stderr)


def _validate_regex(pattern: str) -> int:
    try:
        re.compile(pattern)
    except re.error as error:
        print(f"The regular expression `{pattern}` is invalid: {error}.")
    else:
        print(f"The regular expression `{pattern}` is valid.")
    return 0


def parse_names(text: str | None, known: Sequence[str], what: str) -> list[str]:
    """The names in a list with commas, in Kafka's spelling; raises ``ValueError``."""
    if not text:
        return []
    spelled = {name.lower(): name for name in known}
    try:
        return sorted({spelled[name.strip().lower()] for name in text.split(",")})
    except KeyError:
        kind = what.split()[0]
        raise ValueError(
            f"Invalid {kind} list '{text}'. Valid {what} are: {', '.join(known)}"
        ) from None


async def _list(cluster: Cluster, options: Options) -> None:
    try:
        states = _states(options.only("state"))
        types = _types(options.only("type"))
    except ValueError as failure:
        raise UsageError(str(failure)) from None
    groups = [
        group for group in await list_groups(cluster, states, types) if group.is_consumer_group
    ]
    if not options.has("state") and not options.has("type"):
        for group in groups:
            print(group.group_id)
        return
    table = listing_table(groups, with_type=options.has("type"), with_state=options.has("state"))
    for line in table:
        print(line)


def _states(text: str | None) -> list[str]:
    try:
        return parse_names(text, STATES, "states")
    except ValueError:
        known = ", ".join(STATES)
        raise ValueError(f"Invalid state list '{text}'. Valid states are: {known}") from None


def _types(text: str | None) -> list[str]:
    return parse_names(text, TYPES[:2], "types")


async def _chosen_groups(cluster: Cluster, options: Options) -> list[str]:
    if not options.has("all-groups"):
        return options.values("group")
    return [group.group_id for group in await list_groups(cluster) if group.is_consumer_group]


async def _describe(cluster: Cluster, options: Options) -> None:
    group_ids = sorted(set(await _chosen_groups(cluster, options)))
    groups = await in_order(describe_group(cluster, group_id) for group_id in group_ids)
    verbose = options.has("verbose")
    for group in groups:
        if options.has("state"):
            has_rows = _tell_state(group, is_worth_showing=True)
            lines = state_table(group, verbose=verbose)
        elif options.has("members"):
            _tell_state(group, is_worth_showing=bool(group.members))
            has_rows = True
            lines = members_table(group, verbose=verbose)
        else:
            rows = await _offset_rows(cluster, group)
            has_rows = _tell_state(group, is_worth_showing=bool(rows))
            lines = offsets_table(group.group_id, rows, verbose=verbose)
        if has_rows:
            for line in lines:
                print(line)


def _tell_state(group: GroupView, *, is_worth_showing: bool) -> bool:
    """Say what is special about a group's state; returns whether its table is to be shown."""
    import sys

    if group.state == "Dead":
        print_error(f"Consumer group '{group.group_id}' does not exist.")
        return False
    if group.state == "Empty":
        sys.stdout.flush()
        print(f"\nConsumer group '{group.group_id}' has no active members.", file=sys.stderr)
    elif group.state in _REBALANCING:
        sys.stdout.flush()
        print(f"\nWarning: Consumer group '{group.group_id}' is rebalancing.", file=sys.stderr)
    return is_worth_showing


async def _offset_rows(cluster: Cluster, group: GroupView) -> list[OffsetRow]:
    committed = await committed_offsets(cluster, group.group_id)
    partitions = {each for member in group.members for each in member.assigned} | set(committed)
    ends = await list_offsets(cluster, dict.fromkeys(sorted(partitions), LATEST))
    known = {each: end.offset for each, end in ends.items() if isinstance(end, FoundOffset)}
    return offset_rows(group, committed, known)


TOOL = Tool("Lists, describes, deletes and resets consumer groups.", OPTIONS, run)
