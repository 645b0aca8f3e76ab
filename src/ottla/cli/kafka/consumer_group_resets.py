"""``kafka-consumer-groups --reset-offsets``: find the new offsets, show them, commit them."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from ottla.cli.kafka.cluster import Cluster
from ottla.cli.kafka.errors import KafkaFailure
from ottla.cli.kafka.failures import UsageError
from ottla.cli.kafka.group_queries import (
    Committed,
    commit_offsets,
    committed_offsets,
    describe_group,
)
from ottla.cli.kafka.group_tables import reset_table
from ottla.cli.kafka.offset_resets import (
    SCENARIOS,
    format_plan,
    parse_datetime,
    parse_duration,
    parse_plan,
    parse_topic,
    within,
)
from ottla.cli.kafka.options import Options
from ottla.cli.kafka.partition_offsets import (
    EARLIEST,
    LATEST,
    FoundOffset,
    Partition,
    leaders,
    list_offsets,
)
from ottla.wire.errors import ErrorCode

Offsets = dict[Partition, int]


async def reset(cluster: Cluster, options: Options, group_ids: Sequence[str]) -> None:
    """Reset groups, or show what that would do.

    Nothing is committed before the offsets of all groups are known.
    """
    plan = _plan_from_file(options, group_ids)
    resets: dict[str, Offsets] = {}
    for group_id in group_ids:
        state = await _state(cluster, group_id)
        if state in ("Empty", "Dead"):
            resets[group_id] = await _new_offsets(cluster, options, group_id, plan)
            continue
        resets[group_id] = {}
        print(
            f"\nError: Assignments can only be reset if the group '{group_id}' is inactive, but "
            f"the current state is {state}."
        )
    if options.has("execute"):
        for group_id, offsets in resets.items():
            if offsets:
                await commit_offsets(cluster, group_id, offsets)
    if options.has("export"):
        print(format_plan(resets, with_group=len(options.values("group")) != 1))
    else:
        for line in reset_table(resets):
            print(line)


async def _state(cluster: Cluster, group_id: str) -> str:
    try:
        return (await describe_group(cluster, group_id)).state
    except KafkaFailure as failure:
        # A group that isn't there yet can be given offsets before its first member comes.
        if failure.code != ErrorCode.GROUP_ID_NOT_FOUND:
            raise
        return "Dead"


def _plan_from_file(options: Options, group_ids: Sequence[str]) -> dict[str, Offsets] | None:
    path = options.only("from-file")
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise ValueError(f"java.io.IOException: Unable to read file {path}") from error
    try:
        return parse_plan(text, group_ids)
    except ValueError as failure:
        raise UsageError(str(failure)) from None


async def _new_offsets(
    cluster: Cluster, options: Options, group_id: str, plan: Mapping[str, Offsets] | None
) -> Offsets:
    if plan is not None:
        planned = plan.get(group_id)
        if planned is None:
            print(f"\nError: No reset plan for group {group_id} found")
            return {}
        return await _clamped(cluster, planned)
    committed = await _committed(cluster, group_id)
    partitions = await committed_or_existing(cluster, options, committed)
    scenario = next((name for name in SCENARIOS if options.has(name)), None)
    if scenario is None:
        names = ", ".join(f"[{name}]" for name in SCENARIOS)
        raise UsageError(
            f"Option '[reset-offsets]' requires one of the following scenarios: [{names}]"
        )
    if scenario in ("to-earliest", "to-latest"):
        where = EARLIEST if scenario == "to-earliest" else LATEST
        return await listed(cluster, partitions, where)
    if scenario == "to-offset":
        offset = options.number("to-offset") or 0
        return await _clamped(cluster, dict.fromkeys(partitions, offset))
    if scenario == "shift-by":
        return await _clamped(
            cluster, _shifted(partitions, committed, options.number("shift-by") or 0)
        )
    if scenario == "to-current":
        rest = [partition for partition in partitions if partition not in committed]
        current = {each: committed[each].offset for each in partitions if each in committed}
        return {**current, **await listed(cluster, rest, LATEST)}
    if scenario == "to-datetime":
        return await listed_at(cluster, partitions, parse_datetime(options.text("to-datetime")))
    ago_ms = parse_duration(options.text("by-duration"))
    return await listed_at(cluster, partitions, int(time.time() * 1000) - ago_ms)


async def _committed(cluster: Cluster, group_id: str) -> dict[Partition, Committed]:
    try:
        return await committed_offsets(cluster, group_id)
    except KafkaFailure as failure:
        if failure.code != ErrorCode.GROUP_ID_NOT_FOUND:
            raise
        return {}


async def committed_or_existing(
    cluster: Cluster, options: Options, committed: Collection[Partition]
) -> list[Partition]:
    """Whose offsets are to be reset: those of the topics named, or all the group has."""
    if options.has("all-topics"):
        return sorted(committed)
    if not options.has("topic"):
        raise UsageError("One of the reset scopes should be defined: --all-topics, --topic.")
    parsed = [parse_topic(topic) for topic in options.values("topic")]
    existing = await leaders(cluster, (topic for topic, _ in parsed))
    chosen: list[Partition] = []
    for topic, indexes in parsed:
        found = [partition for partition in existing if partition[0] == topic]
        if indexes is None and not found:
            raise ValueError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION.message)
        chosen += found if indexes is None else [(topic, index) for index in indexes]
    missing = ", ".join(f"{topic}-{index}" for topic, index in set(chosen) - set(existing))
    if missing:
        raise ValueError(f'The partitions "{missing}" do not exist')
    return sorted(chosen)


async def listed(cluster: Cluster, partitions: Iterable[Partition], timestamp: int) -> Offsets:
    """The offsets at a time, or a special one; raises ``KafkaFailure`` for the first without."""
    found = await list_offsets(cluster, dict.fromkeys(partitions, timestamp))
    offsets = {}
    for partition, each in found.items():
        if not isinstance(each, FoundOffset):
            raise each
        offsets[partition] = each.offset
    return offsets


async def listed_at(
    cluster: Cluster, partitions: Iterable[Partition], timestamp_ms: int
) -> Offsets:
    """The first records since then; the end where there is none."""
    found = await listed(cluster, partitions, timestamp_ms)
    without = [partition for partition, offset in found.items() if offset < 0]
    for topic, index in without:
        print(
            f"\nWarn: Partition {index} from topic {topic} is empty. Falling back to latest known "
            "offset."
        )
    return {**found, **await listed(cluster, without, LATEST)}


def _shifted(
    partitions: Iterable[Partition], committed: Mapping[Partition, Committed], by: int
) -> Offsets:
    offsets = {}
    for partition in partitions:
        if partition not in committed:
            topic, index = partition
            raise UsageError(
                f"Cannot shift offset for partition {topic}-{index} since there is no current "
                "committed offset"
            )
        offsets[partition] = committed[partition].offset + by
    return offsets


async def _clamped(cluster: Cluster, wanted: Offsets) -> Offsets:
    """Offsets as near as possible to those wanted that the logs have."""
    first = await listed(cluster, wanted, EARLIEST)
    end = await listed(cluster, wanted, LATEST)
    offsets = {}
    for partition, offset in wanted.items():
        offsets[partition] = within(offset, first[partition], end[partition])
        if offsets[partition] != offset:
            print(
                f"hint: offset {offset} is not in the log of {partition[0]}-{partition[1]}: "
                f"{offsets[partition]} is nearest",
                file=sys.stderr,
            )
    return offsets
