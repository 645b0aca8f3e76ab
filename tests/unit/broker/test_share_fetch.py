"""Share fetches that wait while their connections go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ottla.coordination.share_state.commands import InitializeState, SharePartitionKey
from ottla.wire.api.k78_share_fetch import (
    ShareFetchRequest,
    SharePartitionToFetch,
    ShareTopicToFetch,
)


def test_a_fetch_that_waits_ends_with_its_connection(tell: Callable[..., None]) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        node = broker.node
        topic_id = node.cluster.image.topics["t"].topic_id
        key = SharePartitionKey("g", topic_id, 0)
        await node.share_groups.coordinator.ask(
            key, lambda token: InitializeState(token, key, 0, 0)
        )
        partition = SharePartitionToFetch(partition_index=0, acknowledgement_batches=[])
        fetch = ShareFetchRequest(
            group_id="g",
            member_id="m",
            share_session_epoch=0,
            max_wait_ms=3_600_000,
            min_bytes=1,
            max_records=10,
            batch_size=10,
            topics=[ShareTopicToFetch(topic_id=topic_id, partitions=[partition])],
            forgotten_topics_data=[],
        )
        waiting = await broker.connect()
        tasks = asyncio.all_tasks()
        answer = waiting.ask(fetch, 1)
        await asyncio.sleep(1)
        live = node.share_groups.partitions.known(key)
        assert live is not None
        assert not live.is_idle, "the fetch waits"
        # The broker closes it as idle, which it has been long before the fetch's time is up.
        await asyncio.sleep(1200)
        assert isinstance(answer.exception(), ConnectionError)
        assert live.is_idle
        assert asyncio.all_tasks() <= tasks

    tell(story)
