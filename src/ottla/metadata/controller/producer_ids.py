"""Blocks of producer ids, so that a broker asks once for a thousand (KIP-730)."""

from __future__ import annotations

from typing import Final, NamedTuple

from ottla.metadata.controller.decision import Decision
from ottla.metadata.image import ClusterImage
from ottla.metadata.records import ProducerIdsAllocated
from ottla.wire.errors import ErrorCode, ProtocolError

PRODUCER_ID_BLOCK_SIZE: Final = 1000
_MAX_PRODUCER_ID: Final = 2**63 - 1


class ProducerIdBlock(NamedTuple):
    """Ids that belong to one broker from now on, used or not."""

    first_producer_id: int
    size: int

    def ids(self) -> range:
        """The ids in order."""
        return range(self.first_producer_id, self.first_producer_id + self.size)


def decide_allocate_producer_ids(image: ClusterImage, broker_id: int) -> Decision[ProducerIdBlock]:
    """Give the next block to a broker.

    Raises:
        ProtocolError: BROKER_ID_NOT_REGISTERED; UNKNOWN_SERVER_ERROR if all ids are used up.
    """
    if broker_id not in image.brokers:
        raise ProtocolError(ErrorCode.BROKER_ID_NOT_REGISTERED)
    first = image.next_producer_id
    if first > _MAX_PRODUCER_ID - PRODUCER_ID_BLOCK_SIZE:
        raise ProtocolError(
            ErrorCode.UNKNOWN_SERVER_ERROR,
            f"Exhausted all producer ids: the next would be {first}.",
        )
    record = ProducerIdsAllocated(broker_id, first + PRODUCER_ID_BLOCK_SIZE)
    return Decision((record,), ProducerIdBlock(first, PRODUCER_ID_BLOCK_SIZE))
