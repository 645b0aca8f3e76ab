"""What a started broker says: where it listens, where its data is, what to try."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Protocol

from ottla import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ottla.broker.configuration import BrokerConfiguration

_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


class _Address(Protocol):
    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


class StartedBroker(Protocol):
    """What the banner reads of a broker that listens."""

    @property
    def addresses(self) -> Mapping[str, _Address]: ...

    @property
    def cluster_id(self) -> str: ...


def announce(node: StartedBroker, configuration: BrokerConfiguration, log_format: str) -> None:
    """Tell the person or (``json``) the program that started the broker where to find it."""
    if log_format == "json":
        _log_listening(node, configuration)
    else:
        print(banner(node, configuration, coloured=sys.stdout.isatty()), flush=True)


def _log_listening(node: StartedBroker, configuration: BrokerConfiguration) -> None:
    logger = logging.getLogger("ottla.broker")
    for name, address in node.addresses.items():
        logger.info(
            "listening on %s",
            address,
            extra={
                "event": "listening",
                "listener": name,
                "host": address.host,
                "port": address.port,
                "cluster_id": node.cluster_id,
                "data": list(configuration.log_dirs),
            },
        )


def banner(node: StartedBroker, configuration: BrokerConfiguration, *, coloured: bool) -> str:
    """The lines a person sees once the broker listens."""
    bold, dim, plain = (_BOLD, _DIM, _PLAIN) if coloured else ("", "", "")
    where = ", ".join(str(address) for address in node.addresses.values())
    server = _reachable(next(iter(node.addresses.values())))
    attempt = f"echo hello | kcat -P -b {server} -t greetings; kcat -C -b {server} -t greetings -e"
    rows = {
        "data": ", ".join(configuration.log_dirs),
        "cluster": node.cluster_id,
        "try": attempt,
        "stop": "Ctrl-C",
    }
    lines = [f"{bold}Ottla {__version__} listens on {where}{plain}"]
    lines += [f"  {dim}{label:<9}{plain}{text}" for label, text in rows.items()]
    return "\n".join(lines)


def _reachable(address: _Address) -> str:
    """An address to connect to from this machine, also where all interfaces are listened on."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
