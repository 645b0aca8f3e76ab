"""``listeners`` and ``advertised.listeners``: where to listen, and what clients are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ottla.broker.configuration.settings import ConfigurationError, Setting
from ottla.ports.net import Address

DEFAULT_PORT = 9092
WILDCARD_HOSTS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - recognised here, not bound
SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")

# Sets, not regular expressions: compiling two of them takes a millisecond of every start.
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
_HOST_CHARACTERS = _NAME_CHARACTERS | frozenset("%:")


class ListenerConfiguration(NamedTuple):
    """One socket to listen on."""

    name: str
    host: str
    """A name or address; empty for every interface."""
    port: int
    """0 lets the system choose."""
    advertised: Address | None
    """What clients are told to connect to (port 0: the port listened on), or ``None`` to tell each
    client the address it already connected to."""


class _Endpoint(NamedTuple):
    name: str
    host: str
    port: int


def parse_address(text: str) -> Address:
    """``HOST:PORT``, ``[IPv6]:PORT`` or ``:PORT``.

    Raises:
        ValueError: it is none of these; the message says why.
    """
    host, colon, port_text = text.strip().rpartition(":")
    if not colon:
        raise ValueError("the port is missing; write HOST:PORT")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets: [::1]:9092")
    if not _HOST_CHARACTERS.issuperset(host):
        raise ValueError(f"'{host}' is no host name or address")
    if not (port_text.isascii() and port_text.isdigit() and int(port_text) <= 0xFFFF):
        raise ValueError(f"'{port_text}' is no port; allowed: 0 to 65535")
    return Address(host, int(port_text))


def build_listeners(
    listeners: Setting,
    advertised: Setting | None,
    security_protocol_map: Setting | None,
    controller_names: Setting | None,
) -> tuple[ListenerConfiguration, ...]:
    """The client listeners a broker opens, in the order configured.

    Raises:
        ConfigurationError: a listener can't be read or offered, or two of them collide.
    """
    ignored = _controller_listener_names(controller_names)
    endpoints = [end for end in _parse_endpoints(listeners) if end.name not in ignored]
    if not endpoints:
        raise _problem(listeners, "names no listener for clients; allowed: PLAINTEXT://HOST:PORT,…")
    _check_security_protocols(listeners, endpoints, security_protocol_map)
    _check_distinct_ports(listeners, endpoints)
    told = _advertised_addresses(advertised, {end.name for end in endpoints}, ignored)
    return tuple(
        ListenerConfiguration(*end, told.get(end.name, _default_advertised(end)))
        for end in endpoints
    )


def _default_advertised(endpoint: _Endpoint) -> Address | None:
    # Listening everywhere, no single address is right for all: each client is told its own.
    if endpoint.host in WILDCARD_HOSTS:
        return None
    return Address(endpoint.host, endpoint.port)


def _parse_endpoints(setting: Setting) -> list[_Endpoint]:
    endpoints: list[_Endpoint] = []
    for entry in setting.value.split(","):
        if not entry.strip():
            continue
        name, separator, address = entry.strip().partition("://")
        if not (name and separator and _NAME_CHARACTERS.issuperset(name)):
            raise _problem(setting, f"'{entry.strip()}' is not NAME://HOST:PORT")
        try:
            host, port = parse_address(address)
        except ValueError as error:
            raise _problem(setting, f"in '{entry.strip()}', {error}") from None
        name = name.upper()
        if any(name == other.name for other in endpoints):
            raise _problem(setting, f"the listener name {name} occurs twice")
        endpoints.append(_Endpoint(name, host, port))
    return endpoints


def _controller_listener_names(setting: Setting | None) -> frozenset[str]:
    """Listeners of Kafka's controller quorum, which Ottla has no use for."""
    if setting is None:
        return frozenset({"CONTROLLER"})
    return frozenset(name.strip().upper() for name in setting.value.split(","))


def _check_security_protocols(
    listeners: Setting, endpoints: Iterable[_Endpoint], setting: Setting | None
) -> None:
    protocols = {name: name for name in SECURITY_PROTOCOLS}
    if setting is not None:
        protocols |= _parse_security_protocol_map(setting)
    for endpoint in endpoints:
        protocol = protocols.get(endpoint.name)
        if protocol is None:
            raise _problem(
                listeners,
                f"the listener {endpoint.name} has no security protocol; add "
                f"{endpoint.name}:PLAINTEXT to listener.security.protocol.map",
            )
        if protocol != "PLAINTEXT":
            raise _problem(
                listeners,
                f"the listener {endpoint.name} asks for {protocol}, which this version does not "
                "offer yet; allowed: PLAINTEXT",
            )


def _parse_security_protocol_map(setting: Setting) -> dict[str, str]:
    protocols = {}
    for entry in setting.value.split(","):
        if not entry.strip():
            continue
        name, colon, protocol = (part.strip().upper() for part in entry.partition(":"))
        if not name or not colon or protocol not in SECURITY_PROTOCOLS:
            allowed = ", ".join(SECURITY_PROTOCOLS)
            raise _problem(setting, f"'{entry.strip()}' is not NAME:PROTOCOL; protocols: {allowed}")
        protocols[name] = protocol
    return protocols


def _check_distinct_ports(setting: Setting, endpoints: Iterable[_Endpoint]) -> None:
    checked: list[_Endpoint] = []
    for endpoint in endpoints:
        for other in checked:
            if endpoint.port == other.port != 0 and _overlap(endpoint.host, other.host):
                raise _problem(
                    setting,
                    f"the listeners {other.name} and {endpoint.name} both take port {other.port}",
                )
        checked.append(endpoint)


def _overlap(host: str, other: str) -> bool:
    """Whether both can't have the same port: IPv4 and IPv6 are two worlds."""
    if host == other or "" in (host, other):
        return True
    is_wildcard = host in WILDCARD_HOSTS or other in WILDCARD_HOSTS
    return is_wildcard and (":" in host) == (":" in other)


def _advertised_addresses(
    setting: Setting | None, names: set[str], ignored: frozenset[str]
) -> Mapping[str, Address]:
    told: dict[str, Address] = {}
    if setting is None:
        return told
    for endpoint in _parse_endpoints(setting):
        if endpoint.name in ignored:
            continue
        if endpoint.name not in names:
            raise _problem(
                setting,
                f"{endpoint.name} is no listener; allowed: {', '.join(sorted(names))}",
            )
        if endpoint.host in WILDCARD_HOSTS:
            raise _problem(
                setting,
                f"clients can't connect to '{endpoint.host}'; name the host they should use, or "
                "leave it out and each client is told the address it connected to",
            )
        told[endpoint.name] = Address(endpoint.host, endpoint.port)
    return told


def _problem(setting: Setting, reason: str) -> ConfigurationError:
    return ConfigurationError(f"{setting.key}={setting.value} ({setting.origin}): {reason}")
