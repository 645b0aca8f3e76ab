"""What every client can be asked about the cluster: its topics and its id."""

from __future__ import annotations

from ottla.client.admin.clusters import ClusterMetadata
from ottla.client.core.admin import clusters, topics
from ottla.client.core.admin.routes import TIMED_OUT
from ottla.client.engine.administration import perform
from ottla.client.engine.engine import Engine
from ottla.client.errors import KafkaError, KafkaException


async def list_topics(
    engine: Engine, topic: str | None, timeout_ms: float, *, may_create: bool
) -> ClusterMetadata:
    """The cluster's brokers and topics, or one topic.

    Args:
        engine: asks.
        topic: the topic's name, None for all.
        timeout_ms: how long it may take.
        may_create: let a broker that creates topics when they are first used create it.

    Raises:
        TypeError: the topic is no text.
        KafkaException: no broker could be asked in time.
    """
    if topic is not None and not isinstance(topic, str):
        raise TypeError(f"argument 1 must be str or None, not {type(topic).__name__}")
    operation = topics.list_topics(topic, may_create=may_create)
    try:
        return await perform(engine, operation, timeout_ms)
    except KafkaException as exception:
        error = exception.args[0]
        text = f"Failed to get metadata: {error.str()}"
        raise KafkaException(KafkaError(error.code(), text)) from None


async def cluster_id(engine: Engine, timeout_ms: float) -> str | None:
    """The cluster's id; raises as :func:`list_topics` does."""
    try:
        operation = clusters.describe_cluster(timed_out=TIMED_OUT)
        return (await perform(engine, operation, timeout_ms)).cluster_id
    except KafkaException as exception:
        error = exception.args[0]
        text = (
            f"Failed to retrieve cluster id: {error.str()}. The broker must support KIP-78 "
            "(>= 0.10.1) for the cluster id to be available."
        )
        raise KafkaException(KafkaError(error.code(), text)) from None
