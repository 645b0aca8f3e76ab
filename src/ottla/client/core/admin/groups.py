"""Groups of consumers: listed, described, deleted, and rid of members."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ottla.client.admin.clusters import BrokerMetadata, GroupMember, GroupMetadata
from ottla.client.admin.groups import (
    ConsumerGroupDescription,
    ConsumerGroupListing,
    GroupListing,
    ListConsumerGroupsResult,
    MemberAssignment,
    MemberDescription,
)
from ottla.client.core.admin.brokers import itself, live_brokers
from ottla.client.core.admin.call import (
    Call,
    Operation,
    Outcomes,
    ask_all,
    deferring_refusals,
    split,
)
from ottla.client.core.admin.checks import all_are, flag, refuse_duplicates
from ottla.client.core.admin.outcomes import error_of, operations, outcome
from ottla.client.core.admin.routes import TIMED_OUT, Coordinators, Request
from ottla.client.enumerations import ConsumerGroupState, ConsumerGroupType
from ottla.client.errors import KafkaError, KafkaException, describe
from ottla.client.values import Node, TopicPartition
from ottla.wire.api.k15_describe_groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from ottla.wire.api.k16_list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse
from ottla.wire.api.k42_delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from ottla.wire.api.k69_consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedAssignment,
    DescribedConsumer,
    DescribedConsumerGroup,
)
from ottla.wire.consumer_protocol import PROTOCOL_TYPE, decode_assignment
from ottla.wire.errors import ErrorCode, Malformed, Truncated

_STATES = {
    "preparingrebalance": ConsumerGroupState.PREPARING_REBALANCING,
    "completingrebalance": ConsumerGroupState.COMPLETING_REBALANCING,
    "stable": ConsumerGroupState.STABLE,
    "dead": ConsumerGroupState.DEAD,
    "empty": ConsumerGroupState.EMPTY,
}
_STATE_NAMES = {
    ConsumerGroupState.UNKNOWN: "Unknown",
    ConsumerGroupState.PREPARING_REBALANCING: "PreparingRebalance",
    ConsumerGroupState.COMPLETING_REBALANCING: "CompletingRebalance",
    ConsumerGroupState.STABLE: "Stable",
    ConsumerGroupState.DEAD: "Dead",
    ConsumerGroupState.EMPTY: "Empty",
}
_TYPES = {"consumer": ConsumerGroupType.CONSUMER, "classic": ConsumerGroupType.CLASSIC}
_TYPE_NAMES = {ConsumerGroupType.CONSUMER: "Consumer", ConsumerGroupType.CLASSIC: "Classic"}
# Groups of another kind, and brokers without consumer groups of the new protocol.
_NOT_OF_THE_NEW_PROTOCOL = frozenset(
    {
        ErrorCode.GROUP_ID_NOT_FOUND,
        ErrorCode.UNSUPPORTED_VERSION,
        KafkaError._UNSUPPORTED_FEATURE,
    }
)
# From version 6 on a group that does not exist is an error, not a dead group.
_LAST_WITH_DEAD_GROUPS = 5
# The first version of DescribeGroups that tells what one may do with the group.
_TELLS_RIGHTS_FROM = 3


def list_consumer_groups(
    states: set[ConsumerGroupState] | None, types: set[ConsumerGroupType] | None
) -> Operation[ListConsumerGroupsResult]:
    """The consumer groups of all brokers; those that could not be asked are among the errors."""
    _check_filter(states, "states", ConsumerGroupState)
    _check_filter(types, "types", ConsumerGroupType)
    if ConsumerGroupType.UNKNOWN in (types or ()):
        raise ValueError("UNKNOWN type is not allowed")
    return _consumer_groups(
        [_STATE_NAMES[state] for state in states or ()], [_TYPE_NAMES[kind] for kind in types or ()]
    )


def _check_filter(members: Any, name: str, kind: type[Any]) -> None:
    if members is None:
        return
    if not isinstance(members, set):
        raise TypeError(f"'{name}' must be a set")
    if not all(isinstance(member, kind) for member in members):
        raise TypeError(f"All elements of {name} must be of type {kind.__name__}")


def _consumer_groups(
    states: Collection[str], types: Collection[str]
) -> Operation[ListConsumerGroupsResult]:
    found, errors = yield from listed_groups(states, types)
    valid = [
        ConsumerGroupListing(
            group.group_id,
            is_simple_consumer_group=not group.protocol_type,
            state=state_of(group.group_state),
            type=type_of(group.group_type),
        )
        for group in found
        if group.protocol_type in ("", PROTOCOL_TYPE)
    ]
    return ListConsumerGroupsResult(valid, errors)


def listed_groups(
    states: Collection[str] = (),
    types: Collection[str] = (),
) -> Operation[tuple[list[ListedGroup], list[KafkaError]]]:
    """The groups of all brokers as they list them, and the errors of those that did not."""

    def request(_: Sequence[int]) -> ListGroupsRequest:
        return ListGroupsRequest(states_filter=sorted(states), types_filter=sorted(types))

    def read(
        answer: ListGroupsResponse, keys: Sequence[int]
    ) -> Iterable[tuple[int, list[ListedGroup] | KafkaError]]:
        yield keys[0], outcome(answer.error_code, None, list(answer.groups))

    try:
        brokers = yield from live_brokers()
    except KafkaException as exception:
        return [], [exception.args[0]]
    # Older brokers can't filter: better no answer than one that says too much.
    at_least = 5 if types else 4 if states else 0
    groups: list[ListedGroup] = []
    errors: list[KafkaError] = []
    outcomes = yield from ask_all(
        Call(brokers, itself(TIMED_OUT), request, ListGroupsResponse, read, at_least=at_least)
    )
    for found in outcomes.values():
        if isinstance(found, KafkaError):
            errors.append(found)
        else:
            groups += found
    return groups, errors


def list_all_groups(
    states: Collection[str], types: Collection[str], protocol_types: Collection[str]
) -> Operation[list[GroupListing]]:
    """The groups of every kind.

    Raises:
        KafkaException: a broker could not be asked.
    """
    found, errors = yield from listed_groups(states, types)
    if errors:
        raise KafkaException(errors[0])
    return [
        GroupListing(g.group_id, g.protocol_type, g.group_state, g.group_type)
        for g in found
        if not protocol_types or g.protocol_type in protocol_types
    ]


def state_of(name: str) -> ConsumerGroupState:
    """A state by the broker's name for it."""
    return _STATES.get(name.lower(), ConsumerGroupState.UNKNOWN)


