"""Creating a topic over the wire, from any thread: one request on one connection."""

from __future__ import annotations

from collections.abc import Mapping

from ottla.testing.protocol import Connection
from ottla.wire.api.k19_create_topics import ConfigToSet, CreateTopicsRequest, TopicToCreate
from ottla.wire.errors import ErrorCode, ProtocolError

_VERSION = 7
_BROKER_DEFAULT = -1


def create_topic(
    bootstrap_servers: str, name: str, partitions: int, config: Mapping[str, str]
) -> None:
    """Create a topic with the broker's default replication factor.

    Raises:
        ProtocolError: Kafka's error.
        OSError: nobody answers there.
    """
    topic = TopicToCreate(
        name=name,
        num_partitions=partitions,
        replication_factor=_BROKER_DEFAULT,
        assignments=[],
        configs=[ConfigToSet(name=key, value=value) for key, value in config.items()],
    )
    with Connection(bootstrap_servers) as connection:
        response = connection.ask(CreateTopicsRequest(topics=[topic]), _VERSION)
    for created in response.topics:
        if created.error_code != ErrorCode.NONE:
            raise ProtocolError(ErrorCode(created.error_code), created.error_message or None)
