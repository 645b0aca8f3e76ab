"""``KafkaAdminClient`` as kafka-python has it, and the values it takes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from enum import IntEnum
from types import TracebackType
from typing import Any, NamedTuple, Self

from ottla.client.admin import configs as client_configs
from ottla.client.admin import topics as client_topics
from ottla.client.admin.partitions import TopicPartitionsDescription
from ottla.client.enumerations import AlterConfigOpType, ConfigSource
from ottla.client.errors import KafkaException
from ottla.client.sync.admin import AdminClient
from ottla.client.values import (
    OFFSET_INVALID,
    ConsumerGroupTopicPartitions,
)
from ottla.client.values import TopicPartition as ClientPartition
from ottla.kafka_python.connecting import connected
from ottla.kafka_python.consumer_offsets import translated
from ottla.kafka_python.errors import KafkaTimeoutError, error_of, for_code
from ottla.kafka_python.log_dirs import LogDirCalls
from ottla.kafka_python.security import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    SecurityCalls,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from ottla.kafka_python.settings import COMMON, properties
from ottla.kafka_python.structs import OffsetAndMetadata, TopicPartition
from ottla.wire.errors import ErrorCode

__all__ = [
    "ACL",
    "ACLFilter",
    "ACLOperation",
    "ACLPermissionType",
    "ACLResourcePatternType",
    "ConfigResource",
    "ConfigResourceType",
    "KafkaAdminClient",
    "NewPartitions",
    "NewTopic",
    "ResourcePattern",
    "ResourcePatternFilter",
    "ResourceType",
    "ScramMechanism",
    "UserScramCredentialDeletion",
    "UserScramCredentialUpsertion",
]
_DEFAULT_TIMEOUT_MS = 30_000
_LOOK_AGAIN_SECONDS = 0.05
_MOMENT_MS = 2_000
_PATIENCE_MS = 10_000


class NewTopic(NamedTuple):
    """A topic to make; -1: the broker's default."""

    name: str
    num_partitions: int = -1
    replication_factor: int = -1
    replica_assignments: Mapping[int, Sequence[int]] | None = None
    topic_configs: Mapping[str, str] | None = None


class NewPartitions(NamedTuple):
    """How many partitions a topic shall have."""

    total_count: int
    new_assignments: Sequence[Sequence[int]] | None = None


class ConfigResourceType(IntEnum):
    """Of what a configuration is."""

    UNKNOWN = 0
    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


class ConfigResource:
    """A configuration to read, or values to set in it."""

    def __init__(
        self,
        resource_type: ConfigResourceType | str | int,
        name: str,
        configs: Mapping[str, str] | None = None,
    ) -> None:
        if isinstance(resource_type, str):
            resource_type = ConfigResourceType[resource_type.upper()]
        self.resource_type = ConfigResourceType(resource_type)
        self.name = name
        self.configs = configs


