"""What a started broker says: where it listens, where its data is, what to try."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from ottla import __version__

if TYPE_CHECKING:
    from ottla.broker.configuration import BrokerConfiguration
    from ottla.broker.serving import StartedBroker

_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def announce(started: StartedBroker, configuration: BrokerConfiguration, log_format: str) -> None:
    """Tell the person or (``json``) the program that started the broker where to find it."""
    if log_format == "json":
        _log_listening(started, configuration)
    else:
        print(banner(started, configuration, coloured=sys.stdout.isatty()), flush=True)


def _log_listening(started: StartedBroker, configuration: BrokerConfiguration) -> None:
    logger = logging.getLogger("ottla.broker")
    for name, address in started.addresses.items():
        logger.info(
            "listening on %s",
            address,
            extra={
                "event": "listening",
                "listener": name,
                "host": address.host,
                "port": address.port,
                "cluster_id": started.cluster_id,
                "data": list(configuration.log_dirs),
            },
        )


def banner(started: StartedBroker, configuration: BrokerConfiguration, *, coloured: bool) -> str:
    """The lines a person sees once the broker listens."""
    bold, dim, plain = (_BOLD, _DIM, _PLAIN) if coloured else ("", "", "")
    where = ", ".join(str(address) for address in started.addresses.values())
    server = _reachable(started)
    attempt = f"echo hello | kcat -P -b {server} -t greetings; kcat -C -b {server} -t greetings -e"
    rows = {
        "data": ", ".join(configuration.log_dirs),
        "cluster": started.cluster_id,
        "try": attempt,
        "stop": "Ctrl-C",
    }
    lines = [f"{bold}Ottla {__version__} listens on {where}{plain}"]
    lines += [f"  {dim}{label:<9}{plain}{text}" for label, text in rows.items()]
    return "\n".join(lines)


def _reachable(started: StartedBroker) -> str:
    """``HOST:PORT`` that works on this machine, also where all interfaces are listened on."""
    address = next(iter(started.addresses.values()))
    own = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
    return str(address._replace(host=own.get(address.host, address.host)))
