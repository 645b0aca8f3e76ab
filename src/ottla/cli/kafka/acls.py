"""``kafka-acls``: list, add and remove access rules."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from ottla.cli.kafka.acl_rules import (
    OPERATIONS,
    PATTERN_TYPES,
    PERMISSIONS,
    RESOURCE_TYPES,
    Entry,
    Resource,
    Rules,
    parse_principal,
    resources,
    rules,
)
from ottla.cli.kafka.cluster import CONTROLLER, Cluster, ask_cluster, settings
from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.errors import KafkaFailure, check
from ottla.cli.kafka.failures import OptionError, ToolFailure, UsageError
from ottla.cli.kafka.options import REQUIRED_VALUE, Option, Options, flag, optional, value
from ottla.wire.api.k29_describe_acls import DescribeAclsRequest
from ottla.wire.api.k30_create_acls import AclToCreate, CreateAclsRequest
from ottla.wire.api.k31_delete_acls import AclFilter, DeleteAclsRequest

OPTIONS = (
    value("bootstrap-server", "host:port", "The brokers to connect to first."),
    value("bootstrap-controller", "host:port", "The controllers to connect to instead."),
    optional("command-config", "file", "Properties for the connection."),
    flag("list", "Show rules, of the resources named or all."),
    flag("add", "Add rules."),
    flag("remove", "Remove rules."),
    value("topic", "topic", "A topic; * stands for all. May be repeated."),
    value("group", "group", "A group."),
    flag("cluster", "The cluster."),
    value("transactional-id", "id", "A transactional id."),
    value("delegation-token", "id", "A delegation token."),
    value("user-principal", "principal", "A user, as what is acted upon."),
    Option(
        "resource-pattern-type",
        "literal: this very name; prefixed: names that begin so; to list and remove also match and "
        "any.",
        REQUIRED_VALUE,
        "ANY|MATCH|LITERAL|PREFIXED",
        default="LITERAL",
        choices=tuple(PATTERN_TYPES),
    ),
    value("allow-principal", "type:name", "Who is allowed, such as User:alice."),
    value("deny-principal", "type:name", "Who is denied."),
    value("allow-host", "host", "From where they are allowed; everywhere by default."),
    value("deny-host", "host", "From where they are denied."),
    value("operation", "operation", "What they do: Read, Write, Create... or All.", default="All"),
    optional("principal", "type:name", "List only rules for this principal."),
    flag("producer", "The rules a producer needs."),
    flag("consumer", "The rules a consumer needs."),
    flag("idempotent", "Also what an idempotent producer needs."),
    flag("force", "Don't ask before removing."),
)
ACTIONS = ("add", "remove", "list")


def run(options: Options) -> int:
    """Check the options, then list, add or remove."""
    try:
        _check(options)
        action = next(action for action in ACTIONS if options.has(action))
        wanted = {} if action == "list" else rules(options)
        if action == "add":
            _check_addition(options, wanted)
        entries = settings(options)
        if options.has("bootstrap-controller"):
            entries["bootstrap.servers"] = options.text("bootstrap-controller")
        if action == "list":
            ask_cluster(entries, lambda cluster: _list(cluster, options))
        elif action == "add":
            ask_cluster(entries, lambda cluster: _add(cluster, wanted))
        else:
            confirmed = _confirmed(wanted, is_forced=options.has("force"))
            ask_cluster(entries, lambda cluster: _remove(cluster, confirmed))
    except KafkaFailure as failure:
        print(f"Error while executing ACL command: {failure.qualified}")
        return 1
    except OptionError as failure:
        print(f"Error while executing ACL command: {failure.message}")
        return 1
    except ValueError as failure:
        print(f"Error while executing ACL command: {failure}")
        return 1
    return 0


def _check(options: Options) -> None:
    connections = options.has("bootstrap-server") + options.has("bootstrap-controller")
    if connections != 1:
        which = "Only one of" if connections else "One of"
        raise UsageError(f"{which} --bootstrap-server or --bootstrap-controller must be specified")
    if sum(options.has(action) for action in ACTIONS) != 1:
        raise UsageError("Command must include exactly one action: --list, --add, --remove. ")
    options.forbid(
        "list", "producer", "consumer", "allow-host", "allow-principal", "deny-host",
        "deny-principal",
    )  # fmt: skip
    for role in ("producer", "consumer"):
        options.forbid(role, "operation", "deny-principal", "deny-host")
    if options.has("principal") and not options.has("list"):
        raise UsageError("The --principal option is only available if --list is set")
    if options.has("producer") and not options.has("topic"):
        raise UsageError("With --producer you must specify a --topic")
    if options.has("idempotent") and not options.has("producer"):
        raise UsageError("The --idempotent option is only available if --producer is set")
    others = options.has("cluster") or options.has("transactional-id")
    lacks = not (options.has("topic") and options.has("group"))
    if options.has("consumer") and (lacks or (others and not options.has("producer"))):
        raise UsageError(
            "With --consumer you must specify a --topic and a --group and no --cluster or "
            "--transactional-id option should be specified."
        )


def _check_addition(options: Options, wanted: Rules) -> None:
    pattern = options.text("resource-pattern-type").upper()
    if pattern not in ("LITERAL", "PREFIXED"):
        raise UsageError(
            f"A '--resource-pattern-type' value of '{pattern}' is not valid when adding acls."
        )
    if any(not entries for entries in wanted.values()):
        raise UsageError(
            "You must specify one of: --allow-principal, --deny-principal when trying to add ACLs."
        )


def _shown(entries: Iterable[Entry]) -> str:
    return "\n".join(f"\t{entry}" for entry in sorted(entries))


def _print(found: Mapping[Resource, set[Entry]]) -> None:
    for resource in sorted(found):
        print(f"Current ACLs for resource `{resource.shown()}`: \n {_shown(found[resource])} \n")


async def _find(cluster: Cluster, wanted: Iterable[Resource]) -> Rules:
    found: Rules = {}
    for resource in wanted:
        request = DescribeAclsRequest(
            resource_type_filter=RESOURCE_TYPES[resource.kind],
            resource_name_filter=resource.name or None,
            pattern_type_filter=PATTERN_TYPES[resource.pattern],
            principal_filter=None,
            host_filter=None,
            operation=OPERATIONS["ANY"],
            permission_type=PERMISSIONS["ANY"],
        )
        answer = await cluster.ask(request)
        check(answer.error_code, answer.error_message)
        for each in answer.resources:
            where = Resource(
                _name(RESOURCE_TYPES, each.resource_type),
                each.resource_name,
                _name(PATTERN_TYPES, each.pattern_type),
            )
            found.setdefault(where, set()).update(
                Entry(
                    acl.principal,
                    acl.host,
                    _name(OPERATIONS, acl.operation),
                    _name(PERMISSIONS, acl.permission_type),
                )
                for acl in each.acls
            )
    return found


async def _list(cluster: Cluster, options: Options) -> None:
    anything = [Resource("ANY", "", "ANY")]
    found = await _find(cluster, resources(options, is_needed=False) or anything)
    principals = [parse_principal(each) for each in options.values("principal")]
    if not principals:
        _print(found)
    for principal in principals:
        print(f"ACLs for principal `{principal}`")
        own = {
            where: {entry for entry in entries if entry.principal == principal}
            for where, entries in found.items()
        }
        _print({where: entries for where, entries in own.items() if entries})


def _name(names: Mapping[str, int], number: int) -> str:
    return next((name for name, each in names.items() if each == number), "UNKNOWN")


async def _add(cluster: Cluster, wanted: Rules) -> None:
    existing = await _find(cluster, wanted)
    for resource, asked in wanted.items():
        known = existing.get(resource, set())
        for entry in sorted(asked & known):
            print(f"Acl (pattern={resource.shown()}, entry={entry}) already exists.")
        entries = asked - known
        if not entries:
            continue
        print(f"Adding ACLs for resource `{resource.shown()}`: \n {_shown(entries)} \n")
        creations = [
            AclToCreate(
                resource_type=RESOURCE_TYPES[resource.kind],
                resource_name=resource.name,
                resource_pattern_type=PATTERN_TYPES[resource.pattern],
                principal=entry.principal,
                host=entry.host,
                operation=OPERATIONS[entry.operation],
                permission_type=PERMISSIONS[entry.permission],
            )
            for entry in sorted(entries)
        ]
        answer = await cluster.ask(CreateAclsRequest(creations=creations), CONTROLLER)
        for result in answer.results:
            check(result.error_code, result.error_message)


def _confirmed(wanted: Rules, *, is_forced: bool) -> Rules:
    """The rules to remove of which somebody says that they shall go."""
    confirmed: Rules = {}
    for resource, entries in wanted.items():
        shown = resource.shown()
        question = (
            f"Are you sure you want to remove ACLs: \n {_shown(entries)} \n from resource filter "
            f"`{shown}`? (y/n)"
            if entries
            else f"Are you sure you want to delete all ACLs for resource filter `{shown}`? (y/n)"
        )
        if not is_forced:
            print(question)
            answer = sys.stdin.readline()
            if not answer:
                raise ToolFailure("Nobody is there to say yes: nothing was removed", "see --force")
            if answer.strip().lower() != "y":
                continue
        confirmed[resource] = entries
    return confirmed


async def _remove(cluster: Cluster, wanted: Rules) -> None:
    for resource, entries in wanted.items():
        removed: list[Entry | None] = [*sorted(entries)] or [None]
        filters = [
            AclFilter(
                resource_type_filter=RESOURCE_TYPES[resource.kind],
                resource_name_filter=resource.name,
                pattern_type_filter=PATTERN_TYPES[resource.pattern],
                principal_filter=None if entry is None else entry.principal,
                host_filter=None if entry is None else entry.host,
                operation=OPERATIONS["ANY" if entry is None else entry.operation],
                permission_type=PERMISSIONS["ANY" if entry is None else entry.permission],
            )
            for entry in removed
        ]
        answer = await cluster.ask(DeleteAclsRequest(filters=filters), CONTROLLER)
        for result in answer.filter_results:
            check(result.error_code, result.error_message)


TOOL = Tool("Lists, adds and removes access rules.", OPTIONS, run)
