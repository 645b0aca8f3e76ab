"""``kafka-share-groups``: list, describe, delete and reset share groups."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

from ottla.cli.kafka.cluster import Cluster, ask_cluster, in_order, settings
from ottla.cli.kafka.consumer_group_resets import committed_or_existing, listed, listed_at
from ottla.cli.kafka.consumer_groups import parse_names, print_error
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.errors import KafkaFailure
from ottla.cli.kafka.failures import OptionError, UsageError
from ottla.cli.kafka.group_queries import SHARE, GroupView, delete_group, list_groups
from ottla.cli.kafka.group_tables import (
    assignment_text,
    cell,
    listing_table,
    padded,
    reset_table,
    width,
)
from ottla.cli.kafka.offset_resets import parse_datetime
from ottla.cli.kafka.options import Options, flag, long, optional, value
from ottla.cli.kafka.partition_offsets import EARLIEST, LATEST, Partition
from ottla.cli.kafka.share_group_queries import (
    ShareOffset,
    alter_share_offsets,
    delete_share_offsets,
    describe_share_group,
    share_offsets,
)
from ottla.wire.errors import ErrorCode

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required."),
    value("command-config", "file", "Properties for the connection."),
    value("group", "group", "The group. May be repeated."),
    flag("all-groups", "All share groups."),
    value("topic", "topic[:partitions]", "A topic whose offsets to reset or delete."),
    flag("all-topics", "All topics that the group has offsets of."),
    flag("list", "Name all share groups."),
    flag("describe", "Show where a group is and how far it lags behind."),
    flag("members", "Describe the members."),
    flag("offsets", "Describe the offsets, as without it."),
    optional("state", "states", "Describe the state; with --list show the state, or only these."),
    flag("verbose", "Describe more: epochs, and who is assigned what."),
    flag("delete", "Delete groups and all their offsets."),
    flag("delete-offsets", "Delete a group's offsets of topics."),
    flag("reset-offsets", "Set where a group begins. The group must have no members."),
    flag("to-earliest", "Reset to the first record."),
    flag("to-latest", "Reset to the end."),
    value("to-datetime", "time", "Reset to the first record since YYYY-MM-DDThh:mm:ss.sss."),
    flag("dry-run", "Show what a reset would do, and don't do it."),
    flag("execute", "Do the reset."),
    long("timeout", "ms", "How long any answer may take.", default="30000"),
)
ACTIONS = ("list", "describe", "delete", "reset-offsets", "delete-offsets")
SCENARIOS = ("to-datetime", "to-earliest", "to-latest")
STATES = ("Dead", "Empty", "Stable")


def run(options: Options) -> int:
    """Check the options, then do the one thing they ask for."""
    _check(options)
    try:
        timeout_ms = options.number("timeout") or 0
        ask_cluster(
            settings(options), lambda cluster: _act(cluster, options), timeout_ms=timeout_ms
        )
    except (KafkaFailure, OptionError, ValueError) as failure:
        # Kafka's tool tells success here, and scripts have learned to read what it prints.
        message = failure.qualified if isinstance(failure, KafkaFailure) else failure
        print_error(f"Executing share group command failed due to {message}")
    return 0


def _check(options: Options) -> None:
    options.require("bootstrap-server")
    has_groups = options.has("group") or options.has("all-groups")
    for action in ("describe", "delete"):
        if options.has(action) and not has_groups:
            raise UsageError(f"Option [{action}] takes one of these options: [all-groups], [group]")
    if options.has("describe"):
        if sum(options.has(detail) for detail in ("members", "offsets", "state")) > 1:
            raise UsageError(
                "Option [describe] takes at most one of these options: [members], [offsets], "
                "[state]"
            )
        if options.has("state") and options.only("state") is not None:
            raise UsageError("Option [describe] does not take a value for [state]")
    if options.has("delete") and options.has("topic"):
        raise UsageError("Option [delete] does not take the option: [topic]")
    if options.has("delete-offsets") and not (options.has("group") and options.has("topic")):
        raise UsageError("Option [delete-offsets] takes the following options: [topic], [group]")
    if options.has("reset-offsets"):
        _check_reset(options)
    options.forbid("group", "all-groups", "list")
    if sum(options.has(action) for action in ACTIONS) != 1:
        shown = ", ".join(f"--{action}" for action in ACTIONS)
        raise UsageError(f"Command must include exactly one action: {shown}.")


def _check_reset(options: Options) -> None:
    if options.has("dry-run") == options.has("execute"):
        if options.has("execute"):
            raise UsageError("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
        raise UsageError("Option [reset-offsets] takes the option: [execute] or [dry-run]")
    if not options.has("group"):
        raise UsageError("Option [reset-offsets] takes the option: [group]")
    if options.has("topic") == options.has("all-topics"):
        both = "either [all-topics] or [topic], not both."
        one = "the options [all-topics] or [topic]"
        raise UsageError(f"Option [reset-offsets] takes {both if options.has('topic') else one}")
    for scenario in SCENARIOS:
        options.forbid(scenario, *(other for other in SCENARIOS if other != scenario))


async def _act(cluster: Cluster, options: Options) -> None:
    if options.has("list"):
        await _list(cluster, options)
    elif options.has("describe"):
        await _describe(cluster, options)
    elif options.has("delete"):
        await _delete(cluster, await _chosen(cluster, options))
    elif options.has("delete-offsets"):
        await _delete_offsets(cluster, options.text("group"), options.values("topic"))
    else:
        await _reset(cluster, options)


async def _list(cluster: Cluster, options: Options) -> None:
    try:
        states = parse_names(options.only("state"), STATES, "states")
    except ValueError:
        known = ", ".join(STATES)
        raise ValueError(
            f"Invalid state list '{options.only('state')}'. Valid states are: {known}"
        ) from None
    groups = await list_groups(cluster, states, ["share"])
    if not options.has("state"):
        for group in groups:
            print(group.group_id)
        return
    for line in listing_table(groups, with_type=False, with_state=True, extra=0):
        print(line)


async def _chosen(cluster: Cluster, options: Options) -> list[str]:
    if not options.has("all-groups"):
        return options.values("group")
    return [group.group_id for group in await list_groups(cluster, (), ["share"])]


async def _describe(cluster: Cluster, options: Options) -> None:
    group_ids = sorted(set(await _chosen(cluster, options)))
    groups = await in_order(describe_share_group(cluster, each) for each in group_ids)
    verbose = options.has("verbose")
    for group in groups:
        if options.has("state"):
            has_rows, lines = True, state_table(group, verbose=verbose)
        elif options.has("members"):
            has_rows, lines = bool(group.members), members_table(group, verbose=verbose)
        else:
            offsets = await share_offsets(cluster, group.group_id)
            has_rows, lines = bool(offsets), offsets_table(group.group_id, offsets, verbose=verbose)
        _tell_state(group, is_about_offsets=not (options.has("state") or options.has("members")))
        for line in lines if has_rows else ():
            print(line)


def _tell_state(group: GroupView, *, is_about_offsets: bool) -> None:
    sys.stdout.flush()
    if group.state == "Dead":
        print_error(f"Share group '{group.group_id}' does not exist.")
    elif group.state == "Empty" and not is_about_offsets:
        print(f"\nShare group '{group.group_id}' has no active members.", file=sys.stderr)


def offsets_table(
    group_id: str, offsets: Mapping[Partition, ShareOffset], *, verbose: bool
) -> Iterator[str]:
    """``--describe --offsets``; verbose adds leader epochs."""
    heading = ["GROUP", "TOPIC", "PARTITION", *(["LEADER-EPOCH"] if verbose else [])]
    lines = [[*heading, "START-OFFSET", "LAG"]]
    for (topic, index), offset in sorted(offsets.items()):
        line = [group_id, topic, str(index)]
        line += [cell(offset.leader_epoch)] if verbose else []
        lines.append([*line, cell(offset.start_offset), cell(offset.lag)])
    numbers = [10, *([13] if verbose else []), 13, 0]
    yield ""
    for line in lines:
        yield padded(line, [width(lines, 0), width(lines, 1), *numbers])
    yield ""


def members_table(group: GroupView, *, verbose: bool) -> Iterator[str]:
    """``--describe --members``; verbose adds the members' epochs."""
    heading = ["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS"]
    lines = [[*heading, *(["MEMBER-EPOCH"] if verbose else []), "ASSIGNMENT"]]
    for member in group.members:
        line = [group.group_id, member.member_id, member.host, member.client_id]
        line += [str(len(member.assigned)), *([cell(member.epoch)] if verbose else [])]
        lines.append([*line, assignment_text(member.assigned)])
    numbers = [12, *([13] if verbose else []), 0]
    yield ""
    for line in lines:
        yield padded(line, [*(width(lines, column) for column in range(4)), *numbers])
    yield ""


