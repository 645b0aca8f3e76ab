"""Groups of the Streams protocol (KIP-1071): topology, members, tasks."""

from __future__ import annotations

from typing import NamedTuple

from ottla.client.enumerations import AclOperation
from ottla.client.values import Node


class StreamsTask(NamedTuple):
    """A task: a subtopology and one partition of its sources."""

    subtopology_id: str
    partition: int


class StreamsAssignment(NamedTuple):
    """The tasks of a member by its role in them."""

    active: list[StreamsTask]
    standby: list[StreamsTask]
    warmup: list[StreamsTask]


class StreamsSubtopology(NamedTuple):
    """A part of a topology that runs on its own.

    Attributes:
        subtopology_id: its id.
        source_topics: topics it reads.
        repartition_sink_topics: internal topics it writes to.
        state_changelog_topics: internal topics that back its state.
        repartition_source_topics: internal topics it reads.
    """

    subtopology_id: str
    source_topics: list[str]
    repartition_sink_topics: list[str]
    state_changelog_topics: list[str]
    repartition_source_topics: list[str]


class StreamsMemberDescription(NamedTuple):
    """A member of a Streams group.

    Attributes:
        member_id: the id the coordinator knows it by.
        member_epoch: the epoch it has reached.
        instance_id: its ``group.instance.id``, if it is a static member.
        rack_id: its rack, if it has one.
        client_id: its ``client.id``.
        host: where it connects from.
        topology_epoch: the epoch of the topology it runs.
        process_id: the process it runs in, which members may share.
        client_tags: tags for the placing of standby tasks.
        assignment: its tasks.
        target_assignment: the tasks it is to have.
        is_classic: it speaks the classic protocol.
    """

    member_id: str
    member_epoch: int
    instance_id: str | None
    rack_id: str | None
    client_id: str
    host: str
    topology_epoch: int
    process_id: str
    client_tags: dict[str, str]
    assignment: StreamsAssignment
    target_assignment: StreamsAssignment
    is_classic: bool


class StreamsGroupDescription(NamedTuple):
    """What ``describe_streams_groups`` answers for one group.

    Attributes:
        group_id: its id.
        state: what it is doing, as the broker names it.
        group_epoch: counts changes of members and topology.
        target_assignment_epoch: the group epoch that the target assignment was made for.
        topology_epoch: the epoch of the topology, None if there is none yet.
        subtopologies: the topology's parts.
        members: its members.
        coordinator: the broker that coordinates it.
        authorized_operations: what this client may do with it, None if that was not asked for.
    """

    group_id: str
    state: str
    group_epoch: int
    target_assignment_epoch: int
    topology_epoch: int | None
    subtopologies: list[StreamsSubtopology]
    members: list[StreamsMemberDescription]
    coordinator: Node
    authorized_operations: list[AclOperation] | None
