"""What a client still has to say to the cluster when it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from ottla.client.engine.engine import Engine
from ottla.client.errors import KafkaException

# How long a client that is closed gives brokers to be reached.
_REACHABLE_CHECK_S = 0.5


async def unless_unreachable(engine: Engine, farewell: Coroutine[Any, Any, None]) -> None:
    """Wait for something that needs brokers, as long as any of them can be reached."""
    task = asyncio.ensure_future(farewell)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_REACHABLE_CHECK_S)
            if not task.done():
                try:
                    await engine.wait_connected(_REACHABLE_CHECK_S * 1000)
                except KafkaException:
                    return
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
