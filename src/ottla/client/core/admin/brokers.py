"""The brokers of the cluster, for calls that ask all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ottla.client.core.admin.call import Call, Operation, ask_one
from ottla.client.core.admin.outcomes import raise_for
from ottla.client.core.admin.routes import NO_BROKER, TIMED_OUT, Each, any_broker
from ottla.client.errors import KafkaError
from ottla.client.values import Node
from ottla.wire.api.k03_metadata import MetadataRequest, MetadataResponse

# The first version that can ask about a topic without having it created.
METADATA_WITHOUT_CREATION = 4


def live_brokers() -> Operation[dict[int, Node]]:
    """The brokers by id.

    Raises:
        KafkaException: no broker can be reached.
    """

    def request(_: Sequence[None]) -> MetadataRequest:
        return MetadataRequest(topics=[], allow_auto_topic_creation=False)

    def read(
        answer: MetadataResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, dict[int, Node] | KafkaError]]:
        raise_for(answer.error_code)
        yield None, nodes_of(answer)

    call = Call(
        [None],
        any_broker(TIMED_OUT),
        request,
        MetadataResponse,
        read,
        at_least=METADATA_WITHOUT_CREATION,
    )
    return ask_one(call)


def nodes_of(answer: MetadataResponse) -> dict[int, Node]:
    """The brokers of an answer by id."""
    return {b.node_id: Node(b.node_id, b.host, b.port, b.rack) for b in answer.brokers}


def itself(timed_out: KafkaError = NO_BROKER) -> Each[int]:
    """The broker that the item is."""
    return Each(lambda broker_id: broker_id, timed_out)
