"""``kafka-configs``: describe and change what topics, brokers, users and others are set to."""

from __future__ import annotations

import re
import sys
from typing import Any

from ottla.cli.kafka.cluster import (
    ANY,
    CONTROLLER,
    Cluster,
    Target,
    UnknownBroker,
    ask_cluster,
    settings,
)
from ottla.cli.kafka.config_entities import (
    BROKERS,
    CLIENTS,
    DEFAULT,
    GROUPS,
    IPS,
    LOGGERS,
    METRICS,
    TOPICS,
    USERS,
    Entities,
    check_names,
    entities,
)
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.errors import KafkaFailure, check
from ottla.cli.kafka.failures import OptionError, ToolFailure, UsageError
from ottla.cli.kafka.options import Options, flag, value
from ottla.cli.kafka.properties import load
from ottla.cli.kafka.topic_queries import list_topics, live_brokers
from ottla.wire.api.k32_describe_configs import DescribeConfigsRequest, ResourceToDescribe
from ottla.wire.api.k44_incremental_alter_configs import (
    ConfigChange,
    IncrementalAlterConfigsRequest,
    ResourceToAlter,
)
from ottla.wire.errors import ErrorCode

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first."),
    value("bootstrap-controller", "host:port", "The controllers to connect to instead."),
    value("command-config", "file", "Properties for the connection."),
    flag("describe", "Show the settings."),
    flag("alter", "Change settings."),
    flag("all", "Describe all settings, also those that nobody has set."),
    value(
        "entity-type",
        "type",
        "topics, clients, users, brokers, broker-loggers, ips, client-metrics or groups; users and "
        "clients may be given together.",
    ),
    value("entity-name", "name", "Which one. Without it all are described."),
    flag("entity-default", "The default of all clients, users, brokers or ips."),
    value("topic", "name", "A topic, as --entity-type topics --entity-name name."),
    value("client", "id", "A client id."),
    flag("client-defaults", "The default of all clients."),
    value("user", "name", "A user."),
    flag("user-defaults", "The default of all users."),
    value("broker", "id", "A broker."),
    flag("broker-defaults", "The default of all brokers."),
    value("broker-logger", "id", "The loggers of a broker."),
    value("ip", "address", "An IP address."),
    flag("ip-defaults", "The default of all IP addresses."),
    value("group", "id", "A group."),
    value("client-metrics", "name", "What metrics clients shall push."),
    value("add-config", "k1=v1,k2=[v2,v3]", "What to set; brackets hold values with commas."),
    value("add-config-file", "file", "A properties file with what to set."),
    value("delete-config", "k1,k2", "What to set back to the default."),
)
_RESOURCE_TYPES = {TOPICS: 2, BROKERS: 4, LOGGERS: 8, METRICS: 16, GROUPS: 32}
# The source of a setting made for just this entity.
_OWN_SOURCE = {TOPICS: 1, BROKERS: 2, METRICS: 7, GROUPS: 8}
_DEFAULT_BROKER = 3
SOURCES = {
    1: "DYNAMIC_TOPIC_CONFIG",
    2: "DYNAMIC_BROKER_CONFIG",
    3: "DYNAMIC_DEFAULT_BROKER_CONFIG",
    4: "STATIC_BROKER_CONFIG",
    5: "DEFAULT_CONFIG",
    6: "DYNAMIC_BROKER_LOGGER_CONFIG",
    7: "DYNAMIC_CLIENT_METRICS_CONFIG",
    8: "DYNAMIC_GROUP_CONFIG",
}
_SET, _DELETE = 0, 1
_MISSING = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.RESOURCE_NOT_FOUND,
    ErrorCode.INVALID_REQUEST,  # a kind of entity that the broker doesn't know
}
# A comma or an equals sign outside of brackets.
_OUTSIDE = r"(?=[^\]]*(?:\[|$))"
_ILLEGAL = re.compile(r"[^a-zA-Z0-9._-]")


