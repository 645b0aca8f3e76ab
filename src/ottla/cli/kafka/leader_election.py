"""``kafka-leader-election``: have partitions led by their preferred replicas, or by any."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ottla.cli.kafka import json_files
from ottla.cli.kafka.cluster import CONTROLLER, Cluster, ask_cluster, settings
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.errors import KafkaFailure
from ottla.cli.kafka.failures import OptionError, ToolFailure
from ottla.cli.kafka.options import REQUIRED_VALUE, Option, Options, flag, integer, value
from ottla.cli.kafka.partition_offsets import Partition
from ottla.wire.api.k43_elect_leaders import ElectLeadersRequest, TopicToElect
from ottla.wire.errors import ErrorCode

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required."),
    value("command-config", "file", "Properties for the connection."),
    value("admin.config", "file", "As --command-config, its older name."),
    value(
        "path-to-json-file",
        "file",
        'Partitions: {"partitions": [{"topic": "foo", "partition": 1}]}',
    ),
    value("topic", "topic", "A topic of which to elect one partition's leader."),
    integer("partition", "number", "Which partition of --topic."),
    flag("all-topic-partitions", "All partitions that need it."),
    Option(
        "election-type",
        "preferred: the first replica leads again; unclean: any replica that is there leads, also "
        "one that lacks records. Required.",
        REQUIRED_VALUE,
        "preferred|unclean",
        choices=("PREFERRED", "UNCLEAN"),
    ),
)
SCOPES = ("topic", "all-topic-partitions", "path-to-json-file")


def run(options: Options) -> int:
    """Check the options, then elect."""
    _check(options)
    try:
        kind = options.text("election-type").upper()
        partitions = _partitions(options)
    except OptionError as failure:
        raise ToolFailure(failure.message) from None
    config = "admin.config" if options.has("admin.config") else "command-config"
    ask_cluster(
        settings(options, config),
        lambda cluster: _elect(cluster, kind, partitions),
        timeout_ms=30_000,
    )
    return 0


def _check(options: Options) -> None:
    required = ("bootstrap-server", "election-type")
    if missing := [name for name in required if not options.has(name)]:
        raise ToolFailure(f"Missing required option(s): {', '.join(missing)}")
    if options.has("admin.config"):
        print(
            "Option --admin.config has been deprecated and will be removed in a future version. "
            "Use --command-config instead."
        )
    if sum(options.has(scope) for scope in SCOPES) != 1:
        shown = ", ".join(f"[{scope}]" for scope in SCOPES)
        raise ToolFailure(f"One and only one of the following options is required: {shown}")
    if options.has("topic") and not options.has("partition"):
        raise ToolFailure("Missing required option(s): partition")
    if options.has("partition") and not options.has("topic"):
        raise ToolFailure("Option partition is only allowed if topic is used")


def _partitions(options: Options) -> list[Partition] | None:
    """The partitions to elect leaders of; None for all."""
    if options.has("topic"):
        return [(options.text("topic"), options.number("partition") or 0)]
    if options.has("path-to-json-file"):
        return parse(json_files.load(options.text("path-to-json-file")))
    return None


def parse(document: Any) -> list[Partition]:
    """The partitions that a file names; raises ``ToolFailure``."""
    if isinstance(document, dict) and "partitions" not in document:
        raise ToolFailure('Replica election data is missing "partitions" field')
    what = "the list of partitions"
    found = json_files.partitions(json_files.field(document, "partitions", list, what), what)
    if twice := json_files.duplicates(found):
        raise ToolFailure(
            f"Replica election data contains duplicate partitions: [{', '.join(twice)}]"
        )
    return [partition for partition, _ in found]


async def _elect(cluster: Cluster, kind: str, partitions: list[Partition] | None) -> None:
    topics: dict[str, list[int]] = defaultdict(list)
    for topic, index in partitions or ():
        topics[topic].append(index)
    asked = [TopicToElect(topic=name, partitions=indexes) for name, indexes in topics.items()]
    request = ElectLeadersRequest(
        election_type=0 if kind == "PREFERRED" else 1,
        topic_partitions=None if partitions is None else asked,
        timeout_ms=int(cluster.timeout_ms),
    )
    answer = await cluster.ask(request, CONTROLLER)
    _check_answer(answer.error_code)
    results = {
        (topic.topic, each.partition_id): KafkaFailure(each.error_code, each.error_message)
        if each.error_code
        else None
        for topic in answer.replica_election_results
        for each in topic.partition_result
    }
    _tell(kind, results)


def _check_answer(error_code: int) -> None:
    if error_code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED:
        print("Not authorized to perform leader election")
        raise ToolFailure("Not authorized to perform leader election")
    if error_code == ErrorCode.REQUEST_TIMED_OUT:
        print("Timeout waiting for election results")
        raise ToolFailure("Timeout waiting for election results")
    if error_code:
        print("Error while making request")
        raise KafkaFailure(error_code)


def _tell(kind: str, results: dict[Partition, KafkaFailure | None]) -> None:
    failures = {each: failure for each, failure in results.items() if failure is not None}
    elected = [partition for partition in results if partition not in failures]
    unneeded = [each for each in failures if failures[each].code == ErrorCode.ELECTION_NOT_NEEDED]
    failed = [each for each in failures if each not in unneeded]
    if elected:
        print(f"Successfully completed leader election ({kind}) for partitions {_names(elected)}")
    if unneeded:
        print(f"Valid replica already elected for partitions {_names(unneeded)}")
    for topic, index in failed:
        print(
            f"Error completing leader election ({kind}) for partition: {topic}-{index}: "
            f"{failures[topic, index].qualified}"
        )
    sys.stdout.flush()
    if failed:
        raise ToolFailure(f"{len(failed)} replica(s) could not be elected")


def _names(partitions: Iterable[Partition]) -> str:
    return ", ".join(f"{topic}-{index}" for topic, index in partitions)


TOOL = Tool("Elects the leaders of partitions.", OPTIONS, run)
