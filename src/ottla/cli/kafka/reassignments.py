"""Moving partitions between brokers: plans in JSON, proposals, throttles, progress."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ottla.cli.kafka import json_files
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.partition_offsets import Partition
from ottla.cli.kafka.topic_description import Move

Assignment = dict[Partition, list[int]]
VERSION = 1
ANY_DIRECTORY = "any"


class Plan(NamedTuple):
    """Where partitions shall lie, and in which log directory of which broker."""

    replicas: Assignment
    directories: dict[tuple[Partition, int], str]


class Progress(NamedTuple):
    """A partition's replicas, those it shall have, and whether it is still moving."""

    current: Sequence[int]
    target: Sequence[int]
    is_done: bool


def parse_plan(document: Any) -> Plan:
    """A plan as ``--generate`` writes it.

    Raises:
        ToolFailure: it is none, or contradicts itself.
    """
    _check_version(document)
    what = "the reassignment"
    is_empty = isinstance(document, dict) and "partitions" not in document
    listed = [] if is_empty else json_files.field(document, "partitions", list, what)
    found = json_files.partitions(listed, what)
    if not found:
        raise ToolFailure("Partition reassignment list cannot be empty")
    if twice := json_files.duplicates(found):
        raise ToolFailure(
            f"Partition reassignment contains duplicate topic partitions: {','.join(twice)}"
        )
    plan = Plan({}, {})
    for partition, each in found:
        replicas = json_files.field(each, "replicas", list, what)
        _check_replicas(partition, replicas)
        plan.replicas[partition] = replicas
        directories = each.get("log_dirs") or [ANY_DIRECTORY] * len(replicas)
        if len(directories) != len(replicas):
            raise ToolFailure(
                f"Size of replicas list {replicas} is different from size of log dirs list "
                f"{directories} for partition {name(partition)}"
            )
        for broker, directory in zip(replicas, directories, strict=True):
            if directory != ANY_DIRECTORY:
                plan.directories[partition, broker] = str(directory)
    return plan


def _check_version(document: Any) -> None:
    version = document.get("version", VERSION) if isinstance(document, dict) else VERSION
    if version != VERSION:
        raise ToolFailure(f"Not supported version field value {version}")


def _check_replicas(partition: Partition, replicas: list[Any]) -> None:
    if not replicas:
        raise ToolFailure("Partition replica list cannot be empty")
    if not all(isinstance(each, int) and not isinstance(each, bool) for each in replicas):
        raise ToolFailure(f"The replicas of {name(partition)} are no broker ids: {replicas}")
    if twice := sorted({each for each in replicas if replicas.count(each) > 1}):
        shown = ",".join(map(str, twice))
        raise ToolFailure(
            "Partition replica lists may not contain duplicate entries: "
            f"{name(partition)} contains multiple entries for {shown}"
        )


def parse_topics(document: Any) -> list[str]:
    """The topics of a file for ``--generate``; raises ``ToolFailure``."""
    _check_version(document)
    what = "the list of topics"
    listed = json_files.field(document, "topics", list, what)
    topics = [json_files.field(each, "topic", str, what) for each in listed]
    if twice := sorted({topic for topic in topics if topics.count(topic) > 1}):
        raise ToolFailure(
            f"List of topics to reassign contains duplicate entries: [{', '.join(twice)}]"
        )
    return topics


def parse_brokers(text: str) -> list[int]:
    """``1,2,3``; raises ``ToolFailure``."""
    try:
        brokers = [int(number) for number in text.split(",")]
    except ValueError:
        raise ToolFailure(f'For input string: "{text}"') from None
    if twice := sorted({each for each in brokers if brokers.count(each) > 1}):
        shown = ", ".join(map(str, twice))
        raise ToolFailure(f"Broker list contains duplicate entries: [{shown}]")
    return brokers


def format_plan(
    assignment: Mapping[Partition, Sequence[int]],
    directories: Mapping[tuple[Partition, int], str] | None = None,
) -> str:
    """An assignment as a plan in JSON, with the log directories that are known."""
    known = directories or {}
    listed = [
        {
            "topic": topic,
            "partition": index,
            "replicas": list(replicas),
            "log_dirs": [known.get(((topic, index), broker), ANY_DIRECTORY) for broker in replicas],
        }
        for (topic, index), replicas in sorted(assignment.items())
    ]
    return json.dumps({"version": VERSION, "partitions": listed}, separators=(",", ":"))


