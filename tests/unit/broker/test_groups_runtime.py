"""The topic of the group coordinator: made as it needs it, deleted, and there again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ottla.metadata.store.sqlite import IN_MEMORY, SqliteMetadataStore
from ottla.metadata.topic_names import GROUP_METADATA_TOPIC
from ottla.testing.simulation.disk import SimulatedDisk
from ottla.wire.api.k03_metadata import MetadataRequest, TopicToDescribe
from ottla.wire.api.k08_offset_commit import OffsetCommitRequest, PartitionToCommit, TopicToCommit
from ottla.wire.api.k09_offset_fetch import OffsetFetchRequest, TopicToLookUp
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinProtocol
from ottla.wire.api.k20_delete_topics import DeleteTopicsRequest

Tell = Callable[..., None]


def commit(offset: int) -> OffsetCommitRequest:
    wanted = PartitionToCommit(partition_index=0, committed_offset=offset, committed_metadata="")
    topics = [TopicToCommit(name="t", partitions=[wanted])]
    return OffsetCommitRequest(group_id="g", topics=topics)


def join() -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id="g",
        session_timeout_ms=10_000,
        rebalance_timeout_ms=60_000,
        member_id="",
        protocol_type="consumer",
        protocols=[JoinProtocol(name="range", metadata=b"")],
    )


def test_asking_for_its_metadata_makes_an_internal_topic_as_its_coordinator_needs_it(
    tell: Tell,
) -> None:
    async def story(broker: Any, client: Any) -> None:
        names = [GROUP_METADATA_TOPIC, "__transaction_state"]
        topics = [TopicToDescribe(name=name) for name in names]
        await client.ask(MetadataRequest(topics=topics), 5)
        image = broker.node.cluster.image
        for name in names:
            assert len(image.topics[name].partitions) == 50
            partition = broker.node.partitions.get(name, 0)
            assert partition.settings.is_compacted
            assert not partition.settings.deletes_old_segments

    tell(story)


class KeptStore(SqliteMetadataStore):
    """A store in memory that survives its broker."""

    async def close(self) -> None:
        """Stays open for the next broker."""


def test_a_crash_amid_a_topics_removal_leaves_no_offsets_to_the_next_of_its_name(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, store = SimulatedDisk(1), KeptStore(IN_MEMORY)

    async def before(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        assert (await client.ask(commit(5), 8)).topics[0].partitions[0].error_code == 0
        # The crash comes before the coordinator has done its part.
        monkeypatch.setattr(broker.node.groups, "submit_to_all_when_ready", lambda command: None)
        await client.ask(DeleteTopicsRequest(topic_names=["t"], timeout_ms=1000), 5)

    async def after(broker: Any, client: Any) -> None:
        await asyncio.sleep(1)
        await broker.create_topic(client, "t")
        asked = TopicToLookUp(name="t", partition_indexes=[0])
        answer = await client.ask(OffsetFetchRequest(group_id="g", topics=[asked]), 7)
        assert answer.topics[0].partitions[0].committed_offset == -1

    tell(before, disk=disk, store=store)
    tell(after, disk=disk, store=store)


def test_groups_begin_anew_when_the_offsets_topic_was_deleted(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        assert (await client.ask(commit(1), 8)).topics[0].partitions[0].error_code == 0
        other = await broker.connect()
        parked = other.ask(join(), 3)
        await asyncio.sleep(0.1)
        delete = DeleteTopicsRequest(topic_names=[GROUP_METADATA_TOPIC], timeout_ms=1000)
        await client.ask(delete, 5)
        assert (await client.ask(commit(2), 8)).topics[0].partitions[0].error_code == 0
        answer = await asyncio.wait_for(parked, 30)
        assert answer.error_code != 0

    tell(story)
