"""``kafka-log-dirs``: how much lies where on the brokers' disks, as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from ottla.cli.kafka.cluster import Cluster, ask_cluster, in_order, settings
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.errors import KafkaFailure, check
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.options import Options, flag, value
from ottla.cli.kafka.topic_queries import live_brokers
from ottla.wire.api.k35_describe_log_dirs import DescribeLogDirsRequest

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required."),
    value("command-config", "file", "Properties for the connection."),
    flag("describe", "Describe the log directories. Required."),
    value("topic-list", "topics", "Only these topics, commas between them.", default=""),
    value("broker-list", "ids", "Only these brokers, commas between them.", default=""),
)


def run(options: Options) -> int:
    """Check the options, then print the JSON."""
    options.require("bootstrap-server", "describe")
    topics = {name for name in options.text("topic-list").split(",") if name}
    try:
        brokers = {int(number) for number in options.text("broker-list").split(",") if number}
    except ValueError:
        raise ToolFailure(
            f"--broker-list is no list of ids: {options.text('broker-list')}"
        ) from None
    ask_cluster(settings(options), lambda cluster: _describe(cluster, brokers, topics))
    return 0


async def _describe(cluster: Cluster, wanted: Collection[int], topics: Collection[str]) -> None:
    live = await live_brokers(cluster)
    brokers = sorted(wanted or live)
    if missing := sorted(set(brokers) - live):
        raise ToolFailure(
            f"ERROR: The given brokers do not exist from --broker-list: {_ids(missing)}. Current "
            f"existent brokers: {_ids(sorted(live))}"
        )
    print("Querying brokers for log directories information")
    answers = await in_order(
        cluster.ask(DescribeLogDirsRequest(topics=None), broker) for broker in brokers
    )
    for answer in answers:
        check(answer.error_code)
    print(f"Received log directory information from brokers {_ids(brokers)}")
    described = []
    for broker, answer in zip(brokers, answers, strict=True):
        directories = [_directory(each, topics) for each in answer.results]
        described.append({"broker": broker, "logDirs": directories})
    document = {"version": 1, "brokers": described}
    print(json.dumps(document, separators=(",", ":"), ensure_ascii=False))


def _ids(brokers: Collection[int]) -> str:
    return ",".join(map(str, brokers))


def _directory(found: Any, topics: Collection[str]) -> dict[str, Any]:
    partitions = [
        {
            "partition": f"{topic.name}-{each.partition_index}",
            "size": each.partition_size,
            "offsetLag": each.offset_lag,
            "isFuture": each.is_future_key,
        }
        for topic in found.topics
        if not topics or topic.name in topics
        for each in topic.partitions
    ]
    error = KafkaFailure(found.error_code).class_name if found.error_code else None
    return {"partitions": partitions, "error": error, "logDir": found.log_dir}


TOOL = Tool("Shows how much lies where on the brokers' disks.", OPTIONS, run)