def propose(
    current: Mapping[Partition, Sequence[int]], racks: Mapping[int, str | None], first: int = 0
) -> Assignment:
    """Spread partitions over brokers evenly, their replicas over racks.

    Args:
        current: where they are; a topic keeps its number of replicas.
        racks: the brokers to use and their racks.
        first: which of the brokers leads the first partition.

    Raises:
        ToolFailure: there are fewer brokers than replicas.
    """
    brokers = _by_rack(racks)
    by_topic: dict[str, list[Partition]] = defaultdict(list)
    for partition in sorted(current):
        by_topic[partition[0]].append(partition)
    proposed: Assignment = {}
    for partitions in by_topic.values():
        factor = len(current[partitions[0]])
        if not brokers:
            raise ToolFailure(
                "All brokers are currently fenced, or have all their log directories cordoned."
            )
        if factor > len(brokers):
            raise ToolFailure(
                f"Replication factor: {factor} larger than available brokers: {len(brokers)}."
            )
        for number, partition in enumerate(partitions):
            shift = number // len(brokers)
            leader = brokers[(first + number) % len(brokers)]
            proposed[partition] = _replicas(leader, brokers, racks, factor, shift)
    return proposed


def _by_rack(racks: Mapping[int, str | None]) -> list[int]:
    """The brokers, one of each rack after another."""
    queues: dict[str | None, list[int]] = defaultdict(list)
    for broker in sorted(racks):
        queues[racks[broker]].append(broker)
    waiting = [queues[rack] for rack in sorted(queues, key=str)]
    ordered = []
    while any(waiting):
        ordered += [queue.pop(0) for queue in waiting if queue]
    return ordered


def _replicas(
    leader: int,
    brokers: Sequence[int],
    racks: Mapping[int, str | None],
    factor: int,
    shift: int,
) -> list[int]:
    position = brokers.index(leader)
    rest = [brokers[(position + step) % len(brokers)] for step in range(1, len(brokers))]
    turn = shift % len(rest) if rest else 0
    chosen, used = [leader], {racks[leader]}
    for candidates in (rest[turn:] + rest[:turn],) * 2:
        for broker in candidates:
            # First brokers of racks that have no replica yet, then any.
            is_new = racks[broker] is None or racks[broker] not in used
            if len(chosen) < factor and broker not in chosen and is_new:
                chosen.append(broker)
                used.add(racks[broker])
        used = set()
    return chosen


def with_moves(
    wanted: Mapping[Partition, Sequence[int]],
    current: Mapping[Partition, Sequence[int]],
    moves: Mapping[Partition, Move],
) -> tuple[Assignment, Assignment]:
    """Where all that moves shall lie and lay before: new moves, and those under way."""
    before = {each: list(replicas) for each, replicas in current.items()}
    after = {each: list(replicas) for each, replicas in wanted.items()}
    for partition, move in moves.items():
        before[partition] = [each for each in move.replicas if each not in move.adding]
        after.setdefault(partition, [*before[partition], *move.adding])
    return after, before


def throttled_replicas(
    wanted: Mapping[Partition, Sequence[int]], current: Mapping[Partition, Sequence[int]]
) -> dict[str, tuple[str, str]]:
    """By topic the leaders' and the followers' throttled replicas, ``partition:broker``.

    Only brokers that send or receive for a move are throttled.
    """
    sources: dict[str, list[str]] = defaultdict(list)
    targets: dict[str, list[str]] = defaultdict(list)
    for (topic, index), replicas in sorted(wanted.items()):
        before = current[topic, index]
        sources[topic] += [f"{index}:{broker}" for broker in sorted(before)]
        targets[topic] += [f"{index}:{broker}" for broker in sorted({*replicas} - {*before})]
    return {topic: (",".join(sources[topic]), ",".join(targets[topic])) for topic in sources}


def progress(
    wanted: Mapping[Partition, Sequence[int]],
    moves: Mapping[Partition, Move],
    current: Mapping[Partition, Sequence[int]],
) -> dict[Partition, Progress]:
    """How far each partition has come."""
    found = {}
    for partition, target in wanted.items():
        move = moves.get(partition)
        if move is None:
            found[partition] = Progress(current.get(partition, ()), target, True)
        else:
            found[partition] = Progress(move.replicas, target, False)
    return found


def progress_lines(found: Mapping[Partition, Progress]) -> list[str]:
    """What ``--verify`` says about partitions."""
    lines = ["Status of partition reassignment:"]
    for partition, state in sorted(found.items()):
        if not state.is_done:
            lines.append(f"Reassignment of partition {name(partition)} is still in progress.")
        elif list(state.current) == list(state.target):
            lines.append(f"Reassignment of partition {name(partition)} is completed.")
        else:
            current, target = (",".join(map(str, each)) for each in (state.current, state.target))
            lines.append(
                f"There is no active reassignment of partition {name(partition)}, but replica set "
                f"is {current} rather than {target}."
            )
    return lines


def name(partition: Partition) -> str:
    """``topic-0``."""
    return f"{partition[0]}-{partition[1]}"


def names(partitions: Iterable[Partition]) -> str:
    """``topic-0,topic-1``."""
    return ",".join(name(partition) for partition in sorted(partitions))
