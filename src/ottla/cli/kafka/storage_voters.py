"""The controllers that a new cluster's quorum begins with (KIP-853)."""

from __future__ import annotations

import ipaddress
import re
import socket
import uuid
from collections.abc import Mapping

from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.uuids import parse_uuid
from ottla.wire.quorum_records import VersionRange, Voter, VoterEndpoint

_MOST_NODE_ID = 2**31 - 1
_MOST_PORT = 65535


def listed_controllers(text: str, entries: Mapping[str, str]) -> list[Voter]:
    """Those of ``id@host:port:directory id,…``, by their ids.

    Args:
        text: of ``--initial-controllers``.
        entries: the broker's properties, which name the controllers' listener.

    Raises:
        ToolFailure: the text makes no sense.
    """
    voters: dict[int, Voter] = {}
    for part in text.strip().split(","):
        if not part:
            continue
        voter = _parse(part.strip(), _listener_name(entries))
        if voter.voter_id in voters:
            raise ToolFailure(f"Node id {voter.voter_id} was specified more than once.")
        voters[voter.voter_id] = voter
    if not voters:
        raise ToolFailure("No voters given.")
    return [voters[voter_id] for voter_id in sorted(voters)]


def this_controller(node_id: int, entries: Mapping[str, str]) -> list[Voter]:
    """This node alone, at its controller's listener; its directory gets a new id."""
    name = _listener_name(entries)
    listeners = entries.get("advertised.listeners", "") + "," + entries.get("listeners", "")
    found = re.search(rf"(?:^|,)\s*{re.escape(name)}://([^:,]*):(\d+)", listeners)
    if not name or found is None:
        raise ToolFailure(
            "A controller of its own needs a listener",
            "set controller.listener.names, and listeners with that name",
        )
    return [_voter(node_id, uuid.uuid4(), name, found[1] or socket.getfqdn(), int(found[2]))]


def _listener_name(entries: Mapping[str, str]) -> str:
    return entries.get("controller.listener.names", "").split(",")[0].strip()


def _parse(text: str, listener_name: str) -> Voter:
    node, at, address = text.partition("@")
    if not at:
        raise ToolFailure("No @ found in dynamic voter string.")
    if not node:
        raise ToolFailure("Invalid @ at beginning of dynamic voter string.")
    if not re.fullmatch(r"[+-]?\d+", node) or abs(int(node)) > _MOST_NODE_ID:
        raise ToolFailure("Failed to parse node id in dynamic voter string.")
    if int(node) < 0:
        raise ToolFailure(f"Invalid negative node id {int(node)} in dynamic voter string.")
    if not address:
        raise ToolFailure("No hostname found after node id.")
    host, rest = _split_host(address)
    if not rest.startswith(":"):
        raise ToolFailure("Port section must start with a colon.")
    port, colon, directory = rest[1:].partition(":")
    if not colon:
        raise ToolFailure("No colon following port could be found.")
    if not re.fullmatch(r"[+-]?\d+", port):
        raise ToolFailure("Failed to parse port in dynamic voter string.")
    if not 0 <= int(port) <= _MOST_PORT:
        raise ToolFailure(f"Invalid port {int(port)} in dynamic voter string.")
    try:
        directory_id = parse_uuid(directory)
    except ValueError:
        raise ToolFailure("Failed to parse directory ID in dynamic voter string.") from None
    return _voter(int(node), directory_id, listener_name, _written_out(host), int(port))


def _written_out(host: str) -> str:
    """An IPv6 address with all its groups, as Java writes it; names stay as they are."""
    try:
        groups = ipaddress.IPv6Address(host).exploded.split(":")
    except ValueError:
        return host
    return ":".join(f"{int(group, 16):x}" for group in groups)


def _split_host(address: str) -> tuple[str, str]:
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket:
            raise ToolFailure("Hostname began with left bracket, but no right bracket was found.")
        return host, rest
    host, colon, rest = address.partition(":")
    if not colon:
        raise ToolFailure("No colon following hostname could be found.")
    return host, colon + rest


def _voter(voter_id: int, directory_id: uuid.UUID, name: str, host: str, port: int) -> Voter:
    return Voter(
        voter_id=voter_id,
        voter_directory_id=directory_id,
        endpoints=[VoterEndpoint(name=name, host=host, port=port)],
        k_raft_version_feature=VersionRange(min_supported_version=0, max_supported_version=1),
    )
