"""Moving replicas between the log directories of their brokers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ottla.cli.kafka.cluster import Cluster, in_order
from ottla.cli.kafka.errors import KafkaFailure, check
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.partition_offsets import Partition
from ottla.cli.kafka.topic_queries import live_brokers
from ottla.wire.api.k34_alter_replica_log_dirs import (
    AlterReplicaLogDirsRequest,
    LogDirToFill,
    TopicToMove,
)
from ottla.wire.api.k35_describe_log_dirs import DescribeLogDirsRequest
from ottla.wire.errors import ErrorCode

Replica = tuple[Partition, int]
"""A partition and the broker its replica is on."""


async def start_moves(cluster: Cluster, wanted: Mapping[Replica, str], timeout_ms: int) -> None:
    """Begin to move replicas into directories; those of new replicas once the broker has them.

    Raises:
        ToolFailure: a replica wasn't there in time.
    """
    pending = dict(wanted)
    deadline = cluster.engine.now_ms() + timeout_ms
    while True:
        for replica in await _try_moves(cluster, pending):
            (topic, index), broker = replica
            print(
                f"Successfully started moving log directory to {pending.pop(replica)} for replica "
                f"{topic}-{index} with broker {broker} "
            )
        if not pending:
            return
        if cluster.engine.now_ms() >= deadline:
            plural = "" if len(pending) == 1 else "s"
            shown = ",".join(f"{topic}-{index}-{b}" for (topic, index), b in sorted(pending))
            raise ToolFailure(
                f"Timed out before log directory move{plural} could be started for: {shown}"
            )
        await cluster.pause()


async def _try_moves(cluster: Cluster, wanted: Mapping[Replica, str]) -> list[Replica]:
    brokers: dict[int, dict[str, dict[str, list[int]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for ((topic, index), broker), directory in wanted.items():
        brokers[broker][directory][topic].append(index)
    started: list[Replica] = []
    for broker, directories in brokers.items():
        request = AlterReplicaLogDirsRequest(
            dirs=[
                LogDirToFill(
                    path=path,
                    topics=[TopicToMove(name=name, partitions=n) for name, n in topics.items()],
                )
                for path, topics in directories.items()
            ]
        )
        for topic in (await cluster.ask(request, broker)).results:
            for each in topic.partitions:
                if each.error_code == ErrorCode.REPLICA_NOT_AVAILABLE:
                    continue
                check(each.error_code)
                started.append(((topic.topic_name, each.partition_index), broker))
    return started


async def describe_moves(cluster: Cluster, wanted: Mapping[Replica, str]) -> bool:
    """Say how far replicas are; returns whether all have arrived."""
    now, moving = await _places(cluster, wanted)
    for replica, directory in sorted(wanted.items()):
        print(_state(replica, directory, now.get(replica), moving.get(replica)))
    return not any(replica in moving for replica in wanted)


async def cancel_moves(cluster: Cluster, wanted: Mapping[Replica, str], timeout_ms: int) -> bool:
    """Have replicas that are moving into one of these directories stay where they are.

    Returns:
        Whether there were any.
    """
    now, moving = await _places(cluster, wanted)
    active = {
        replica: now[replica]
        for replica, directory in sorted(wanted.items())
        if replica in now and moving.get(replica) == directory
    }
    await start_moves(cluster, active, timeout_ms)
    return bool(active)


async def _places(
    cluster: Cluster, wanted: Mapping[Replica, str]
) -> tuple[dict[Replica, str], dict[Replica, str]]:
    """Where replicas lie, and where they are moving to."""
    brokers = sorted({broker for _, broker in wanted})
    answers = await in_order(
        cluster.ask(DescribeLogDirsRequest(topics=None), broker) for broker in brokers
    )
    now: dict[Replica, str] = {}
    moving: dict[Replica, str] = {}
    for broker, answer in zip(brokers, answers, strict=True):
        for directory in answer.results:
            if directory.error_code:
                print(f"{directory.log_dir}: {KafkaFailure(directory.error_code).message}")
            for topic in directory.topics:
                for each in topic.partitions:
                    place = moving if each.is_future_key else now
                    place[(topic.name, each.partition_index), broker] = directory.log_dir
    return now, moving


async def log_directories(
    cluster: Cluster, assignment: Mapping[Partition, Sequence[int]]
) -> dict[Replica, str]:
    """In which directory of its broker each replica lies, as far as brokers that are there tell."""
    live = await live_brokers(cluster)
    brokers = sorted({broker for replicas in assignment.values() for broker in replicas} & live)
    answers = await in_order(
        cluster.ask(DescribeLogDirsRequest(topics=None), broker) for broker in brokers
    )
    return {
        ((topic.name, each.partition_index), broker): directory.log_dir
        for broker, answer in zip(brokers, answers, strict=True)
        for directory in answer.results
        for topic in directory.topics
        for each in topic.partitions
        if not each.is_future_key
    }


def _state(replica: Replica, wanted: str, now: str | None, moving: str | None) -> str:
    (topic, index), broker = replica
    where = f"{topic}-{index}"
    if now is None and moving is None:
        return f"Partition {where} cannot be found in any live log directory on broker {broker}."
    if moving == wanted:
        return f"Reassignment of replica {where}-{broker} is still in progress."
    if moving is not None:
        return (
            f"Partition {where} on broker {broker} is being moved to log dir {moving} instead of "
            f"{wanted}."
        )
    if now == wanted:
        return f"Reassignment of replica {where}-{broker} completed successfully."
    return (
        f"Partition {where} on broker {broker} is not being moved from log dir {now} to {wanted}."
    )