def run(options: Options) -> int:
    """Check the options, then describe or change."""
    if options.has("describe") == options.has("alter"):
        raise UsageError("Command must include exactly one action: --describe, --alter")
    options.forbid("describe", "add-config", "delete-config")
    try:
        found = entities(options)
        _check(options, found)
        entries = settings(options)
        if options.has("bootstrap-controller"):
            entries["bootstrap.servers"] = options.text("bootstrap-controller")
        ask_cluster(entries, lambda cluster: _act(cluster, options, found))
    except (OptionError, ValueError) as failure:
        raise ToolFailure(str(failure)) from None
    except KafkaFailure as failure:
        words = " ".join(options.words)
        print(f"Error while executing config command with args '{words}'", file=sys.stderr)
        raise ToolFailure(f"java.util.concurrent.ExecutionException: {failure.qualified}") from None
    return 0


def _check(options: Options, found: Entities) -> None:
    connections = options.has("bootstrap-server") + options.has("bootstrap-controller")
    if connections == 0:
        raise ValueError("Either --bootstrap-server or --bootstrap-controller must be specified.")
    if connections > 1:
        raise ValueError(
            "Only one of --bootstrap-server or --bootstrap-controller can be specified"
        )
    check_names(found, options)
    if not options.has("alter"):
        return
    if options.has("add-config") and options.has("add-config-file"):
        raise ValueError("Only one of --add-config or --add-config-file must be specified")
    changes = ("add-config", "add-config-file", "delete-config")
    if not any(options.has(change) for change in changes):
        raise ValueError(
            "At least one of --add-config, --add-config-file, or --delete-config must be specified "
            "with --alter"
        )
    if len(found.types) != len(found.names):
        raise ValueError("An entity name must be specified for every entity type")


def configs_to_add(options: Options) -> dict[str, str]:
    """What ``--add-config`` or its file sets; raises ``ValueError``."""
    added = load(options.text("add-config-file")) if options.has("add-config-file") else {}
    for pair in re.split("," + _OUTSIDE, options.text("add-config")):
        if not options.has("add-config"):
            break
        parts = re.split(r"\s*=\s*" + _OUTSIDE, pair)
        if len(parts) != 2:
            raise ValueError(
                "requirement failed: Invalid entity config: all configs to be added must be in the "
                'format "key=val" or  "key=[val1,val2]" to group values which contain commas.'
            )
        added[parts[0].strip()] = re.sub(r"\[?\]?", "", parts[1]).strip()
    for key in added:
        if _ILLEGAL.search(key):
            raise ValueError(f"Invalid character found for config key: {key}")
    return added


def configs_to_delete(options: Options) -> list[str]:
    """What ``--delete-config`` names."""
    return [key.strip() for keys in options.values("delete-config") for key in keys.split(",")]


async def _act(cluster: Cluster, options: Options, found: Entities) -> None:
    if found.types[0] in (USERS, CLIENTS, IPS):
        from ottla.cli.kafka import quota_configs

        if options.has("describe"):
            await quota_configs.describe(cluster, found)
            return
        added, deleted = configs_to_add(options), configs_to_delete(options)
        await quota_configs.alter(cluster, found, added, deleted)
    elif options.has("describe"):
        await _describe(cluster, found, describe_all=options.has("all"))
        return
    else:
        added, deleted = configs_to_add(options), configs_to_delete(options)
        await _alter(cluster, found.types[0], found.names[0], added, deleted)
    kind, name = found.types[0], found.names[0]
    if name == DEFAULT:
        print(f"Completed updating default config for {kind} in the cluster.")
    else:
        print(f"Completed updating config for {kind[:-1]} {name}.")


