"""The disk of the metadata fails: Kafka's error, and the broker stops."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ottla.metadata.store.sqlite import IN_MEMORY, SqliteMetadataStore
from ottla.testing.simulation.client import SimulatedClient
from ottla.wire.api.k19_create_topics import CreateTopicsRequest, TopicToCreate
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from conftest import SimulatedBroker


class FailingStore(SqliteMetadataStore):
    """A store whose disk can be made to fail."""

    def __init__(self) -> None:
        self.has_failed = False
        super().__init__(IN_MEMORY)

    def _mutate(self, *arguments: Any) -> None:
        if self.has_failed:
            raise sqlite3.OperationalError("disk I/O error")
        super()._mutate(*arguments)


def test_what_can_not_be_stored_is_a_storage_error_and_the_broker_stops(
    tell: Callable[..., None],
) -> None:
    store = FailingStore()

    async def story(broker: SimulatedBroker, client: SimulatedClient) -> None:
        store.has_failed = True
        topic = TopicToCreate(
            name="orders", num_partitions=1, replication_factor=1, assignments=[], configs=[]
        )
        [created] = (await client.ask(CreateTopicsRequest(topics=[topic]), 7)).topics
        assert created.error_code == ErrorCode.KAFKA_STORAGE_ERROR
        assert "disk I/O error" in created.error_message
        await asyncio.sleep(1)
        assert broker.node.log_directories[0].failure is not None
        assert broker.node.failed.is_set()

    tell(story, store=store)


def test_a_controller_that_lost_its_lease_says_that_it_is_none(tell: Callable[..., None]) -> None:
    store = SqliteMetadataStore(IN_MEMORY)

    async def story(broker: SimulatedBroker, client: SimulatedClient) -> None:
        store._execute("UPDATE leases SET epoch = epoch + 1")
        topic = TopicToCreate(
            name="orders", num_partitions=1, replication_factor=1, assignments=[], configs=[]
        )
        [created] = (await client.ask(CreateTopicsRequest(topics=[topic]), 7)).topics
        assert created.error_code == ErrorCode.NOT_CONTROLLER
        assert not broker.node.failed.is_set()

    tell(story, store=store)
