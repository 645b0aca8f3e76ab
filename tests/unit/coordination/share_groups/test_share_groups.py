"""Share groups: who is a member, what members read, which partitions have state."""

from __future__ import annotations

import uuid

import pytest

from ottla.coordination.groups.commands import ClientContext, DeleteGroups, ListGroups
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.groups.shard import GroupShard
from ottla.coordination.share_groups import commands
from ottla.coordination.share_groups.assignor import TopicPartitionId
from ottla.coordination.share_groups.group import ShareGroup
from ottla.metadata.image import EMPTY_IMAGE, ConfigResource, PartitionImage, ResourceType
from ottla.metadata.records import ConfigChanged, PartitionChanged, TopicCreated
from ottla.testing.shard_runtime import ShardRuntime
from ottla.wire.api.k16_list_groups import ListGroupsRequest
from ottla.wire.api.k42_delete_groups import DeleteGroupsRequest
from ottla.wire.api.k76_share_group_heartbeat import ShareGroupHeartbeatRequest
from ottla.wire.api.k77_share_group_describe import ShareGroupDescribeRequest
from ottla.wire.errors import ErrorCode

ORDERS, PAYMENTS = uuid.UUID(int=1), uuid.UUID(int=2)


def topic(name, topic_id, count):
    partition = PartitionImage((1,), (1,), 1, 0, 0, (uuid.UUID(int=9),))
    changes = [PartitionChanged(topic_id, index, partition) for index in range(count)]
    return [TopicCreated(name, topic_id), *changes]


class Desk:
    """Asks one shard in Python's terms."""

    def __init__(self, **settings):
        self.image = EMPTY_IMAGE.apply(
            [*topic("orders", ORDERS, 4), *topic("payments", PAYMENTS, 1)]
        )
        self.replies = []
        known = GroupSettings(**{"share_assignment_interval_ms": 0, **settings})
        self.runtime = ShardRuntime(
            lambda: GroupShard(known, lambda: self.image), self.replies.append
        )

    def ask(self, command):
        self.runtime.submit(command)
        return self.replies.pop().response

    def heartbeat(self, member, epoch, topics=None, **fields):
        """The response, and what it asks to be initialized; which then happens."""
        request = ShareGroupHeartbeatRequest(
            group_id="g",
            member_id=member,
            member_epoch=epoch,
            subscribed_topic_names=topics,
            **fields,
        )
        context = ClientContext("client", "/127.0.0.1")
        reply = self.ask(commands.ShareGroupHeartbeat("token", request, 1, context))
        if reply.to_initialize:
            self.initialized(reply.to_initialize)
        return reply.response

    def initialized(self, partitions):
        assert self.ask(commands.PartitionsInitialized("token", "g", partitions)) is None

    def join(self, member, *topics):
        """Joins, and comes back until it has read of every partition it is to read."""
        response = self.heartbeat(member, 0, list(topics))
        assert response.error_code == 0
        return self.heartbeat(member, response.member_epoch)

    @property
    def group(self):
        group = self.runtime.shard.groups.get("g")
        assert group is None or isinstance(group, ShareGroup)
        return group

    def reading(self):
        """What each member was told to read."""
        return {
            member.member_id: sorted(
                (each.topic_id.int, each.partition) for each in member.assigned
            )
            for member in self.group.members.values()
        }


def partitions(response):
    return {each.topic_id: each.partitions for each in response.assignment.topic_partitions}


def test_partitions_are_assigned_once_they_have_state():
    desk = Desk()
    first = desk.heartbeat("a", 0, ["orders"])
    assert (first.error_code, first.heartbeat_interval_ms) == (0, 5_000)
    assert partitions(first) == {}
    second = desk.heartbeat("a", first.member_epoch)
    assert partitions(second) == {ORDERS: [0, 1, 2, 3]}
    third = desk.heartbeat("a", second.member_epoch)
    assert third.assignment is None
    assert third.member_epoch == second.member_epoch > first.member_epoch


def test_members_share_the_partitions_of_a_topic():
    desk = Desk()
    desk.join("a", "orders")
    desk.join("b", "orders")
    desk.heartbeat("a", desk.group.members["a"].epoch)
    assert desk.reading() == {"a": [(1, 0), (1, 1)], "b": [(1, 2), (1, 3)]}


def test_more_members_than_partitions_read_the_same_one():
    desk = Desk()
    for member in "abc":
        desk.join(member, "payments")
    assert desk.reading() == {member: [(2, 0)] for member in "abc"}


def test_the_partitions_of_a_member_that_leaves_go_to_the_others():
    desk = Desk()
    desk.join("a", "orders")
    desk.join("b", "orders")
    left = desk.heartbeat("a", -1)
    assert (left.error_code, left.member_epoch) == (0, -1)
    desk.heartbeat("b", desk.group.members["b"].epoch)
    assert desk.reading() == {"b": [(1, 0), (1, 1), (1, 2), (1, 3)]}


