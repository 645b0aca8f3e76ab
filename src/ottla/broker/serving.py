"""A broker on its event loop: started, served until it is told to stop, stopped."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ottla.broker.node import BrokerNode
from ottla.broker.stopping import EXIT_FAILED, EXIT_STOPPED, StopSignals
from ottla.ports.net import Address


class StartedBroker(NamedTuple):
    """What to tell about a broker that serves."""

    addresses: Mapping[str, Address]
    """Where each listener, by its name, is bound."""
    cluster_id: str


OnStarted = Callable[[StartedBroker], None]


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def serve(make_node: Callable[[], BrokerNode], on_started: OnStarted, signals: StopSignals) -> int:
    """Run a broker until it is told to stop; returns the process's exit code.

    Args:
        make_node: makes the broker, on the event loop.
        on_started: called once, when the broker serves.

    Raises:
        StartError: the broker can't start; the message is for people.
    """
    loop = new_event_loop()
    try:
        return loop.run_until_complete(_serve(make_node, on_started, signals))
    finally:
        loop.close()


async def _serve(
    make_node: Callable[[], BrokerNode], on_started: OnStarted, signals: StopSignals
) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, signals.interrupt)
    loop.add_signal_handler(signal.SIGTERM, signals.terminate)
    signals.tell(stopping.set)
    node = make_node()
    if await _start_unless(stopping, node):
        on_started(StartedBroker(node.addresses, node.cluster.image.cluster_id))
        # What starting made lives as long as the process: the collector need not look at it again.
        gc.freeze()
        gc.enable()
        await _wait_for_any(stopping, node.failed)
    await node.stop()
    return EXIT_FAILED if node.failed.is_set() else EXIT_STOPPED


async def _wait_for_any(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


async def _start_unless(stopping: asyncio.Event, node: BrokerNode) -> bool:
    """Start the node; false when a signal came first."""
    start = asyncio.ensure_future(node.start())
    stop = asyncio.ensure_future(stopping.wait())
    await asyncio.wait((start, stop), return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not start.done():
        start.cancel()
        await asyncio.wait((start,))
        return False
    start.result()
    return True