def state_table(group: GroupView, *, verbose: bool) -> Iterator[str]:
    """``--describe --state``; verbose adds the group's epochs."""
    number, host, port = group.coordinator
    heading = ["GROUP", "COORDINATOR (ID)", "STATE"]
    heading += ["GROUP-EPOCH", "ASSIGNMENT-EPOCH"] if verbose else []
    line = [group.group_id, f"{host}:{port}  ({number})", group.state]
    line += [cell(group.epoch), cell(group.target_epoch)] if verbose else []
    lines = [[*heading, "#MEMBERS"], [*line, str(len(group.members))]]
    numbers = [15, *([12, 17] if verbose else []), 0]
    yield ""
    for each in lines:
        yield padded(each, [width(lines, 0), width(lines, 1, 25), *numbers])
    yield ""


async def _delete(cluster: Cluster, group_ids: Sequence[str]) -> None:
    known = {group.group_id for group in await list_groups(cluster, (), ["share"])}
    failures: dict[str, str] = {}
    for group_id in group_ids:
        try:
            if group_id not in known:
                failures[group_id] = (
                    f"java.lang.IllegalArgumentException: Group '{group_id}' is not a share group."
                )
                continue
            await delete_group(cluster, group_id)
        except KafkaFailure as failure:
            failures[group_id] = failure.qualified
    deleted = ", ".join(f"'{each}'" for each in group_ids if each not in failures)
    if not failures:
        print(f"Deletion of requested share groups ({deleted}) was successful.")
        return
    print_error("Deletion of some share groups failed:")
    for group_id, told in failures.items():
        print(f"* Group '{group_id}' could not be deleted due to: {told}")
    if deleted:
        print(f"\nThese share groups were deleted successfully: {deleted}")


