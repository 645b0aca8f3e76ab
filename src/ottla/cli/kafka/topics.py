"""``kafka-topics``: list, describe, create, change and delete topics."""

from __future__ import annotations

import re
import uuid

from ottla.cli.kafka.cluster import CONTROLLER, Cluster, ask_cluster, settings
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.errors import KafkaFailure, check
from ottla.cli.kafka.failures import OptionError, ToolFailure, UsageError
from ottla.cli.kafka.options import Options, flag, integer, value
from ottla.cli.kafka.topic_description import (
    ChosenPartitions,
    describe_topic,
)
from ottla.cli.kafka.topic_queries import (
    describe_configs,
    describe_topics,
    list_reassignments,
    list_topics,
    live_brokers,
)
from ottla.cli.kafka.uuids import ZERO, parse_uuid
from ottla.wire.api.k19_create_topics import (
    ConfigToSet,
    CreateTopicsRequest,
    ReplicaAssignment,
    TopicToCreate,
)
from ottla.wire.api.k20_delete_topics import DeleteTopicsRequest
from ottla.wire.api.k37_create_partitions import (
    CreatePartitionsRequest,
    NewPartitionAssignment,
    TopicToGrow,
)
from ottla.wire.errors import ErrorCode

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required."),
    value("command-config", "file", "Properties for the connection."),
    flag("list", "Name all topics."),
    flag("create", "Create a topic."),
    flag("delete", "Delete topics."),
    flag("alter", "Give a topic more partitions."),
    flag("describe", "Show the partitions of topics, their replicas and what is configured."),
    value(
        "topic",
        "topic",
        "The topic; except for --create a regular expression, or several with commas between.",
    ),
    value("topic-id", "id", "The id of the topic to describe."),
    value("config", "name=value", "A setting of the topic to create. May be repeated."),
    value("delete-config", "name", "Not supported any more."),
    integer("partitions", "number", "How many partitions to create, or how many there shall be."),
    integer("replication-factor", "number", "How many replicas each partition gets."),
    value(
        "replica-assignment",
        "brokers",
        "The brokers of every partition: colons between replicas, commas between partitions.",
    ),
    flag("under-replicated-partitions", "Describe only partitions with replicas out of sync."),
    flag("unavailable-partitions", "Describe only partitions without a live leader."),
    flag(
        "under-min-isr-partitions",
        "Describe only partitions with fewer replicas in sync than min.insync.replicas.",
    ),
    flag(
        "at-min-isr-partitions",
        "Describe only partitions with exactly min.insync.replicas replicas in sync.",
    ),
    flag("topics-with-overrides", "Describe only topics with settings of their own."),
    flag("if-exists", "Alter, delete or describe only if the topic is there; no error if not."),
    flag("if-not-exists", "Create only if the topic isn't there; no error if it is."),
    flag("exclude-internal", "Leave out internal topics."),
    integer(
        "partition-size-limit-per-response",
        "number",
        "How many partitions to ask for at once when describing.",
    ),
)
ACTIONS = ("create", "list", "alter", "describe", "delete")
REPORTS = (
    "under-replicated-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
    "unavailable-partitions",
)
_SEE_CONFIGS = " (To alter topic configurations, the kafka-configs tool can be used.)"
MOST_REPLICAS = 32767


def run(options: Options) -> int:
    """Check the options, then do the one thing they ask for."""
    _check(options)
    entries = settings(options)
    try:
        ask_cluster(entries, lambda cluster: _ACTIONS[_action(options)](cluster, options))
    except (KafkaFailure, OptionError, ValueError) as failure:
        print(f"Error while executing topic command : {failure}")
        return 1
    return 0


def _action(options: Options) -> str:
    return next(action for action in ACTIONS if options.has(action))


