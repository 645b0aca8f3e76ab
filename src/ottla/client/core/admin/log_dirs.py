"""Log directories: what lies in them, and moves from one to another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ottla.client.admin.log_dirs import (
    LogDirDescription,
    ReplicaInfo,
    TopicPartitionReplica,
)
from ottla.client.core.admin.brokers import itself
from ottla.client.core.admin.call import RETRIED, Call, Operation, Outcomes, ask_all
from ottla.client.core.admin.offsets import by_topic
from ottla.client.core.admin.outcomes import error_of, outcome, raise_for
from ottla.client.core.admin.routes import Each
from ottla.client.errors import KafkaError
from ottla.client.values import TopicPartition
from ottla.wire.api.k34_alter_replica_log_dirs import (
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    LogDirToFill,
    TopicToMove,
)
from ottla.wire.api.k35_describe_log_dirs import (
    DescribedLogDir,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    TopicToLocate,
)
from ottla.wire.errors import ErrorCode

LogDirs = dict[str, LogDirDescription]


def describe_log_dirs(
    broker_ids: Collection[int], partitions: Collection[TopicPartition] | None
) -> Operation[Outcomes[int, LogDirs]]:
    """The log directories of brokers by path, with all replicas or those of some partitions."""

    def request(_: Sequence[int]) -> DescribeLogDirsRequest:
        if partitions is None:
            return DescribeLogDirsRequest(topics=None)
        numbers = by_topic(partitions, lambda partition: partition.partition)
        return DescribeLogDirsRequest(
            topics=[TopicToLocate(topic=t, partitions=n) for t, n in numbers.items()]
        )

    def read(
        answer: DescribeLogDirsResponse, keys: Sequence[int]
    ) -> Iterable[tuple[int, LogDirs | KafkaError]]:
        raise_for(answer.error_code)
        yield keys[0], {found.log_dir: _description(found) for found in answer.results}

    return ask_all(Call(broker_ids, itself(), request, DescribeLogDirsResponse, read))


def _description(found: DescribedLogDir) -> LogDirDescription:
    replicas = {
        TopicPartition(topic.name, located.partition_index): ReplicaInfo(
            located.partition_size, located.offset_lag, located.is_future_key
        )
        for topic in found.topics
        for located in topic.partitions
    }
    return LogDirDescription(
        error_of(found.error_code),
        replicas,
        None if found.total_bytes < 0 else found.total_bytes,
        None if found.usable_bytes < 0 else found.usable_bytes,
        found.is_cordoned,
    )


def alter_replica_log_dirs(
    assignment: Mapping[TopicPartitionReplica, str],
) -> Operation[Outcomes[TopicPartitionReplica, None]]:
    """Move replicas to other directories of their brokers.

    A broker that does not hold the replica yet answers REPLICA_NOT_AVAILABLE, and will put it there
    when it does.
    """

    def request(keys: Sequence[TopicPartitionReplica]) -> AlterReplicaLogDirsRequest:
        paths: dict[str, list[TopicPartition]] = {}
        for replica in keys:
            partition = TopicPartition(replica.topic, replica.partition)
            paths.setdefault(assignment[replica], []).append(partition)
        return AlterReplicaLogDirsRequest(
            dirs=[LogDirToFill(path=p, topics=_to_move(moved)) for p, moved in paths.items()]
        )

    def read(
        answer: AlterReplicaLogDirsResponse, keys: Sequence[TopicPartitionReplica]
    ) -> Iterable[tuple[TopicPartitionReplica, KafkaError | None]]:
        for topic in answer.results:
            for moved in topic.partitions:
                replica = TopicPartitionReplica(
                    topic.topic_name, moved.partition_index, keys[0].broker_id
                )
                yield replica, outcome(moved.error_code, None, None)

    return ask_all(
        Call(
            assignment,
            Each(lambda replica: replica.broker_id),
            request,
            AlterReplicaLogDirsResponse,
            read,
            retried=RETRIED - {ErrorCode.REPLICA_NOT_AVAILABLE},
        )
    )


def _to_move(partitions: Iterable[TopicPartition]) -> list[TopicToMove]:
    numbers = by_topic(partitions, lambda partition: partition.partition)
    return [TopicToMove(name=t, partitions=n) for t, n in numbers.items()]