def type_of(name: str) -> ConsumerGroupType:
    """A type by the broker's name for it."""
    return _TYPES.get(name.lower(), ConsumerGroupType.UNKNOWN)


@deferring_refusals
def describe_consumer_groups(
    group_ids: list[str], *, include_authorized_operations: bool
) -> Operation[Outcomes[str, ConsumerGroupDescription]]:
    """Describe consumer groups, of the new protocol (KIP-848) or else of the classic one."""
    if not isinstance(group_ids, list):
        raise TypeError("Expected input to be list of group ids to be described")
    if not group_ids:
        raise ValueError("Expected at least one group to be described")
    flag(include_authorized_operations, "include_authorized_operations")
    for group_id in group_ids:
        if group_id is None:
            raise ValueError("Expected list of group strings, not NoneType")
    names = [str(group_id) for group_id in group_ids]
    refuse_duplicates(names, "groups")
    return _described(names, include_authorized_operations)


def _described(
    group_ids: list[str], include_authorized_operations: bool
) -> Operation[Outcomes[str, ConsumerGroupDescription]]:
    route = Coordinators()
    found = yield from ask_all(_consumer_protocol(group_ids, route, include_authorized_operations))
    _, errors = split(found)
    classic = [group for group, error in errors.items() if error.code() in _NOT_OF_THE_NEW_PROTOCOL]
    if classic:
        found |= yield from ask_all(_classic(classic, route, include_authorized_operations))
    return found


