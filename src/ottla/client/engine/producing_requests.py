"""Produce requests and answers on the wire."""

from __future__ import annotations

from collections.abc import Sequence

from ottla.client.core.cluster import Broker, ClusterView
from ottla.client.core.producing.sender import Answer, Request
from ottla.client.errors import KafkaError
from ottla.records.compression import Codec
from ottla.wire.api.k00_produce import (
    PartitionToProduce,
    ProducedPartition,
    ProduceRequest,
    ProduceResponse,
    TopicToProduce,
)
from ottla.wire.declare import Buffer

PRODUCE = 0
# Topics by name: with version 13 a topic made anew under its name would not be written to.
MAX_VERSION = 12
# The last version that does not add partitions to the transaction by itself (KIP-890).
MAX_VERSION_BEFORE_V2_TRANSACTIONS = 11
_MIN_VERSION_BY_CODEC = {Codec.ZSTD: 7}


class ProduceSettings:
    """What every Produce request of a producer says, and how its batches are sealed."""

    __slots__ = ("acks", "codec", "is_transactional", "level", "timeout_ms", "transactional_id")

    def __init__(
        self,
        *,
        acks: int,
        timeout_ms: int,
        transactional_id: str | None,
        compression_type: str,
        compression_level: int,
    ) -> None:
        self.acks = acks
        self.timeout_ms = timeout_ms
        self.transactional_id = transactional_id
        self.is_transactional = transactional_id is not None
        self.codec = Codec[compression_type.upper()]
        self.level = None if compression_level < 0 else compression_level

    @property
    def min_version(self) -> int:
        """The first version that can carry the batches."""
        return _MIN_VERSION_BY_CODEC.get(self.codec, 3)


def encode_produce(request: Request, settings: ProduceSettings, version: int) -> Sequence[Buffer]:
    """Seal the batches; the request's body, the batches' own memory between the rest."""
    topics: dict[str, list[PartitionToProduce]] = {}
    for (topic, number), (_, pending) in request.attempts.items():
        batch = pending.batch
        batch.seal(
            *pending.identity,
            pending.base_sequence,
            settings.is_transactional,
            int(settings.codec),
            settings.level,
        )
        part = PartitionToProduce(index=number, records=batch)
        topics.setdefault(topic, []).append(part)
    message = ProduceRequest(
        transactional_id=settings.transactional_id,
        acks=settings.acks,
        timeout_ms=settings.timeout_ms,
        topic_data=[
            TopicToProduce(name=topic, partition_data=parts) for topic, parts in topics.items()
        ],
    )
    return [
        part if isinstance(part, bytes) else part.wire()  # type: ignore[attr-defined]
        for part in message.encode_parts(version)
    ]


def read_answers(response: ProduceResponse, cluster: ClusterView) -> dict[tuple[str, int], Answer]:
    """What a response says of each partition; the cluster learns of new leaders (KIP-951)."""
    brokers = [
        Broker(node.node_id, node.host, node.port, node.rack) for node in response.node_endpoints
    ]
    answers = {}
    for topic in response.responses:
        for partition in topic.partition_responses:
            answers[topic.name, partition.index] = _answer(topic.name, partition, brokers, cluster)
    return answers


def _answer(
    topic: str, partition: ProducedPartition, brokers: list[Broker], cluster: ClusterView
) -> Answer:
    if partition.error_code == 0:
        return Answer(None, partition.base_offset, partition.log_append_time_ms)
    leader = partition.current_leader
    knows_leader = leader is not None and cluster.learn_leader(
        topic, partition.index, leader.leader_id, leader.leader_epoch, brokers
    )
    return Answer(KafkaError(partition.error_code), knows_leader=knows_leader)
