"""What aio's ``send()`` returns."""

from __future__ import annotations

import asyncio
from typing import Any


class DeliveryFuture(asyncio.Future[Any]):
    """The future of a delivery: its result is the message."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
