"""``kafka-groups``: list groups of all kinds."""

from __future__ import annotations

from ottla.cli.kafka.cluster import Cluster, ask_cluster, settings
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.errors import KafkaFailure
from ottla.cli.kafka.failures import UsageError
from ottla.cli.kafka.group_queries import (
    CLASSIC,
    CONSUMER,
    SHARE,
    STREAMS,
    GroupListing,
    list_groups,
)
from ottla.cli.kafka.options import Options, flag, value

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required.")._replace(
        is_required=True
    ),
    value("command-config", "file", "Properties for the connection."),
    flag("list", "List the groups."),
    value("group-type", "type", "Only this type: classic, consumer, share or streams."),
    value("protocol", "protocol", "Only groups of this protocol type."),
    flag("consumer", "Only consumer groups of any kind."),
    flag("share", "Only share groups."),
    flag("streams", "Only streams groups."),
)
TYPES = (CLASSIC, CONSUMER, SHARE, STREAMS)
_LEAST = 20


def run(options: Options) -> int:
    """Check the options, then print the table."""
    if not options.has("list"):
        raise UsageError("Command must include exactly one action: --list.")
    kinds = ("consumer", "share", "streams")
    for kind in kinds:
        others = [other for other in kinds if other != kind]
        options.forbid(kind, "group-type", "protocol", *others)
    wanted = options.only("group-type")
    if wanted is not None and wanted.capitalize() not in TYPES:
        raise UsageError("--group-type must be a valid group type.")
    try:
        ask_cluster(settings(options), lambda cluster: _list(cluster, options))
    except KafkaFailure as failure:
        print(f"Error while executing groups command : {failure.message}")
        return 1
    return 0


def is_wanted(options: Options, group: GroupListing) -> bool:
    """Whether a group is of the kind that the options ask for."""
    if options.has("consumer"):
        return group.is_consumer_group
    if options.has("share"):
        return group.type == SHARE
    if options.has("streams"):
        return group.type == STREAMS
    kind, protocol = options.only("group-type"), options.only("protocol")
    has_type = kind is None or group.type == kind.capitalize()
    return has_type and (protocol is None or group.protocol_type == protocol)


async def _list(cluster: Cluster, options: Options) -> None:
    groups = [group for group in await list_groups(cluster) if is_wanted(options, group)]
    width = max([_LEAST, *(len(group.group_id) for group in groups)])
    rows = [("GROUP", "TYPE", "PROTOCOL")]
    rows += [(each.group_id, each.type or "Unknown", each.protocol_type) for each in groups]
    for group_id, kind, protocol in rows:
        print(f"{group_id:<{width}} {kind:<{width}} {protocol:<{width}}")


TOOL = Tool("Lists groups of all kinds.", OPTIONS, run)