def test_a_silent_member_is_removed():
    desk = Desk()
    desk.join("a", "orders")
    desk.runtime.advance_to(44_999)
    assert desk.group.has_members
    desk.runtime.advance_to(45_000)
    assert not desk.group.has_members
    assert desk.heartbeat("a", 2).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_the_groups_own_session_timeout_counts_within_the_brokers_limits():
    desk = Desk()
    resource = ConfigResource(ResourceType.GROUP, "g")
    desk.image = desk.image.apply(
        [ConfigChanged(resource, {"share.session.timeout.ms": "99999999"})]
    )
    desk.join("a", "orders")
    desk.runtime.advance_to(59_999)
    assert desk.group.has_members
    desk.runtime.advance_to(60_000)
    assert not desk.group.has_members


def test_a_restart_forgets_nothing():
    desk = Desk()
    desk.join("a", "orders")
    desk.join("b", "orders", "payments")
    before = {name: getattr(desk.group, name) for name in ShareGroup.__slots__}
    desk.runtime.crash()
    assert {name: getattr(desk.group, name) for name in ShareGroup.__slots__} == before
    assert desk.heartbeat("a", before["members"]["a"].epoch).error_code == 0
    desk.runtime.advance_to(45_000)
    assert not desk.group.has_members


@pytest.mark.parametrize(
    ("member", "epoch", "topics", "code"),
    [
        ("", 0, ["orders"], ErrorCode.INVALID_REQUEST),
        ("a", 0, None, ErrorCode.INVALID_REQUEST),
        ("a", 0, [], ErrorCode.INVALID_REQUEST),
        ("a", -2, None, ErrorCode.INVALID_REQUEST),
        ("z", 1, None, ErrorCode.UNKNOWN_MEMBER_ID),
        ("z", -1, None, ErrorCode.UNKNOWN_MEMBER_ID),
        ("a", 99, None, ErrorCode.FENCED_MEMBER_EPOCH),
    ],
)
def test_heartbeats_that_make_no_sense_are_refused(member, epoch, topics, code):
    desk = Desk()
    desk.join("a", "orders")
    written = len(desk.runtime.log)
    assert desk.heartbeat(member, epoch, topics).error_code == code
    assert len(desk.runtime.log) == written


def test_nobody_can_stay_in_a_group_that_is_not_there():
    desk = Desk()
    assert desk.heartbeat("a", 1).error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert desk.heartbeat("a", -1).error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert desk.group is None


def test_the_epoch_before_is_accepted_because_an_answer_may_be_lost():
    desk = Desk()
    response = desk.join("a", "orders")
    previous = desk.group.members["a"].previous_epoch
    assert desk.heartbeat("a", previous).member_epoch == response.member_epoch


def test_a_member_may_join_again():
    desk = Desk()
    response = desk.join("a", "orders")
    again = desk.heartbeat("a", 0, ["orders"])
    assert (again.error_code, again.member_epoch) == (0, response.member_epoch)
    assert partitions(again) == {ORDERS: [0, 1, 2, 3]}


def test_a_group_is_not_larger_than_allowed():
    desk = Desk(max_share_group_members=2)
    desk.join("a", "orders")
    desk.join("b", "orders")
    assert desk.heartbeat("c", 0, ["orders"]).error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert desk.heartbeat("a", 0, ["orders"]).error_code == 0


def test_partitions_that_are_added_get_state_and_readers():
    desk = Desk()
    response = desk.join("a", "payments")
    desk.image = desk.image.apply([*topic("payments", PAYMENTS, 3)[1:]])
    response = desk.heartbeat("a", response.member_epoch)
    response = desk.heartbeat("a", response.member_epoch)
    assert partitions(response) == {PAYMENTS: [0, 1, 2]}


def test_a_changed_subscription_changes_what_is_read():
    desk = Desk()
    response = desk.join("a", "orders")
    response = desk.heartbeat("a", response.member_epoch, ["payments"])
    response = desk.heartbeat("a", response.member_epoch)
    assert desk.reading() == {"a": [(2, 0)]}


def test_describing_names_members_and_what_they_read():
    desk = Desk()
    desk.join("a", "orders")
    request = ShareGroupDescribeRequest(group_ids=["g", "x"], include_authorized_operations=False)
    found, missing = desk.ask(commands.ShareGroupDescribe("token", request, 1)).groups
    assert (found.group_state, found.assignor_name, found.error_code) == ("Stable", "simple", 0)
    assert found.group_epoch == found.assignment_epoch
    [member] = found.members
    [assigned] = member.assignment.topic_partitions
    assert (assigned.topic_name, assigned.partitions) == ("orders", [0, 1, 2, 3])
    assert (missing.error_code, missing.group_state) == (ErrorCode.GROUP_ID_NOT_FOUND, "Dead")


