"""``kafka-delete-records``: let partitions begin at a later offset."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ottla.cli.kafka import json_files
from ottla.cli.kafka.cluster import Cluster, ask_cluster, in_order, settings
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.errors import KafkaFailure
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.options import Options, value
from ottla.cli.kafka.partition_offsets import Partition, leaders
from ottla.wire.api.k21_delete_records import (
    DeleteRecordsRequest,
    PartitionToTrim,
    TopicToTrim,
)

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required."),
    value("command-config", "file", "Properties for the connection."),
    value(
        "offset-json-file",
        "file",
        'Up to where to delete: {"partitions": [{"topic": "foo", "partition": 1, "offset": 1}], '
        '"version": 1}. Offset -1 is the high watermark. Required.',
    ),
)
VERSION = 1


def run(options: Options) -> int:
    """Check the options and the file, then delete."""
    options.require("bootstrap-server", "offset-json-file")
    offsets = parse(json_files.load(options.text("offset-json-file")))
    ask_cluster(settings(options), lambda cluster: _delete(cluster, offsets))
    return 0


def parse(document: Any) -> dict[Partition, int]:
    """Up to where to delete, by partition; raises ``ToolFailure``."""
    what = "the offset file"
    version = document.get("version", VERSION) if isinstance(document, dict) else VERSION
    if version != VERSION:
        raise ToolFailure(f"Not supported version field value {version}")
    if isinstance(document, dict) and "partitions" not in document:
        raise ToolFailure("Missing partitions field")
    listed = json_files.field(document, "partitions", list, what)
    found = json_files.partitions(listed, what)
    if twice := json_files.duplicates(found):
        raise ToolFailure(
            f"Offset json file contains duplicate topic partitions: {', '.join(twice)}"
        )
    return {partition: json_files.field(each, "offset", int, what) for partition, each in found}


async def _delete(cluster: Cluster, offsets: dict[Partition, int]) -> None:
    print("Executing records delete operation")
    led = await leaders(cluster, (topic for topic, _ in offsets))
    by_leader: dict[int, dict[Partition, int]] = defaultdict(dict)
    results: dict[Partition, int | KafkaFailure] = {}
    for partition, offset in offsets.items():
        leader = led.get(partition)
        if leader is None:
            results[partition] = led.failure(partition)
        else:
            by_leader[leader][partition] = offset
    for answer in await in_order(_ask(cluster, *item) for item in by_leader.items()):
        results |= answer
    print("Records delete operation completed:")
    for topic, index in sorted(offsets):
        result = results[topic, index]
        told = (
            f"error: {result.qualified}"
            if isinstance(result, KafkaFailure)
            else f"low_watermark: {result}"
        )
        print(f"partition: {topic}-{index}\t{told}")


async def _ask(
    cluster: Cluster, leader: int, offsets: dict[Partition, int]
) -> dict[Partition, int | KafkaFailure]:
    topics: dict[str, list[PartitionToTrim]] = defaultdict(list)
    for (topic, index), offset in offsets.items():
        topics[topic].append(PartitionToTrim(partition_index=index, offset=offset))
    request = DeleteRecordsRequest(
        topics=[TopicToTrim(name=name, partitions=asked) for name, asked in topics.items()],
        timeout_ms=int(cluster.timeout_ms),
    )
    answer = await cluster.ask(request, leader)
    return {
        (topic.name, each.partition_index): KafkaFailure(each.error_code)
        if each.error_code
        else each.low_watermark
        for topic in answer.topics
        for each in topic.partitions
    }


TOOL = Tool("Deletes the records of partitions up to an offset.", OPTIONS, run)
