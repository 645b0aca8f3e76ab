"""How fast partitions may move: settings of brokers and topics for as long as they do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ottla.cli.kafka.cluster import CONTROLLER, Cluster, Target
from ottla.cli.kafka.errors import check
from ottla.cli.kafka.partition_offsets import Partition
from ottla.cli.kafka.reassignments import throttled_replicas
from ottla.cli.kafka.topic_queries import live_brokers
from ottla.wire.api.k44_incremental_alter_configs import (
    ConfigChange,
    IncrementalAlterConfigsRequest,
    ResourceToAlter,
)

_TOPIC, _BROKER = 2, 4
_SET, _DELETE = 0, 1
_LEADERS, _FOLLOWERS = "leader.replication.throttled", "follower.replication.throttled"
_DIRECTORIES = "replica.alter.log.dirs.io.max.bytes.per.second"
_OF_BROKERS = (f"{_LEADERS}.rate", f"{_FOLLOWERS}.rate", _DIRECTORIES)
_OF_TOPICS = (f"{_LEADERS}.replicas", f"{_FOLLOWERS}.replicas")


async def throttle_replication(
    cluster: Cluster,
    wanted: Mapping[Partition, Sequence[int]],
    current: Mapping[Partition, Sequence[int]],
    bytes_per_second: int,
) -> None:
    """Limit what the moves from ``current`` to ``wanted`` may take."""
    brokers = {b for each in (*wanted.values(), *current.values()) for b in each}
    rate = str(bytes_per_second)
    resources = [_resource(_BROKER, str(b), dict.fromkeys(_OF_BROKERS[:2], rate)) for b in brokers]
    resources += [
        _resource(_TOPIC, topic, dict(zip(_OF_TOPICS, listed, strict=True)))
        for topic, listed in throttled_replicas(wanted, current).items()
    ]
    await _alter(cluster, resources)


async def throttle_log_directories(
    cluster: Cluster, brokers: Iterable[int], bytes_per_second: int
) -> None:
    """Limit what moves between the directories of brokers may take."""
    changes = {_DIRECTORIES: str(bytes_per_second)}
    await _alter(cluster, [_resource(_BROKER, str(broker), changes) for broker in brokers])


async def clear_throttles(cluster: Cluster, wanted: Mapping[Partition, Sequence[int]]) -> None:
    """Take all limits away: who was limited once can't be told any more."""
    brokers = sorted({*await live_brokers(cluster), *(b for each in wanted.values() for b in each)})
    topics = sorted({topic for topic, _ in wanted})
    plural = "" if len(brokers) == 1 else "s"
    print(f"Clearing broker-level throttles on broker{plural} {','.join(map(str, brokers))}")
    await _alter(
        cluster, [_resource(_BROKER, str(b), dict.fromkeys(_OF_BROKERS, None)) for b in brokers]
    )
    plural = "" if len(topics) == 1 else "s"
    print(f"Clearing topic-level throttles on topic{plural} {','.join(topics)}")
    await _alter(
        cluster, [_resource(_TOPIC, each, dict.fromkeys(_OF_TOPICS, None)) for each in topics]
    )


def _resource(kind: int, name: str, changes: Mapping[str, str | None]) -> ResourceToAlter:
    return ResourceToAlter(
        resource_type=kind,
        resource_name=name,
        configs=[
            ConfigChange(name=key, config_operation=_DELETE if text is None else _SET, value=text)
            for key, text in changes.items()
        ],
    )


async def _alter(cluster: Cluster, resources: list[ResourceToAlter]) -> None:
    """Every broker takes its own settings only; those of topics, any of them."""
    by_target: dict[Target, list[ResourceToAlter]] = defaultdict(list)
    for each in resources:
        is_broker = each.resource_type == _BROKER
        target: Target = int(each.resource_name) if is_broker else CONTROLLER
        by_target[target].append(each)
    for whom, own in by_target.items():
        request = IncrementalAlterConfigsRequest(resources=own, validate_only=False)
        for altered in (await cluster.ask(request, whom)).responses:
            check(altered.error_code, altered.error_message)
