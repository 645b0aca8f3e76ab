"""``kafka-get-offsets``: the offsets of partitions at a time."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from ottla.cli.kafka.cluster import Cluster, ask_cluster, settings
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.failures import OptionError, ToolFailure
from ottla.cli.kafka.options import Options, flag, value
from ottla.cli.kafka.partition_offsets import (
    EARLIEST,
    EARLIEST_LOCAL,
    EARLIEST_PENDING_UPLOAD,
    LATEST,
    LATEST_TIERED,
    MAX_TIMESTAMP,
    FoundOffset,
    Partition,
    list_offsets,
)
from ottla.cli.kafka.topic_queries import metadata
from ottla.cli.kafka.topics import topic_pattern

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required."),
    value("command-config", "file", "Properties for the connection."),
    value("topic", "topic", "Only topics that match this regular expression."),
    value("partitions", "numbers", "Only partitions with these numbers, commas between them."),
    value(
        "topic-partitions",
        "patterns",
        "Only these partitions, commas between them: topic, topic:2, topic:0-3 (without 3), "
        "topic:5- or topic:-3; the topic is a regular expression, and may be left out.",
    ),
    value(
        "time",
        "time",
        "The first offset at or after this time in milliseconds, or latest (-1), earliest (-2), "
        "max-timestamp (-3), earliest-local (-4), latest-tiered (-5) or earliest-pending-upload "
        "(-6).",
        default="latest",
    ),
    flag("exclude-internal-topics", "Leave out internal topics."),
)
_TIMES = {
    "latest": LATEST,
    "earliest": EARLIEST,
    "max-timestamp": MAX_TIMESTAMP,
    "earliest-local": EARLIEST_LOCAL,
    "latest-tiered": LATEST_TIERED,
    "earliest-pending-upload": EARLIEST_PENDING_UPLOAD,
}
_RULE = re.compile(r"([^:,]*)(?::(?:([0-9]*)|(?:([0-9]*)-([0-9]*))))?")
Filter = Callable[[str, int], bool]


def run(options: Options) -> int:
    """Check the options, then print the offsets."""
    options.require("bootstrap-server")
    try:
        timestamp = parse_time(options.text("time"))
        wanted = partition_filter(options)
        return ask_cluster(
            settings(options), lambda cluster: _print(cluster, options, wanted, timestamp)
        )
    except (OptionError, ValueError) as failure:
        raise ToolFailure(f"Error occurred: {failure}") from None


def parse_time(text: str) -> int:
    """What ``--time`` says; raises ``ValueError``."""
    if text in _TIMES:
        return _TIMES[text]
    try:
        return int(text)
    except ValueError:
        known = " / ".join(f"{number} or {name}" for name, number in _TIMES.items())
        raise ValueError(
            f"Malformed time argument {text}. Please use {known}, or a specified long format "
            "timestamp"
        ) from None


def partition_filter(options: Options) -> Filter:
    """Which partitions are wanted; raises ``ValueError``."""
    if options.has("topic-partitions"):
        if options.has("topic") or options.has("partitions"):
            raise ValueError("--topic-partitions cannot be used with --topic or --partitions")
        rules = [_parse_rule(rule) for rule in options.text("topic-partitions").split(",")]
        return lambda topic, index: any(rule(topic, index) for rule in rules)
    pattern = topic_pattern(options.only("topic") or ".*")
    text = options.text("partitions")
    try:
        numbers = {int(number) for number in text.split(",")} if text else None
    except ValueError:
        raise ValueError(
            f"--partitions expects a comma separated list of numeric partition ids, but received: "
            f"{text}"
        ) from None
    return lambda topic, index: (
        pattern.fullmatch(topic) is not None and (numbers is None or index in numbers)
    )


def _parse_rule(text: str) -> Filter:
    found = _RULE.fullmatch(text)
    if found is None:
        raise ValueError(f"Invalid rule specification: {text}")
    topic, only, first, end = found.groups()
    pattern = topic_pattern(topic or ".*")
    lower = int(only or first or 0)
    upper = int(only) + 1 if only else int(end) if end else None
    return lambda topic, index: (
        pattern.fullmatch(topic) is not None and index >= lower and (upper is None or index < upper)
    )


async def _print(cluster: Cluster, options: Options, wanted: Filter, timestamp: int) -> int:
    with_internal = not options.has("exclude-internal-topics")
    partitions: list[Partition] = [
        (topic.name or "", each.partition_index)
        for topic in (await metadata(cluster)).topics
        if with_internal or not topic.is_internal
        for each in topic.partitions
        if wanted(topic.name or "", each.partition_index)
    ]
    if not partitions:
        raise ValueError("Could not match any topic-partitions with the specified filters")
    offsets = await list_offsets(cluster, dict.fromkeys(partitions, timestamp))
    for (topic, index), found in sorted(offsets.items(), key=lambda item: "{}-{}".format(*item[0])):
        if not isinstance(found, FoundOffset):
            print(
                f"Skip getting offsets for topic-partition {topic}-{index} due to error: "
                f"{found.qualified}",
                file=sys.stderr,
            )
        elif found.offset >= 0:
            print(f"{topic}:{index}:{found.offset}")
    return 0


TOOL = Tool("Shows the offsets of partitions.", OPTIONS, run, "Error occurred: {}")