async def _delete_offsets(cluster: Cluster, group_id: str, topics: Sequence[str]) -> None:
    results: dict[str, KafkaFailure | None]
    try:
        results = await delete_share_offsets(cluster, group_id, topics)
    except KafkaFailure as failure:
        print_error(failure.message)
        results = dict.fromkeys(topics, failure)
    rows = [["TOPIC", "STATUS"]]
    for topic in sorted(results):
        failed = results[topic]
        rows.append([topic, "Successful" if failed is None else f"Error: {failed.message}"])
    print()
    for row in rows:
        print(padded(row, [width(rows, 0), 0]))


async def _reset(cluster: Cluster, options: Options) -> None:
    group_id = options.text("group")
    scenario = next((name for name in SCENARIOS if options.has(name)), None)
    if scenario is None:
        names = ", ".join(f"[{name}]" for name in SCENARIOS)
        raise UsageError(
            f"Option '[reset-offsets]' requires one of the following scenarios: [{names}]"
        )
    try:
        group = await describe_share_group(cluster, group_id)
        offsets = await share_offsets(cluster, group_id)
    except KafkaFailure as failure:
        if failure.code != ErrorCode.GROUP_ID_NOT_FOUND:
            raise
        group, offsets = None, {}
    if group is not None and group.state != "Empty":
        print_error(f"Share group '{group_id}' is not empty.")
        return
    if group is None and await _is_other_group(cluster, group_id):
        raise ValueError(f"Group '{group_id}' is not a share group.")
    partitions = await committed_or_existing(cluster, options, offsets)
    if scenario == "to-datetime":
        when = parse_datetime(options.text("to-datetime"))
        fresh = await listed_at(cluster, partitions, when)
    else:
        where = EARLIEST if scenario == "to-earliest" else LATEST
        fresh = await listed(cluster, partitions, where)
    if options.has("execute"):
        await alter_share_offsets(cluster, group_id, fresh)
    for line in reset_table({group_id: fresh}):
        print(line)


async def _is_other_group(cluster: Cluster, group_id: str) -> bool:
    groups = await list_groups(cluster)
    return any(each.group_id == group_id and each.type != SHARE for each in groups)


TOOL = Tool("Lists, describes, deletes and resets share groups.", OPTIONS, run)