def _check(options: Options) -> None:
    if sum(options.has(action) for action in ACTIONS) != 1:
        raise UsageError(
            "Command must include exactly one action: --list, --describe, --create, --alter "
            "or --delete"
        )
    if options.has("delete-config"):
        raise ToolFailure("--delete-config is not supported any more: use kafka-configs")
    if not options.has("bootstrap-server"):
        raise ToolFailure("--bootstrap-server must be specified")
    described = options.has("describe")
    if described and options.has("if-exists"):
        if not (options.has("topic") or options.has("topic-id")):
            raise UsageError("--topic or --topic-id is required to describe a topic")
        if options.has("topic") and options.has("topic-id"):
            print("Only the topic id counts where --topic and --topic-id are both given")
    if not options.has("list") and not described:
        options.require("topic")
    if options.has("alter"):
        if options.has("config"):
            raise UsageError(
                'Option combination "[[config], [bootstrap-server]]" can\'t be used with option '
                f'"[alter]"{_SEE_CONFIGS}'
            )
        options.require("partitions")
    _check_combinations(options)


def _check_combinations(options: Options) -> None:
    def only_with(name: str, *actions: str) -> None:
        options.forbid(name, *(action for action in ACTIONS if action not in actions))

    only_with("config", "alter", "create")
    only_with("partitions", "alter", "create")
    only_with("replication-factor", "create")
    only_with("replica-assignment", "alter", "create")
    if options.has("create"):
        options.forbid("replica-assignment", "partitions", "replication-factor")
    for report in REPORTS:
        only_with(report, "describe")
        options.forbid(report, "topics-with-overrides")
    only_with("topics-with-overrides", "describe")
    only_with("if-exists", "alter", "delete", "describe")
    only_with("if-not-exists", "create")
    only_with("exclude-internal", "list", "describe")


def topic_pattern(text: str) -> re.Pattern[str]:
    """What ``--topic`` means: a regular expression, or several with commas between.

    Raises:
        ValueError: it is none.
    """
    try:
        return re.compile(text.strip().replace(",", "|").replace(" ", "").strip("\"'"))
    except re.error:
        raise ValueError(f"{text} is an invalid regex.") from None


async def _matching(cluster: Cluster, options: Options) -> dict[str, uuid.UUID]:
    """The topics that ``--topic`` names, with their ids; all without it."""
    topics = await list_topics(cluster, with_internal=not options.has("exclude-internal"))
    text = options.only("topic")
    if text is None:
        return topics
    pattern = topic_pattern(text)
    return {name: topics[name] for name in topics if pattern.fullmatch(name)}


async def _existing(cluster: Cluster, options: Options) -> dict[str, uuid.UUID]:
    """As ``_matching``; raises ``ValueError`` when that is nothing, unless ``--if-exists``."""
    topics = await _matching(cluster, options)
    if not topics and options.text("topic") and not options.has("if-exists"):
        raise ValueError(f"Topic '{options.only('topic')}' does not exist as expected")
    return topics


async def _list(cluster: Cluster, options: Options) -> None:
    print("\n".join(await _matching(cluster, options)))


async def _create(cluster: Cluster, options: Options) -> None:
    topic = plan_topic(options)
    if "." in topic.name or "_" in topic.name:
        print(
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore "
            "('_') could collide. To avoid issues it is best to use either, but not both."
        )
    request = CreateTopicsRequest(topics=[topic], timeout_ms=int(cluster.timeout_ms))
    [created] = (await cluster.ask(request, CONTROLLER)).topics
    if created.error_code == ErrorCode.TOPIC_ALREADY_EXISTS and options.has("if-not-exists"):
        return
    check(created.error_code, created.error_message)
    print(f"Created topic {topic.name}.")


def plan_topic(options: Options) -> TopicToCreate:
    """The topic that ``--create`` describes; raises ``ValueError`` for one that can't be."""
    assignment = parse_assignment(options.text("replica-assignment"))
    configs = parse_configs(options.values("config"))
    replicas, partitions = options.number("replication-factor"), options.number("partitions")
    if replicas is not None and not 1 <= replicas <= MOST_REPLICAS:
        raise ValueError(f"The replication factor must be between 1 and {MOST_REPLICAS} inclusive")
    if partitions is not None and partitions < 1:
        raise ValueError("The partitions must be greater than 0")
    return TopicToCreate(
        name=options.text("topic"),
        num_partitions=-1 if partitions is None else partitions,
        replication_factor=-1 if replicas is None else replicas,
        assignments=[
            ReplicaAssignment(partition_index=index, broker_ids=brokers)
            for index, brokers in enumerate(assignment)
        ],
        configs=[ConfigToSet(name=name, value=text) for name, text in configs.items()],
    )


