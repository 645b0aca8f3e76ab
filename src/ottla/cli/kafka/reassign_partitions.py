"""``kafka-reassign-partitions``: move partitions between brokers."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from ottla.cli.kafka import json_files, reassignments
from ottla.cli.kafka.cluster import CONTROLLER, Cluster, ask_cluster, settings
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.errors import KafkaFailure, check
from ottla.cli.kafka.failures import OptionError, ToolFailure, UsageError
from ottla.cli.kafka.log_directory_moves import (
    cancel_moves,
    describe_moves,
    log_directories,
    start_moves,
)
from ottla.cli.kafka.options import Options, flag, long, optional, value
from ottla.cli.kafka.partition_offsets import Partition
from ottla.cli.kafka.reassignment_throttles import (
    clear_throttles,
    throttle_log_directories,
    throttle_replication,
)
from ottla.cli.kafka.reassignments import Assignment, Plan, name, names
from ottla.cli.kafka.topic_description import Move
from ottla.cli.kafka.topic_queries import list_reassignments, live_brokers, metadata
from ottla.wire.api.k45_alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    PartitionToReassign,
    TopicToReassign,
)
from ottla.wire.errors import ErrorCode

OPTIONS = (
    optional("bootstrap-server", "host:port", "The brokers to connect to first."),
    optional("bootstrap-controller", "host:port", "The controllers, for --list and --cancel."),
    value("command-config", "file", "Properties for the connection."),
    flag("generate", "Propose where topics could lie, and do nothing."),
    flag("execute", "Begin to move partitions as the JSON file says."),
    flag("verify", "Say how far that is, and take throttles away when it is done."),
    flag("cancel", "Stop moving the partitions of the JSON file."),
    flag("list", "Show the partitions that are moving."),
    value("reassignment-json-file", "file", "Partitions and their replicas."),
    value("topics-to-move-json-file", "file", '{"topics": [{"topic": "foo"}], "version": 1}'),
    value("broker-list", "ids", "The brokers for --generate, commas between them."),
    flag("disable-rack-aware", "Propose without regard to racks."),
    long("throttle", "bytes/s", "How fast partitions may move between brokers.", default="-1"),
    long(
        "replica-alter-log-dirs-throttle",
        "bytes/s",
        "How fast replicas may move between directories.",
        default="-1",
    ),
    long("timeout", "ms", "How long to wait for moves between directories.", default="10000"),
    flag("additional", "Move these beside partitions that are moving already."),
    flag("preserve-throttles", "Leave throttles as they are."),
    flag("disallow-replication-factor-change", "Refuse plans with more or fewer replicas."),
)
ACTIONS = ("generate", "execute", "verify", "cancel", "list")
_REQUIRED = {
    "generate": ("broker-list", "topics-to-move-json-file"),
    "execute": ("reassignment-json-file",),
    "verify": ("reassignment-json-file",),
    "cancel": ("reassignment-json-file",),
    "list": (),
}
_COMMON = {"bootstrap-server", "command-config", "timeout"}
_PERMITTED = {
    "generate": {"disable-rack-aware"},
    "execute": {
        "additional", "throttle", "replica-alter-log-dirs-throttle",
        "disallow-replication-factor-change",
    },
    "verify": {"preserve-throttles"},
    "cancel": {"preserve-throttles", "bootstrap-controller"},
    "list": {"bootstrap-controller"},
}  # fmt: skip


class Refused(ToolFailure):
    """What was asked for can't be begun: told as it is, without "Error" in front."""


def run(options: Options) -> int:
    """Check the options and files, then do what is asked for."""
    action = _check(options)
    entries = settings(options)
    if options.has("bootstrap-controller"):
        entries["bootstrap.servers"] = options.text("bootstrap-controller")
    try:
        ask_cluster(entries, lambda cluster: _ACTIONS[action](cluster, options))
    except OptionError as failure:
        raise UsageError(failure.message) from None
    except UsageError:
        raise
    except ToolFailure as failure:
        # Kafka's tool tells its errors on standard output.
        prefix = "" if isinstance(failure, Refused) else "Error: "
        print(f"{prefix}{failure.told}")
        raise ToolFailure("", failure.hint) from None
    return 0