def _consumer_protocol(
    group_ids: Iterable[str], route: Coordinators, include_authorized_operations: bool
) -> Call[str, ConsumerGroupDescription]:
    def request(keys: Sequence[str]) -> ConsumerGroupDescribeRequest:
        return ConsumerGroupDescribeRequest(
            group_ids=list(keys), include_authorized_operations=include_authorized_operations
        )

    def read(
        answer: ConsumerGroupDescribeResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, ConsumerGroupDescription | KafkaError]]:
        for group in answer.groups:
            error = error_of(group.error_code, group.error_message)
            yield group.group_id, error or _consumer_group(group, route.node(group.group_id))

    return Call(group_ids, route, request, ConsumerGroupDescribeResponse, read)


def _consumer_group(group: DescribedConsumerGroup, coordinator: Node) -> ConsumerGroupDescription:
    description = ConsumerGroupDescription(
        group.group_id,
        is_simple_consumer_group=False,
        members=[_consumer(member) for member in group.members],
        partition_assignor=group.assignor_name,
        state=state_of(group.group_state),
        coordinator=coordinator,
        authorized_operations=operations(group.authorized_operations),
        type=ConsumerGroupType.CONSUMER,
    )
    description.state_name = group.group_state
    description.group_epoch = group.group_epoch
    description.target_assignment_epoch = group.assignment_epoch
    return description


def _consumer(member: DescribedConsumer) -> MemberDescription:
    description = MemberDescription(
        member.member_id,
        member.client_id,
        member.client_host,
        MemberAssignment(partitions_of(member.assignment)),
        member.instance_id,
        MemberAssignment(partitions_of(member.target_assignment)),
    )
    description.rack_id = member.rack_id
    description.member_epoch = member.member_epoch
    description.subscribed_topics = list(member.subscribed_topic_names)
    description.subscribed_topic_regex = member.subscribed_topic_regex
    description.is_classic = None if member.member_type < 0 else member.member_type == 0
    return description


def partitions_of(assignment: DescribedAssignment) -> list[TopicPartition]:
    """The partitions of an assignment."""
    return [
        TopicPartition(topic.topic_name, number)
        for topic in assignment.topic_partitions
        for number in topic.partitions
    ]


def _classic(
    group_ids: Iterable[str], route: Coordinators, include_authorized_operations: bool
) -> Call[str, ConsumerGroupDescription]:
    def request(keys: Sequence[str]) -> Request:
        return lambda version: DescribeGroupsRequest(
            groups=list(keys),
            include_authorized_operations=(
                include_authorized_operations and version >= _TELLS_RIGHTS_FROM
            ),
        )

    def read(
        answer: DescribeGroupsResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, ConsumerGroupDescription | KafkaError]]:
        for group in answer.groups:
            error = _classic_error(group)
            yield group.group_id, error or _classic_group(group, route.node(group.group_id))

    return Call(
        group_ids,
        route,
        request,
        DescribeGroupsResponse,
        read,
        at_most=_LAST_WITH_DEAD_GROUPS,
    )


def _classic_error(group: DescribedGroup) -> KafkaError | None:
    if group.error_code != ErrorCode.NONE:
        text = f"DescribeConsumerGroups: {describe(group.error_code)}"
        return KafkaError(group.error_code, text)
    if group.protocol_type in ("", PROTOCOL_TYPE):
        return None
    text = f"GroupId {group.group_id} is not a consumer group ({group.protocol_type})."
    return KafkaError(KafkaError._INVALID_ARG, text)


