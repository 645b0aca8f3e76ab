"""Groups of the Streams protocol: described (KIP-1071). Listed and deleted as other groups are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ottla.client.admin.streams_groups import (
    StreamsAssignment,
    StreamsGroupDescription,
    StreamsMemberDescription,
    StreamsSubtopology,
    StreamsTask,
)
from ottla.client.core.admin.call import Call, Operation, Outcomes, ask_all
from ottla.client.core.admin.checks import flag
from ottla.client.core.admin.outcomes import error_of, operations
from ottla.client.core.admin.routes import Coordinators
from ottla.client.errors import KafkaError
from ottla.client.values import Node
from ottla.wire.api.k89_streams_group_describe import (
    DescribedStreamsGroup,
    DescribedStreamsMember,
    DescribedSubtopology,
    StreamsGroupDescribeRequest,
    StreamsGroupDescribeResponse,
    TaskAssignment,
    TaskIds,
)


def describe_streams_groups(
    group_ids: Collection[str], *, include_authorized_operations: bool
) -> Operation[Outcomes[str, StreamsGroupDescription]]:
    """Describe Streams groups."""
    flag(include_authorized_operations, "include_authorized_operations")
    route = Coordinators()

    def request(keys: Sequence[str]) -> StreamsGroupDescribeRequest:
        return StreamsGroupDescribeRequest(
            group_ids=list(keys), include_authorized_operations=include_authorized_operations
        )

    def read(
        answer: StreamsGroupDescribeResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, StreamsGroupDescription | KafkaError]]:
        for group in answer.groups:
            error = error_of(group.error_code, group.error_message)
            yield group.group_id, error or _description(group, route.node(group.group_id))

    return ask_all(Call(group_ids, route, request, StreamsGroupDescribeResponse, read))


def _description(group: DescribedStreamsGroup, coordinator: Node) -> StreamsGroupDescription:
    topology = group.topology
    subtopologies = () if topology is None else topology.subtopologies or ()
    return StreamsGroupDescription(
        group.group_id,
        group.group_state,
        group.group_epoch,
        group.assignment_epoch,
        None if topology is None else topology.epoch,
        [_subtopology(subtopology) for subtopology in subtopologies],
        [_member(member) for member in group.members],
        coordinator,
        operations(group.authorized_operations),
    )


def _subtopology(subtopology: DescribedSubtopology) -> StreamsSubtopology:
    return StreamsSubtopology(
        subtopology.subtopology_id,
        list(subtopology.source_topics),
        list(subtopology.repartition_sink_topics),
        [topic.name for topic in subtopology.state_changelog_topics],
        [topic.name for topic in subtopology.repartition_source_topics],
    )


def _member(member: DescribedStreamsMember) -> StreamsMemberDescription:
    return StreamsMemberDescription(
        member.member_id,
        member.member_epoch,
        member.instance_id,
        member.rack_id,
        member.client_id,
        member.client_host,
        member.topology_epoch,
        member.process_id,
        {tag.key: tag.value for tag in member.client_tags},
        _assignment(member.assignment),
        _assignment(member.target_assignment),
        member.is_classic,
    )


def _assignment(assignment: TaskAssignment) -> StreamsAssignment:
    return StreamsAssignment(
        _tasks(assignment.active_tasks),
        _tasks(assignment.standby_tasks),
        _tasks(assignment.warmup_tasks),
    )


def _tasks(tasks: Iterable[TaskIds]) -> list[StreamsTask]:
    return [StreamsTask(task.subtopology_id, n) for task in tasks for n in task.partitions]
