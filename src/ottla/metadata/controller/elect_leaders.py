"""ElectLeaders: give a partition back to its preferred leader, or to whoever is left."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from ottla.metadata.controller.decision import Decision
from ottla.metadata.image import NO_LEADER, ClusterImage, PartitionImage
from ottla.metadata.records import PartitionChanged
from ottla.wire.errors import ErrorCode, ProtocolError


class ElectionType(IntEnum):
    """What is asked for, numbered as in the protocol."""

    PREFERRED = 0
    UNCLEAN = 1


ElectLeadersReply = list[tuple[str, int, ProtocolError | None]]


def decide_elect_leaders(
    image: ClusterImage,
    election_type: int,
    partitions: Sequence[tuple[str, int]] | None,
) -> Decision[ElectLeadersReply]:
    """Change leaders where that is needed and possible.

    Args:
        election_type: The number from the request.
        partitions: Topics and partition numbers; None is all partitions, of which those that need
            no election are left out of the reply.

    Returns:
        For each partition, None or why not.

    Raises:
        ProtocolError: INVALID_REQUEST, if there is no such type of election.
    """
    if election_type not in (ElectionType.PREFERRED, ElectionType.UNCLEAN):
        raise ProtocolError(ErrorCode.INVALID_REQUEST, f"Unknown election type {election_type}")
    kind = ElectionType(election_type)
    wanted = _all_partitions(image) if partitions is None else list(dict.fromkeys(partitions))
    active = {broker.broker_id for broker in image.active_brokers()}
    records: list[PartitionChanged] = []
    reply: ElectLeadersReply = []
    for name, index in wanted:
        try:
            topic = image.topics.get(name)
            if topic is None:
                raise _unknown(f"No such topic as {name}")
            if not 0 <= index < len(topic.partitions):
                raise _unknown(f"No such partition as {name}-{index}")
            elected = _elect(topic.partitions[index], kind, active)
            records.append(PartitionChanged(topic.topic_id, index, elected))
            reply.append((name, index, None))
        except ProtocolError as error:
            if partitions is not None or error.code is not ErrorCode.ELECTION_NOT_NEEDED:
                reply.append((name, index, error))
    return Decision(tuple(records), reply)


def _all_partitions(image: ClusterImage) -> list[tuple[str, int]]:
    return [
        (topic.name, index)
        for topic in image.topics.values()
        for index in range(len(topic.partitions))
    ]


def _elect(partition: PartitionImage, kind: ElectionType, active: set[int]) -> PartitionImage:
    isr = partition.isr
    if kind is ElectionType.PREFERRED:
        leader = partition.preferred_leader
        if partition.leader == leader:
            raise ProtocolError(ErrorCode.ELECTION_NOT_NEEDED)
        if leader not in isr or leader not in active:
            raise ProtocolError(ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE)
    else:
        if partition.leader != NO_LEADER:
            raise ProtocolError(ErrorCode.ELECTION_NOT_NEEDED)
        in_sync = [replica for replica in partition.replicas if replica in isr]
        candidates = [replica for replica in (*in_sync, *partition.replicas) if replica in active]
        if not candidates:
            raise ProtocolError(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE)
        leader = candidates[0]
        if leader not in isr:
            # What the others have beyond the new leader's log is given up with this.
            isr = (leader,)
    return partition._replace(
        isr=isr,
        leader=leader,
        leader_epoch=partition.leader_epoch + 1,
        partition_epoch=partition.partition_epoch + 1,
    )


def _unknown(message: str) -> ProtocolError:
    return ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message)