def _check(options: Options) -> str:
    given = [action for action in ACTIONS if options.has(action)]
    if len(given) != 1:
        shown = ", ".join(f"--{action}" for action in ACTIONS)
        raise UsageError(f"Command must include exactly one action: {shown}")
    [action] = given
    connections = options.has("bootstrap-server") + options.has("bootstrap-controller")
    if connections > 1:
        raise UsageError("Please don't specify both --bootstrap-server and --bootstrap-controller")
    if not connections:
        raise UsageError("Please specify either --bootstrap-server or --bootstrap-controller")
    options.require(*_REQUIRED[action])
    allowed = _COMMON | _PERMITTED[action] | set(_REQUIRED[action]) | {action}
    for other in options.order:
        if other not in allowed:
            raise UsageError(f'Option "[{other}]" can\'t be used with action "[{action}]"')
    return action


def _plan(options: Options) -> Plan:
    return reassignments.parse_plan(json_files.load(options.text("reassignment-json-file")))


async def _list(cluster: Cluster, options: Options) -> None:
    moves = await list_reassignments(cluster)
    if not moves:
        print("No partition reassignments found.")
        return
    print("Current partition reassignments:")
    for partition, move in sorted(moves.items()):
        shown = f"{name(partition)}: replicas: {_ids(move.replicas)}."
        shown += f" adding: {_ids(move.adding)}." if move.adding else ""
        shown += f" removing: {_ids(move.removing)}." if move.removing else ""
        print(shown)


def _ids(brokers: Iterable[int]) -> str:
    return ",".join(map(str, brokers))


async def _current(cluster: Cluster, topics: Collection[str]) -> Assignment:
    """Where all partitions of topics lie; raises ``KafkaFailure`` for a topic that is missing."""
    found: Assignment = {}
    for topic in (await metadata(cluster, sorted(set(topics)))).topics:
        if topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            raise KafkaFailure(topic.error_code, f"Topic {topic.name} not found.")
        check(topic.error_code)
        for each in topic.partitions:
            found[topic.name or "", each.partition_index] = list(each.replica_nodes)
    return found


async def _generate(cluster: Cluster, options: Options) -> None:
    brokers = reassignments.parse_brokers(options.text("broker-list"))
    topics = reassignments.parse_topics(json_files.load(options.text("topics-to-move-json-file")))
    current = await _current(cluster, topics)
    listed = (await metadata(cluster, only_brokers=True)).brokers
    with_racks = not options.has("disable-rack-aware")
    racks = {
        each.node_id: each.rack if with_racks else None
        for each in listed
        if each.node_id in brokers
    }
    rackless = sum(rack is None for rack in racks.values())
    if with_racks and 0 < rackless < len(racks):
        raise ToolFailure(
            "Not all brokers have rack information. Add --disable-rack-aware in command line to "
            "make replica assignment without rack information."
        )
    first = random.randrange(max(1, len(racks)))  # noqa: S311 - spreads load, keeps no secret
    proposed = reassignments.propose(current, racks, first)
    directories = await log_directories(cluster, current)
    shown = reassignments.format_plan(current, directories)
    print(f"Current partition replica assignment\n{shown}\n")
    print(f"Proposed partition reassignment configuration\n{reassignments.format_plan(proposed)}")


async def _execute(cluster: Cluster, options: Options) -> None:
    plan = _plan(options)
    moving = await list_reassignments(cluster)
    if moving and not options.has("additional"):
        raise Refused(
            "Cannot execute because there is an existing partition assignment.  Use --additional "
            "to override this and create a new partition assignment in addition to the existing "
            "one. The --additional flag can also be used to change the throttle by resubmitting "
            "the current reassignment."
        )
    live = await live_brokers(cluster)
    wanted = {broker for replicas in plan.replicas.values() for broker in replicas}
    if strange := sorted(wanted - live):
        raise ToolFailure(f"Unknown broker id {strange[0]}")
    everything = await _current(cluster, {topic for topic, _ in plan.replicas})
    if missing := set(plan.replicas) - set(everything):
        text = f"Unable to find partition: {', '.join(name(each) for each in sorted(missing))}"
        raise KafkaFailure(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, text)
    current = {partition: everything[partition] for partition in plan.replicas}
    shown = reassignments.format_plan(current, await log_directories(cluster, current))
    print(
        f"Current partition replica assignment\n\n{shown}\n\n"
        "Save this to use as the --reassignment-json-file option during rollback"
    )
    await _throttle(
        cluster, options, plan, reassignments.with_moves(plan.replicas, current, moving)
    )
    failures = await _alter(
        cluster, plan.replicas, may_resize=not options.has("disallow-replication-factor-change")
    )
    if failures:
        listed = "\n".join(f"{name(p)}: {failures[p].message}" for p in sorted(failures))
        raise Refused(f"Error reassigning partition(s):\n{listed}")
    plural = "" if len(plan.replicas) == 1 else "s"
    print(f"Successfully started partition reassignment{plural} for {names(plan.replicas)}")
    if plan.directories:
        await start_moves(cluster, plan.directories, options.number("timeout") or 0)


