"""Log directories of brokers as kafka-python has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from ottla.client.admin import log_dirs as client_log_dirs
from ottla.client.errors import KafkaError
from ottla.client.sync.admin import AdminClient
from ottla.client.values import TopicPartition as ClientPartition
from ottla.kafka_python.errors import for_code
from ottla.kafka_python.structs import TopicPartitionReplica

_UNTOLD = -1
_NO_ERROR = for_code(0)


class LogDirCalls:
    """The part of ``KafkaAdminClient`` about directories."""

    _client: AdminClient
    _outcome: Callable[[Future[Any]], Any]
    _failures: Callable[[Mapping[Any, Future[Any]]], dict[Any, KafkaError | None]]

    def describe_log_dirs(
        self,
        topic_partitions: Mapping[str, Sequence[int]] | Iterable[str] | None = None,
        brokers: Iterable[int] | None = None,
    ) -> list[dict[str, Any]]:
        """What lies in the log directories.

        Args:
            topic_partitions: of which replicas: topics with their partitions, topics with all of
                theirs, or None for all there are.
            brokers: of which brokers; None: of all.
        """
        cluster = self._outcome(self._client.describe_cluster())
        ids = [node.id for node in cluster.nodes] if brokers is None else list(brokers)
        futures = self._client.describe_log_dirs(ids, self._wanted(topic_partitions))
        return [
            {
                "broker": broker_id,
                "log_dirs": [
                    _fields(path, found)
                    for path, found in self._outcome(futures[broker_id]).items()
                ],
            }
            for broker_id in ids
        ]

    def alter_replica_log_dirs(
        self, replica_assignments: Mapping[TopicPartitionReplica | tuple[str, int, int], str]
    ) -> dict[TopicPartitionReplica, type[Exception]]:
        """Move replicas to other directories of their brokers.

        Args:
            replica_assignments: by replica, the path.

        Returns:
            By replica, the class of the error, or ``NoError``.
        """
        wanted = {
            client_log_dirs.TopicPartitionReplica(*replica): path
            for replica, path in replica_assignments.items()
        }
        failures = self._failures(self._client.alter_replica_log_dirs(wanted))
        return {
            TopicPartitionReplica(*replica): _NO_ERROR if error is None else for_code(error.code())
            for replica, error in failures.items()
        }

    def _wanted(
        self, topic_partitions: Mapping[str, Sequence[int]] | Iterable[str] | None
    ) -> list[ClientPartition] | None:
        if topic_partitions is None:
            return None
        if not isinstance(topic_partitions, Mapping):
            topics = self._client.list_topics(timeout=10).topics
            topic_partitions = {
                name: sorted(topics[name].partitions) for name in topic_partitions if name in topics
            }
        return [
            ClientPartition(topic, number)
            for topic, numbers in topic_partitions.items()
            for number in numbers
        ]


def _fields(path: str, found: client_log_dirs.LogDirDescription) -> dict[str, Any]:
    topics: dict[str, list[dict[str, Any]]] = {}
    for partition, replica in found.replicas.items():
        topics.setdefault(partition.topic, []).append(
            {
                "partition_index": partition.partition,
                "partition_size": replica.size_bytes,
                "offset_lag": replica.offset_lag,
                "is_future_key": replica.is_future,
            }
        )
    return {
        "error_code": 0 if found.error is None else found.error.code(),
        "log_dir": path,
        "topics": [{"name": name, "partitions": parts} for name, parts in topics.items()],
        "total_bytes": _UNTOLD if found.total_bytes is None else found.total_bytes,
        "usable_bytes": _UNTOLD if found.usable_bytes is None else found.usable_bytes,
        "is_cordoned": found.is_cordoned,
    }
