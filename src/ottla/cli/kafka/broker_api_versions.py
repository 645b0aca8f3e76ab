"""``kafka-broker-api-versions``: which versions of which APIs the brokers speak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ottla.cli.kafka.cluster import Cluster, Unreachable, ask_cluster, settings
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.errors import KafkaFailure
from ottla.cli.kafka.options import Options, value
from ottla.cli.kafka.topic_queries import metadata
from ottla.wire.api.k18_api_versions import ApiVersionsRequest
from ottla.wire.apis import APIS

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first. Required."),
    value("command-config", "file", "Properties for the connection."),
)


def run(options: Options) -> int:
    """Check the options, then print what each broker offers."""
    options.require("bootstrap-server")
    ask_cluster(settings(options), _print)
    return 0


async def _print(cluster: Cluster) -> None:
    from ottla import __version__

    request = ApiVersionsRequest(client_software_name="ottla", client_software_version=__version__)
    for broker in (await metadata(cluster, only_brokers=True)).brokers:
        rack = "null" if broker.rack is None else broker.rack
        name = f"{broker.host}:{broker.port} (id: {broker.node_id} rack: {rack} isFenced: false)"
        try:
            answer = await cluster.ask(request, broker.node_id)
        except (KafkaFailure, Unreachable) as failure:
            print(f"{name} -> ERROR: {failure}")
            continue
        offered = {each.api_key: (each.min_version, each.max_version) for each in answer.api_keys}
        print(f"{name} -> {describe(offered)}")


def describe(offered: Mapping[int, tuple[int, int]]) -> str:
    """The APIs of a broker and those it lacks, one per line, with the version we would use."""
    lines = [_line(key, offered.get(key)) for key in sorted({*offered, *APIS})]
    return "(\n\t" + ",\n\t".join(lines) + "\n)"


def _line(key: int, versions: Any) -> str:
    api = APIS.get(key)
    name = "UNKNOWN" if api is None else api.name
    if versions is None:
        return f"{name}({key}): UNSUPPORTED"
    first, last = versions
    told = f"{name}({key}): " + (f"{first}" if first == last else f"{first} to {last}")
    if api is None:
        return told
    if api.max_version < first:
        return f"{told} [unusable: node too new]"
    if last < api.min_version:
        return f"{told} [unusable: node too old]"
    return f"{told} [usable: {min(api.max_version, last)}]"


TOOL = Tool("Shows which versions of which APIs the brokers speak.", OPTIONS, run)