class KafkaAdminClient(SecurityCalls, LogDirCalls):
    """Administers a cluster. Answers are plain dictionaries and lists.

    Raises:
        KafkaConfigurationError: an unknown setting.
        KafkaTimeoutError: no broker could be reached within ``bootstrap_timeout_ms``.
    """

    def __init__(self, **configs: Any) -> None:
        self._timeout_s = configs.get("request_timeout_ms", _DEFAULT_TIMEOUT_MS) / 1000
        self._closing = threading.Event()
        with translated():
            self._client = connected(AdminClient, properties(configs, COMMON), configs)

    def close(self) -> None:
        """End."""
        self._closing.set()
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _outcome(self, future: Future[Any]) -> Any:
        with translated():
            return future.result(self._timeout_s)

    def _failures(self, futures: Mapping[Any, Future[Any]]) -> dict[Any, Any]:
        """What became of each: the error, or None."""
        outcomes: dict[Any, Any] = {}
        for name, future in futures.items():
            try:
                future.result(self._timeout_s)
            except KafkaException as exception:
                outcomes[name] = exception.args[0]
            else:
                outcomes[name] = None
        return outcomes

    # Topics

    def create_topics(
        self,
        new_topics: Iterable[NewTopic | str] | Mapping[str, Mapping[str, Any]],
        timeout_ms: float | None = None,
        validate_only: bool = False,
        raise_errors: bool = True,
        wait_for_metadata: bool = False,
    ) -> dict[str, Any]:
        """Make topics.

        Args:
            new_topics: the topics, or names with a dictionary of the rest.
            timeout_ms: how long the broker may wait until they are known everywhere.
            validate_only: only check whether they could be made.
            raise_errors: raise the first error instead of telling all in the answer.
            wait_for_metadata: return when they can be used.
        """
        if isinstance(new_topics, Mapping):
            wanted = [NewTopic(name, **dict(rest)) for name, rest in new_topics.items()]
        else:
            wanted = [NewTopic(each) if isinstance(each, str) else each for each in new_topics]
        with translated():
            futures = self._client.create_topics(
                [_client_topic(topic) for topic in wanted],
                operation_timeout=_seconds(timeout_ms),
                validate_only=validate_only,
            )
        failures = self._failures(futures)
        _raise_first(failures, raise_errors)
        made = [name for name, error in failures.items() if error is None]
        known: dict[str, dict[str, Any]] = {}
        if made and not validate_only:
            with contextlib.suppress(KafkaTimeoutError):
                # What they have become is known a moment after they were made.
                self.wait_for_topics(made, _PATIENCE_MS if wait_for_metadata else _MOMENT_MS)
            known = {each["name"]: each for each in self._described(made)}
        return {
            "topics": [
                {
                    "name": topic.name,
                    "topic_id": known.get(topic.name, {}).get("topic_id"),
                    **_error_fields(failures[topic.name]),
                    "topic_config_error_code": 0,
                    "num_partitions": _partition_count(known.get(topic.name)),
                    "replication_factor": _replica_count(known.get(topic.name)),
                }
                for topic in wanted
            ]
        }

    def delete_topics(
        self, topics: Iterable[str], timeout_ms: float | None = None, raise_errors: bool = True
    ) -> dict[str, Any]:
        """Delete topics."""
        names = list(topics)
        futures = self._client.delete_topics(names, operation_timeout=_seconds(timeout_ms))
        failures = self._failures(futures)
        _raise_first(failures, raise_errors)
        return {
            "topics": [
                {"name": name, "topic_id": None, **_error_fields(error)}
                for name, error in failures.items()
            ]
        }

    def list_topics(self) -> list[str]:
        """The names of all topics."""
        with translated():
            return sorted(self._client.list_topics(timeout=self._timeout_s).topics)

    def describe_topics(self, topics: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """Topics and their partitions, by default all."""
        names = self.list_topics() if topics is None else list(topics)
        return self._described(names)

    def _described(self, names: list[str]) -> list[dict[str, Any]]:
        if not names:
            return []
        with translated():
            futures = self._client.describe_topic_partitions(names)
        described = []
        for name in names:
            try:
                topic = futures[name].result(self._timeout_s)
            except KafkaException as exception:
                error_code = exception.args[0].code()
                described.append(_topic_fields(name, error_code, None))
            else:
                described.append(_topic_fields(name, 0, topic))
        return described

    def create_partitions(
        self,
        topic_partitions: Mapping[str, NewPartitions | int],
        timeout_ms: float | None = None,
        validate_only: bool = False,
        raise_errors: bool = True,
    ) -> dict[str, Any]:
        """Give topics more partitions: names with how many they shall have."""
        wanted = []
        for name, given in topic_partitions.items():
            new = NewPartitions(given) if isinstance(given, int) else given
            assignment = None if new.new_assignments is None else list(new.new_assignments)
            wanted.append(client_topics.NewPartitions(name, new.total_count, assignment))
        futures = self._client.create_partitions(
            wanted, operation_timeout=_seconds(timeout_ms), validate_only=validate_only
        )
        failures = self._failures(futures)
        _raise_first(failures, raise_errors)
        return {
            "results": [{"name": name, **_error_fields(error)} for name, error in failures.items()]
        }

    def wait_for_topics(self, topic_names: Iterable[str], timeout_ms: float = 10_000) -> None:
        """Wait until topics can be used.

        Raises:
            KafkaTimeoutError: it took longer.
        """
        missing = set(topic_names)
        deadline = time.monotonic() + timeout_ms / 1000
        while True:
            with translated():
                listed = self._client.list_topics(timeout=self._timeout_s).topics
            missing -= {name for name, topic in listed.items() if topic.partitions}
            if not missing:
                return
            if time.monotonic() >= deadline:
                raise KafkaTimeoutError(f"{sorted(missing)} are not there yet")
            if self._closing.wait(_LOOK_AGAIN_SECONDS):
                return

    def delete_records(
        self, records_to_delete: Mapping[TopicPartition, int], timeout_ms: float | None = None
    ) -> dict[TopicPartition, dict[str, int]]:
        """Delete the messages before the given offsets."""
        wanted = [ClientPartition(*each, offset=at) for each, at in records_to_delete.items()]
        futures = self._client.delete_records(wanted, operation_timeout=_seconds(timeout_ms))
        return {
            TopicPartition(each.topic, each.partition): {
                "partition_index": each.partition,
                "low_watermark": self._outcome(future).low_watermark,
                "error_code": 0,
            }
            for each, future in futures.items()
        }

    # The cluster

    def describe_cluster(self) -> dict[str, Any]:
        """The cluster and its brokers; ``broker_id`` goes by ``node_id`` too, as in version 2."""
        found = self._outcome(self._client.describe_cluster(include_authorized_operations=True))
        operations = found.authorized_operations
        return {
            "cluster_id": found.cluster_id,
            "controller_id": -1 if found.controller is None else found.controller.id,
            "brokers": [
                {
                    "broker_id": node.id,
                    "node_id": node.id,
                    "host": node.host,
                    "port": node.port,
                    "rack": node.rack,
                    "is_fenced": False,
                }
                for node in found.nodes
            ],
            "authorized_operations": None if operations is None else [o.name for o in operations],
        }

    def describe_configs(
        self,
        config_resources: Iterable[ConfigResource],
        include_synonyms: bool = False,
        config_filter: str = "modified",
    ) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
        """Configurations by kind and name of the resource.

        Args:
            config_resources: of what.
            include_synonyms: also tell the other sources of each value.
            config_filter: ``modified``: only what differs from the defaults; or ``all``.
        """
        wanted = {_client_resource(each): each for each in config_resources}
        with translated():
            futures = self._client.describe_configs(list(wanted))
        found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
        for key, resource in wanted.items():
            entries = self._outcome(futures[key])
            found.setdefault(resource.resource_type.name.lower(), {})[resource.name] = {
                name: _entry_fields(entry, include_synonyms)
                for name, entry in entries.items()
                if config_filter == "all" or _is_modified(entry)
            }
        return found

    def alter_configs(
        self, config_resources: Iterable[ConfigResource], validate_only: bool = False
    ) -> dict[str, dict[str, str]]:
        """Set values; all others stay as they are."""
        resources = list(config_resources)
        wanted = {_altered_resource(each): each for each in resources}
        with translated():
            futures = self._client.incremental_alter_configs(
                list(wanted), validate_only=validate_only
            )
        found: dict[str, dict[str, str]] = {}
        for key, resource in wanted.items():
            self._outcome(futures[key])
            found.setdefault(resource.resource_type.name.lower(), {})[resource.name] = "OK"
        return found

    # Groups

    def list_groups(self) -> list[dict[str, str]]:
        """All groups."""
        return [
            {
                "group_id": group.group_id,
                "protocol_type": group.protocol_type,
                "group_state": group.state,
                "group_type": group.group_type.lower(),
            }
            for group in self._outcome(self._client.list_all_groups())
        ]

    def describe_groups(self, group_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Groups and their members."""
        names = list(group_ids)
        futures = self._client.describe_consumer_groups(names)
        found = {}
        for name in names:
            group = self._outcome(futures[name])
            found[name] = {
                "group_id": name,
                "group_state": group.state_name,
                "protocol_type": "consumer" if group.members else "",
                "protocol_data": group.partition_assignor,
                "members": [_member_fields(member) for member in group.members],
                "error": None,
            }
        return found

    def delete_groups(self, group_ids: Iterable[str]) -> dict[str, str]:
        """Delete groups: for each ``OK`` or the name of the error."""
        futures = self._client.delete_consumer_groups(list(group_ids))
        return {
            name: "OK" if error is None else for_code(error.code()).__name__
            for name, error in self._failures(futures).items()
        }

    def list_group_offsets(
        self, group_specs: str | Iterable[str] | Mapping[str, Iterable[TopicPartition] | None]
    ) -> dict[str, dict[TopicPartition, OffsetAndMetadata]]:
        """The committed offsets of one group or several, of all partitions or of those given."""
        if isinstance(group_specs, str):
            group_specs = [group_specs]
        if not isinstance(group_specs, Mapping):
            group_specs = dict.fromkeys(group_specs)
        found = {}
        for name, partitions in group_specs.items():
            wanted = None if partitions is None else [ClientPartition(*p) for p in partitions]
            request = ConsumerGroupTopicPartitions(name, wanted)
            future = self._client.list_consumer_group_offsets([request])[name]
            found[name] = {
                TopicPartition(each.topic, each.partition): OffsetAndMetadata(
                    each.offset,
                    each.metadata or "",
                    -1 if each.leader_epoch is None else each.leader_epoch,
                )
                for each in self._outcome(future).topic_partitions
                if each.offset != OFFSET_INVALID
            }
        return found


def _seconds(timeout_ms: float | None) -> float | None:
    return None if timeout_ms is None else timeout_ms / 1000


def _client_topic(topic: NewTopic) -> client_topics.NewTopic:
    assignments = topic.replica_assignments
    config = None if topic.topic_configs is None else dict(topic.topic_configs)
    if not assignments:
        return client_topics.NewTopic(
            topic.name, topic.num_partitions, topic.replication_factor, config=config
        )
    replicas = [list(assignments[number]) for number in sorted(assignments)]
    return client_topics.NewTopic(
        topic.name, len(replicas), replica_assignment=replicas, config=config
    )


def _raise_first(failures: Mapping[str, Any], raise_errors: bool) -> None:
    for error in failures.values():
        if error is not None and raise_errors:
            raise error_of(error)


def _error_fields(error: Any) -> dict[str, Any]:
    if error is None:
        return {"error_code": int(ErrorCode.NONE), "error_message": None}
    return {"error_code": error.code(), "error_message": error.str()}


def _partition_count(topic: dict[str, Any] | None) -> int:
    return -1 if topic is None else len(topic["partitions"])


def _replica_count(topic: dict[str, Any] | None) -> int:
    return (
        -1 if not topic or not topic["partitions"] else len(topic["partitions"][0]["replica_nodes"])
    )


def _topic_fields(
    name: str, error_code: int, topic: TopicPartitionsDescription | None
) -> dict[str, Any]:
    partitions = () if topic is None else topic.partitions
    return {
        "error_code": error_code,
        "name": name,
        "topic_id": None if topic is None else _uuid_text(topic.topic_id),
        "is_internal": topic is not None and topic.is_internal,
        "partitions": [
            {
                "error_code": 0,
                "partition_index": each.partition,
                "leader_id": each.leader,
                "leader_epoch": each.leader_epoch,
                "replica_nodes": each.replicas,
                "isr_nodes": each.in_sync_replicas,
                "offline_replicas": each.offline_replicas,
            }
            for each in partitions
        ],
    }


def _uuid_text(topic_id: Any) -> str:
    import uuid

    high, low = topic_id.get_most_significant_bits(), topic_id.get_least_significant_bits()
    return str(uuid.UUID(int=(high % 2**64) << 64 | low % 2**64))


def _client_resource(resource: ConfigResource) -> client_configs.ConfigResource:
    return client_configs.ConfigResource(int(resource.resource_type), resource.name)


def _altered_resource(resource: ConfigResource) -> client_configs.ConfigResource:
    changes = [
        client_configs.ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET)
        for name, value in (resource.configs or {}).items()
    ]
    return client_configs.ConfigResource(
        int(resource.resource_type), resource.name, incremental_configs=changes
    )


def _source(entry: client_configs.ConfigEntry) -> ConfigSource:
    return entry.source if isinstance(entry.source, ConfigSource) else ConfigSource(entry.source)


def _is_modified(entry: client_configs.ConfigEntry) -> bool:
    return _source(entry) not in (ConfigSource.DEFAULT_CONFIG, ConfigSource.STATIC_BROKER_CONFIG)


def _entry_fields(entry: client_configs.ConfigEntry, include_synonyms: bool) -> dict[str, Any]:
    synonyms = [
        {"name": each.name, "value": each.value, "source": _source(each).name}
        for each in entry.synonyms.values()
    ]
    return {
        "value": entry.value,
        "read_only": entry.is_read_only,
        "config_source": _source(entry).name,
        "is_sensitive": entry.is_sensitive,
        "synonyms": synonyms if include_synonyms else [],
    }


def _member_fields(member: Any) -> dict[str, Any]:
    topics: dict[str, list[int]] = {}
    for partition in sorted(member.assignment.topic_partitions):
        topics.setdefault(partition.topic, []).append(partition.partition)
    assigned = [{"topic": topic, "partitions": numbers} for topic, numbers in topics.items()]
    return {
        "member_id": member.member_id,
        "group_instance_id": member.group_instance_id,
        "client_id": member.client_id,
        "client_host": member.host,
        "member_assignment": {"assigned_partitions": assigned},
    }
