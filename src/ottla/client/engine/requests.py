"""One request and its answer, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, TypeVar

from ottla.client.engine.connection import OnReply, Reply
from ottla.client.errors import KafkaError, KafkaException
from ottla.wire.declare import Buffer, Message
from ottla.wire.errors import ProtocolError

Answer = TypeVar("Answer", bound=Message)


class Send(Protocol):
    """What sends a request: a connection's or a link's method."""

    def __call__(
        self,
        api_key: int,
        version: int,
        body: Sequence[Buffer],
        on_reply: OnReply,
        timeout_ms: float,
        /,
    ) -> None: ...


async def call(
    send: Send, api_key: int, version: int, body: Sequence[Buffer], timeout_ms: float
) -> memoryview:
    """Send a request and wait for the body of its answer. Cancelling gives up the wait only.

    Raises:
        KafkaException: the connection was lost, or the answer did not come in time.
    """
    future: asyncio.Future[memoryview] = asyncio.get_running_loop().create_future()

    def settle(reply: Reply) -> None:
        if future.done():
            return
        if isinstance(reply, KafkaError):
            future.set_exception(KafkaException(reply))
        else:
            future.set_result(reply)

    send(api_key, version, body, settle, timeout_ms)
    return await future


def encode(request: Message, version: int) -> bytes:
    """A request's body.

    Raises:
        KafkaException: ``_UNSUPPORTED_FEATURE``: the version has no way to say it.
    """
    try:
        return request.encode(version)
    except ProtocolError as error:
        raise KafkaException(KafkaError(KafkaError._UNSUPPORTED_FEATURE, error.message)) from error


def decode(answer: type[Answer], body: memoryview, version: int, name: str) -> Answer:
    """An answer from its body.

    Raises:
        KafkaException: ``_BAD_MSG``: it makes no sense.
    """
    try:
        return answer.decode(body, version)
    except ProtocolError as error:
        reason = f"{name}: an answer that is no {answer.__name__}: {error.message}"
        raise KafkaException(KafkaError(KafkaError._BAD_MSG, reason)) from None