def _classic_group(group: DescribedGroup, coordinator: Node) -> ConsumerGroupDescription:
    description = ConsumerGroupDescription(
        group.group_id,
        is_simple_consumer_group=not group.protocol_type,
        members=[_classic_member(member) for member in group.members],
        partition_assignor=group.protocol_data,
        state=state_of(group.group_state),
        coordinator=coordinator,
        authorized_operations=operations(group.authorized_operations),
        type=ConsumerGroupType.CLASSIC,
    )
    description.state_name = group.group_state
    return description


def _classic_member(member: DescribedGroupMember) -> MemberDescription:
    return MemberDescription(
        member.member_id,
        member.client_id,
        member.client_host,
        MemberAssignment(_assigned(member.member_assignment)),
        member.group_instance_id,
    )


def _assigned(data: bytes | memoryview) -> list[TopicPartition]:
    """A member's partitions; what another client wrote there need not make sense."""
    if not data:
        return []
    try:
        assignment = decode_assignment(data)
    except (Malformed, Truncated):
        return []
    return [
        TopicPartition(topic.topic, number)
        for topic in assignment.assigned_partitions
        for number in topic.partitions
    ]


@deferring_refusals
def delete_consumer_groups(group_ids: list[str]) -> Operation[Outcomes[str, None]]:
    """Delete empty groups with their offsets."""
    if not isinstance(group_ids, list):
        raise TypeError("Expected input to be list of group ids to be deleted")
    if not group_ids:
        raise ValueError("Expected at least one group to be deleted")
    all_are(group_ids, str)
    refuse_duplicates(group_ids, "groups")

    def request(keys: Sequence[str]) -> DeleteGroupsRequest:
        return DeleteGroupsRequest(groups_names=list(keys))

    def read(
        answer: DeleteGroupsResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, KafkaError | None]]:
        return ((g.group_id, outcome(g.error_code, None, None)) for g in answer.results)

    return ask_all(Call(group_ids, Coordinators(), request, DeleteGroupsResponse, read))


def list_groups(group: str | None) -> Operation[list[GroupMetadata]]:
    """What the deprecated ``list_groups`` answers: one group or all, of any protocol type."""
    listed, errors = yield from listed_groups()
    if errors and not listed:
        raise KafkaException(errors[0])
    wanted = [found.group_id for found in listed if group is None or found.group_id == group]
    groups, failed = split((yield from describe_classic_groups(wanted)))
    if failed and not groups:
        raise KafkaException(next(iter(failed.values())))
    return list(groups.values())


def describe_classic_groups(
    group_ids: Collection[str],
) -> Operation[Outcomes[str, GroupMetadata]]:
    """Describe groups of the classic protocol, whatever their protocol type."""
    route = Coordinators()

    def request(keys: Sequence[str]) -> DescribeGroupsRequest:
        return DescribeGroupsRequest(groups=list(keys))

    def read(
        answer: DescribeGroupsResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, GroupMetadata | KafkaError]]:
        for described in answer.groups:
            group = _group_metadata(described, route.node(described.group_id))
            yield described.group_id, group

    response = DescribeGroupsResponse
    return ask_all(Call(group_ids, route, request, response, read, at_most=_LAST_WITH_DEAD_GROUPS))


def _group_metadata(described: DescribedGroup, coordinator: Node) -> GroupMetadata:
    group = GroupMetadata()
    group.broker = BrokerMetadata()
    group.broker.id, group.broker.host = coordinator.id, coordinator.host
    group.broker.port = coordinator.port
    group.id = described.group_id
    group.error = error_of(described.error_code)
    group.state = described.group_state
    group.protocol_type, group.protocol = described.protocol_type, described.protocol_data
    group.members = [_group_member(member) for member in described.members]
    return group


def _group_member(described: DescribedGroupMember) -> GroupMember:
    member = GroupMember()
    member.id = described.member_id
    member.client_id, member.client_host = described.client_id, described.client_host
    member.metadata = bytes(described.member_metadata)
    member.assignment = bytes(described.member_assignment)
    return member