def parse_configs(pairs: list[str]) -> dict[str, str]:
    """``--config name=value`` as a dictionary; raises ``ValueError`` without a value."""
    split = [re.split(r"\s*=\s*", pair) for pair in pairs]
    if any(len(parts) != 2 or not parts[1] for parts in split):
        raise ValueError(
            "requirement failed: Invalid topic config: all configs to be added must be in the "
            'format "key=val".'
        )
    return {name.strip(): text.strip() for name, text in split}


def parse_assignment(text: str) -> list[list[int]]:
    """``1:2,2:3`` as the brokers of each partition; raises ``ValueError`` for what isn't that."""
    partitions: list[list[int]] = []
    for index, part in enumerate(text.split(",") if text else ()):
        try:
            brokers = [int(broker) for broker in part.split(":")]
        except ValueError:
            raise ValueError(f'For input string: "{part}"') from None
        twice = sorted({broker for broker in brokers if brokers.count(broker) > 1})
        if twice:
            raise ValueError(
                "Partition replica lists may not contain duplicate entries: "
                + ",".join(map(str, twice))
            )
        partitions.append(brokers)
        if len(brokers) != len(partitions[0]):
            raise ValueError(f"Partition {index} has different replication factor: {brokers}")
    return partitions


async def _alter(cluster: Cluster, options: Options) -> None:
    assignment = parse_assignment(options.text("replica-assignment"))
    topics = await _existing(cluster, options)
    if not topics:
        return
    counts = {topic.name: len(topic.partitions) for topic in await describe_topics(cluster, topics)}
    growing = [
        TopicToGrow(
            name=name,
            count=options.number("partitions") or 0,
            assignments=[
                NewPartitionAssignment(broker_ids=brokers) for brokers in assignment[counts[name] :]
            ]
            or None,
        )
        for name in topics
    ]
    request = CreatePartitionsRequest(
        topics=growing, timeout_ms=int(cluster.timeout_ms), validate_only=False
    )
    for grown in (await cluster.ask(request, CONTROLLER)).results:
        check(grown.error_code, grown.error_message)


async def _delete(cluster: Cluster, options: Options) -> None:
    topics = await _existing(cluster, options)
    request = DeleteTopicsRequest(topic_names=list(topics), timeout_ms=int(cluster.timeout_ms))
    # The last version with plain names, which every broker knows.
    for deleted in (await cluster.ask(request, CONTROLLER, at_most=5)).responses:
        check(deleted.error_code, deleted.error_message)


async def _describe(cluster: Cluster, options: Options) -> None:
    topics = await _topics_to_describe(cluster, options)
    if not topics:
        return
    views = await describe_topics(
        cluster, topics, options.number("partition-size-limit-per-response") or 2000
    )
    configs = await describe_configs(cluster, [topic.name for topic in views])
    moving = await list_reassignments(cluster, views)
    chosen = ChosenPartitions(
        under_replicated=options.has("under-replicated-partitions"),
        unavailable=options.has("unavailable-partitions"),
        under_min_isr=options.has("under-min-isr-partitions"),
        at_min_isr=options.has("at-min-isr-partitions"),
        only_overrides=options.has("topics-with-overrides"),
        live_brokers=await live_brokers(cluster),
    )
    for topic in views:
        for line in describe_topic(topic, configs[topic.name], moving, chosen):
            print(line)


async def _topics_to_describe(cluster: Cluster, options: Options) -> dict[str, uuid.UUID]:
    text = options.only("topic-id")
    wanted = None if text is None else parse_uuid(text)
    if wanted is None or wanted == ZERO:
        return await _existing(cluster, options)
    topics = await list_topics(cluster, with_internal=not options.has("exclude-internal"))
    found = {name: topic_id for name, topic_id in topics.items() if topic_id == wanted}
    if not found and not options.has("if-exists"):
        raise ValueError(f"TopicId '{text}' does not exist as expected")
    return found


_ACTIONS = {
    "create": _create,
    "alter": _alter,
    "list": _list,
    "describe": _describe,
    "delete": _delete,
}
TOOL = Tool("Creates, deletes, describes and changes topics.", OPTIONS, run)