async def _describe(cluster: Cluster, found: Entities, *, describe_all: bool) -> None:
    kind = found.types[0]
    names = list(found.names) or await _all_names(cluster, kind)
    for name in names:
        try:
            entries = await _entries(cluster, kind, name, describe_all=describe_all)
        except (KafkaFailure, UnknownBroker) as failure:
            if isinstance(failure, KafkaFailure) and failure.code not in _MISSING:
                raise
            print(f"The {kind[:-1]} '{name}' doesn't exist and doesn't have dynamic config.")
            continue
        if name == DEFAULT and kind == BROKERS:
            print(f"Default configs for {kind} in the cluster are:")
        else:
            shown = "All" if describe_all else "Dynamic"
            print(f"{shown} configs for {kind[:-1]} {name} are:")
        for entry in entries:
            synonyms = ", ".join(
                f"{SOURCES.get(each.source, 'UNKNOWN')}:{each.name}={_shown(each.value)}"
                for each in entry.synonyms
            )
            sensitive = str(entry.is_sensitive).lower()
            print(
                f"  {entry.name}={_shown(entry.value)} sensitive={sensitive} "
                f"synonyms={{{synonyms}}}"
            )


def _shown(text: str | None) -> str:
    return "null" if text is None else text


async def _all_names(cluster: Cluster, kind: str) -> list[str]:
    if kind == TOPICS:
        return list(await list_topics(cluster))
    if kind == BROKERS:
        return [*map(str, sorted(await live_brokers(cluster))), DEFAULT]
    from ottla.wire.api.k74_list_config_resources import ListConfigResourcesRequest

    wanted = _RESOURCE_TYPES[kind]
    request = ListConfigResourcesRequest(resource_types=[wanted] if kind == GROUPS else [])
    at_least = 1 if kind == GROUPS else 0
    answer = await cluster.ask(request, at_least=at_least, at_most=None if at_least else 0)
    check(answer.error_code)
    names = {each.resource_name for each in answer.config_resources}
    if kind == GROUPS:
        from ottla.cli.kafka.group_queries import list_groups

        names |= {group.group_id for group in await list_groups(cluster)}
    return sorted(names)


def _target(kind: str, name: str) -> Target:
    """Brokers answer for themselves; everything else is the whole cluster's."""
    return int(name) if kind in (BROKERS, LOGGERS) and name else ANY


async def _entries(cluster: Cluster, kind: str, name: str, *, describe_all: bool) -> list[Any]:
    resource = ResourceToDescribe(
        resource_type=_RESOURCE_TYPES[kind], resource_name=name, configuration_keys=None
    )
    request = DescribeConfigsRequest(resources=[resource], include_synonyms=True)
    [result] = (await cluster.ask(request, _target(kind, name))).results
    check(result.error_code, result.error_message)
    own = _DEFAULT_BROKER if kind == BROKERS and name == DEFAULT else _OWN_SOURCE.get(kind)
    return sorted(
        (
            each
            for each in result.configs
            if describe_all or own is None or each.config_source == own
        ),
        key=lambda each: str(each.name),
    )


async def _alter(
    cluster: Cluster, kind: str, name: str, added: dict[str, str], deleted: list[str]
) -> None:
    if kind == LOGGERS:
        known = {each.name for each in await _entries(cluster, kind, name, describe_all=False)}
        if strange := [key for key in (*deleted, *added) if key not in known]:
            raise ValueError(f"Invalid broker logger(s): {','.join(strange)}")
    changes = [
        ConfigChange(name=key, config_operation=_SET, value=text) for key, text in added.items()
    ]
    changes += [ConfigChange(name=key, config_operation=_DELETE, value=None) for key in deleted]
    resource = ResourceToAlter(
        resource_type=_RESOURCE_TYPES[kind], resource_name=name, configs=changes
    )
    request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=False)
    target = _target(kind, name)
    answer = await cluster.ask(request, CONTROLLER if target is ANY else target)
    [altered] = answer.responses
    check(altered.error_code, altered.error_message)


TOOL = Tool(
    "Describes and changes the settings of topics, brokers, users and others.", OPTIONS, run
)
