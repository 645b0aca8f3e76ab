"""A broker as a process.

The data is opened first, then the ports, and only then is the code loaded that serves: connections
wait in the system's queue those milliseconds, instead of being refused. So nothing imported here
may need asyncio.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ottla.broker.opening import open_data
from ottla.broker.start_errors import StartError, listen_error
from ottla.broker.stopping import StopSignals
from ottla.ports.clock import SystemClock
from ottla.ports.disk import SystemDisk
from ottla.ports.entropy import SystemEntropy
from ottla.ports.net import Address, SystemNet

if TYPE_CHECKING:
    from ottla.broker.configuration import BrokerConfiguration
    from ottla.broker.serving import OnStarted

__all__ = ["StartError", "run"]

_SWITCH_INTERVAL_S = 0.0005


def run(configuration: BrokerConfiguration, on_started: OnStarted) -> int:
    """Run a broker until SIGTERM or Ctrl-C stops it cleanly; returns the process's exit code.

    A second Ctrl-C ends the process at once, as a crash would: nothing acknowledged is lost.

    Args:
        on_started: called once, when the broker serves.

    Raises:
        StartError: the broker can't start; the message is for people.
    """
    # The group commit's thread must not wait 5 ms for the interpreter after each fdatasync.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    signals = StopSignals()
    signals.install()
    disk, entropy = SystemDisk(), SystemEntropy()
    data = open_data(configuration, disk, entropy, now_ms=SystemClock().wall_ms())
    try:
        net = _open_ports(configuration)
    except StartError:
        data.abandon()
        raise
    from ottla.broker.node import BrokerNode
    from ottla.broker.serving import serve

    try:
        return serve(
            lambda: BrokerNode(configuration, disk=disk, net=net, entropy=entropy, data=data),
            on_started,
            signals,
        )
    finally:
        net.close()


def _open_ports(configuration: BrokerConfiguration) -> SystemNet:
    net = SystemNet()
    for listener in configuration.listeners:
        address = Address(listener.host, listener.port)
        try:
            net.open(address)
        except OSError as error:
            net.close()
            raise listen_error(address, error) from error
    return net
