"""A broker as a process: its event loop, its signals, its end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ottla.broker.configuration import BrokerConfiguration
from ottla.broker.node import BrokerNode, StartError
from ottla.ports.net import Address

__all__ = ["StartError", "StartedBroker", "new_event_loop", "run"]

EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_FORCED = 130

_SWITCH_INTERVAL_S = 0.0005


class StartedBroker(NamedTuple):
    """What to tell about a broker that listens."""

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


def run(configuration: BrokerConfiguration, on_started: OnStarted) -> int:
    """Run a broker until SIGTERM or Ctrl-C stops it cleanly; returns the process's exit code.

    A second Ctrl-C ends the process at once, as a crash would: nothing acknowledged is lost.

    Args:
        on_started: called once, when the broker listens.

    Raises:
        StartError: the broker can't start; the message is for people.
    """
    # The group commit's thread must not wait 5 ms for the interpreter after each fdatasync.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    loop = new_event_loop()
    try:
        return loop.run_until_complete(_serve(configuration, on_started))
    finally:
        loop.close()


async def _serve(configuration: BrokerConfiguration, on_started: OnStarted) -> int:
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    node = BrokerNode(configuration)
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
    """Start the node; false when a signal came first (recovery of a large log takes a while)."""
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


def _stop_on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if stopping.is_set():
            os._exit(EXIT_FORCED)
        stopping.set()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