def test_groups_are_listed_and_deleted_like_others():
    desk = Desk()
    desk.join("a", "orders")
    listing = ListGroupsRequest(states_filter=[], types_filter=["share"])
    [listed] = desk.ask(ListGroups("token", listing, 5)).groups
    assert (listed.group_type, listed.protocol_type, listed.group_state) == (
        "share",
        "share",
        "Stable",
    )
    deletion = DeleteGroups("token", DeleteGroupsRequest(groups_names=["g"]), 2)
    assert desk.ask(deletion).results[0].error_code == ErrorCode.NON_EMPTY_GROUP
    desk.heartbeat("a", -1)
    assert desk.ask(deletion).results[0].error_code == 0
    desk.runtime.crash()
    assert desk.group is None


def test_offsets_begin_anew_with_an_epoch_of_their_own_while_the_group_is_empty():
    desk = Desk()
    begin = commands.BeginAlterOffsets("token", "g", {ORDERS: frozenset({0, 1})})
    desk.join("a", "orders")
    assert desk.ask(begin) is ErrorCode.NON_EMPTY_GROUP
    desk.heartbeat("a", -1)
    epoch = desk.group.epoch
    assert desk.ask(begin).state_epoch == epoch + 1
    desk.initialized({ORDERS: frozenset({0, 1})})
    assert desk.group.initializing == {}


def test_where_a_group_begins_can_be_said_before_its_first_member_comes():
    desk = Desk()
    begun = desk.ask(commands.BeginAlterOffsets("token", "g", {ORDERS: frozenset({0, 1})}))
    desk.initialized({ORDERS: frozenset({0, 1})})
    assert (begun.state_epoch, desk.group.has_members) == (1, False)
    assert desk.ask(commands.StatePartitions("token", "g")).partitions == {
        ORDERS: frozenset({0, 1})
    }
    assert desk.ask(commands.StatePartitions("token", "x")).partitions == {}


def test_state_is_deleted_in_two_steps_so_that_a_crash_between_them_is_remembered():
    desk = Desk()
    desk.join("a", "orders")
    desk.heartbeat("a", -1)
    found = desk.ask(commands.BeginDeleteOffsets("token", "g", [ORDERS, PAYMENTS]))
    assert found.partitions == {ORDERS: frozenset(range(4))}
    desk.runtime.crash()
    assert desk.group.deleting == {ORDERS: "orders"}
    again = desk.ask(commands.BeginDeleteOffsets("token", "g"))
    assert again.partitions == found.partitions
    desk.ask(commands.OffsetsDeleted("token", "g", [ORDERS]))
    assert (desk.group.deleting, desk.group.initialized) == ({}, {})
    found = desk.ask(commands.StatePartitions("token", "g"))
    assert found == commands.Found({})


def test_deleted_topics_are_forgotten():
    desk = Desk()
    desk.join("a", "orders", "payments")
    desk.runtime.submit(commands.ShareTopicsDeleted(frozenset({ORDERS})))
    assert list(desk.group.initialized) == [PAYMENTS]


def test_state_that_was_deleted_while_it_was_made_does_not_come_back():
    desk = Desk()
    desk.join("a", "orders")
    desk.heartbeat("a", -1)
    desk.ask(commands.BeginDeleteOffsets("token", "g", [ORDERS]))
    desk.initialized({ORDERS: frozenset({0})})
    assert desk.group.initialized == {}


def test_members_keep_their_partitions_when_others_come():
    desk = Desk()
    desk.join("a", "orders")
    before = desk.group.target["a"]
    desk.join("b", "orders")
    assert desk.group.target["a"] < before
    assert desk.group.target["a"] == {TopicPartitionId(ORDERS, 0), TopicPartitionId(ORDERS, 1)}


def test_members_that_come_one_after_the_other_share_the_next_assignment():
    desk = Desk(share_assignment_interval_ms=1_000)
    desk.runtime.now_ms = 1_000_000
    first = desk.join("a", "orders")
    assert len(desk.reading()["a"]) == 4, "the first gets its partitions at once"
    joined = desk.heartbeat("b", 0, ["orders"])
    assert joined.member_epoch == desk.group.assignment_epoch < desk.group.epoch
    assert joined.heartbeat_interval_ms == 500, "somebody has to come soon"
    assert desk.reading()["b"] == []
    desk.runtime.advance_to(desk.runtime.now_ms + 1_000)
    desk.heartbeat("b", joined.member_epoch)
    desk.heartbeat("a", first.member_epoch)
    assert desk.group.assignment_epoch == desk.group.epoch
    assert [len(read) for read in desk.reading().values()] == [2, 2]


def test_a_group_may_have_an_assignment_interval_of_its_own():
    desk = Desk(share_assignment_interval_ms=1_000)
    desk.runtime.now_ms = 1_000_000
    group = ConfigResource(ResourceType.GROUP, "g")
    desk.image = desk.image.apply([ConfigChanged(group, {"share.assignment.interval.ms": "0"})])
    first = desk.join("a", "orders")
    desk.join("b", "orders")
    desk.heartbeat("a", first.member_epoch)
    assert [len(read) for read in desk.reading().values()] == [2, 2]