async def _throttle(
    cluster: Cluster, options: Options, plan: Plan, all_moves: tuple[Assignment, Assignment]
) -> None:
    replication = options.number("throttle") or 0
    directories = options.number("replica-alter-log-dirs-throttle") or 0
    if replication < 0 and directories < 0:
        return
    print(
        "Warning: You must run --verify periodically, until the reassignment completes, to ensure "
        "the throttle is removed."
    )
    if replication >= 0:
        await throttle_replication(cluster, *all_moves, replication)
        print(f"The inter-broker throttle limit was set to {replication} B/s")
    if directories >= 0:
        brokers = sorted({broker for _, broker in plan.directories})
        if brokers:
            await throttle_log_directories(cluster, brokers, directories)
            print(f"The replica-alter-dir throttle limit was set to {directories} B/s")


async def _alter(
    cluster: Cluster,
    wanted: Mapping[Partition, Sequence[int] | None],
    *,
    may_resize: bool = True,
) -> dict[Partition, KafkaFailure]:
    """Begin moves, or end them where there are no replicas; returns what was refused."""
    topics: dict[str, list[PartitionToReassign]] = defaultdict(list)
    for (topic, index), replicas in sorted(wanted.items()):
        listed = None if replicas is None else list(replicas)
        topics[topic].append(PartitionToReassign(partition_index=index, replicas=listed))
    request = AlterPartitionReassignmentsRequest(
        timeout_ms=int(cluster.timeout_ms),
        allow_replication_factor_change=may_resize,
        topics=[TopicToReassign(name=topic, partitions=each) for topic, each in topics.items()],
    )
    answer = await cluster.ask(request, CONTROLLER, at_least=0 if may_resize else 1)
    check(answer.error_code, answer.error_message)
    return {
        (topic.name, each.partition_index): KafkaFailure(each.error_code, each.error_message)
        for topic in answer.responses
        for each in topic.partitions
        if each.error_code
    }


async def _verify(cluster: Cluster, options: Options) -> None:
    plan = _plan(options)
    moves: dict[Partition, Move] = await list_reassignments(cluster)
    listed = await metadata(cluster, sorted({topic for topic, _ in plan.replicas}))
    current = {
        (topic.name or "", each.partition_index): list(each.replica_nodes)
        for topic in listed.topics
        if not topic.error_code
        for each in topic.partitions
    }
    found = reassignments.progress(plan.replicas, moves, current)
    for line in reassignments.progress_lines(found):
        print(line)
    print()
    if plan.directories:
        is_done = await describe_moves(cluster, plan.directories)
    else:
        is_done = True
    done = is_done and all(state.is_done for state in found.values())
    if done and not options.has("preserve-throttles"):
        await clear_throttles(cluster, plan.replicas)


async def _cancel(cluster: Cluster, options: Options) -> None:
    plan = _plan(options)
    moves = await list_reassignments(cluster)
    active = [partition for partition in plan.replicas if partition in moves]
    if not active:
        print("None of the specified partition reassignments are active.")
    else:
        failures = await _alter(cluster, dict.fromkeys(active))
        if failures:
            plural = "" if len(failures) == 1 else "s"
            listed = "\n".join(f"{name(p)}: {failures[p].message}" for p in sorted(failures))
            raise Refused(f"Error cancelling partition reassignment{plural} for:\n{listed}")
        plural = "" if len(active) == 1 else "s"
        print(f"Successfully cancelled partition reassignment{plural} for: {names(active)}")
    if not await cancel_moves(cluster, plan.directories, options.number("timeout") or 0):
        print("None of the specified partition moves are active.", end="")
    if not options.has("preserve-throttles"):
        await clear_throttles(cluster, plan.replicas)


_ACTIONS = {
    "generate": _generate,
    "execute": _execute,
    "verify": _verify,
    "cancel": _cancel,
    "list": _list,
}
TOOL = Tool("Moves partitions between brokers.", OPTIONS, run)
