"""Producer ids: taken from the controller a block at a time, handed out one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class ProducerIds:
    """Hands out ids that no producer of this cluster ever had.

    Args:
        allocate: fetches the next block; what is left of it is lost by a restart, never reused.
    """

    def __init__(self, allocate: Callable[[], Awaitable[range]]) -> None:
        self._allocate = allocate
        self._left = iter(range(0))
        self._lock = asyncio.Lock()

    async def next(self) -> int:
        """A fresh producer id.

        Raises:
            ProtocolError: the controller could not store the next block.
        """
        producer_id = next(self._left, None)
        if producer_id is not None:
            return producer_id
        async with self._lock:
            producer_id = next(self._left, None)
            if producer_id is None:
                self._left = iter(await self._allocate())
                producer_id = next(self._left)
            return producer_id
