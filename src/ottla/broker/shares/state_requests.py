"""What the requests to share coordinators have in common: a command for each partition named.

Kafka's brokers send them to each other; here everything is on one broker, and they are answered for
tools and for brokers of a cluster to come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import UUID

from ottla.coordination.share_partitions.states import RecordState
from ottla.coordination.share_state.batches import StateBatch
from ottla.coordination.share_state.commands import SharePartitionKey
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.node import BrokerNode

Result = TypeVar("Result")

_STATES = frozenset({RecordState.AVAILABLE, RecordState.ACKNOWLEDGED, RecordState.ARCHIVED})


class Failure(NamedTuple):
    """An error as responses have it."""

    code: ErrorCode
    message: str | None

    @classmethod
    def of(cls, answer: object) -> Failure:
        """The error that an answer is, or that it is none."""
        if isinstance(answer, ProtocolError):
            return cls(answer.code, answer.message)
        return cls(ErrorCode.NONE, None)


async def answer_all(
    broker: BrokerNode,
    request: Any,
    command: Callable[[object, SharePartitionKey, Any], object],
    result: Callable[[Any, Any], Result],
) -> list[tuple[UUID, list[Result]]]:
    """The results of a request's partitions, by topic, in the order asked.

    Args:
        command: makes a command of a token, a share partition and what is asked of it.
        result: makes a result of what was asked and the answer, or the error it ran into.
    """

    async def answer(topic_id: UUID, asked: Any) -> Result:
        key = SharePartitionKey(request.group_id, topic_id, asked.partition)
        try:
            broker.share_groups.check_enabled()
            if not request.group_id:
                raise ProtocolError(ErrorCode.INVALID_REQUEST, "the group is not named")
            coordinator = broker.share_groups.coordinator
            answered = await coordinator.ask(key, lambda token: command(token, key, asked))
        except ProtocolError as error:
            answered = error
        return result(asked, answered)

    return [
        (
            topic.topic_id,
            await asyncio.gather(*(answer(topic.topic_id, asked) for asked in topic.partitions)),
        )
        for topic in request.topics
    ]


def checked_batches(batches: Iterable[Any]) -> list[StateBatch]:
    """State batches of a request.

    Raises:
        ProtocolError: INVALID_REQUEST for those that make no sense.
    """
    checked = []
    for batch in batches:
        if (
            not 0 <= batch.first_offset <= batch.last_offset
            or batch.delivery_state not in _STATES
            or batch.delivery_count < 0
        ):
            raise ProtocolError(ErrorCode.INVALID_REQUEST, "a state batch makes no sense")
        checked.append(
            StateBatch(
                batch.first_offset, batch.last_offset, batch.delivery_state, batch.delivery_count
            )
        )
    return checked
