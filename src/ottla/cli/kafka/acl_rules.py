"""Access rules as ``kafka-acls`` takes and shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from ottla.cli.kafka.failures import UsageError
from ottla.cli.kafka.options import Options

RESOURCE_TYPES: Final = {
    "ANY": 1, "TOPIC": 2, "GROUP": 3, "CLUSTER": 4, "TRANSACTIONAL_ID": 5, "DELEGATION_TOKEN": 6,
    "USER": 7,
}  # fmt: skip
PATTERN_TYPES: Final = {"ANY": 1, "MATCH": 2, "LITERAL": 3, "PREFIXED": 4}
OPERATIONS: Final = {
    "ANY": 1, "ALL": 2, "READ": 3, "WRITE": 4, "CREATE": 5, "DELETE": 6, "ALTER": 7, "DESCRIBE": 8,
    "CLUSTER_ACTION": 9, "DESCRIBE_CONFIGS": 10, "ALTER_CONFIGS": 11, "IDEMPOTENT_WRITE": 12,
    "CREATE_TOKENS": 13, "DESCRIBE_TOKENS": 14, "TWO_PHASE_COMMIT": 15,
}  # fmt: skip
PERMISSIONS: Final = {"ANY": 1, "DENY": 2, "ALLOW": 3}
CLUSTER_NAME: Final = "kafka-cluster"
_SUPPORTED = {
    "TOPIC": (
        "READ", "WRITE", "CREATE", "DESCRIBE", "DELETE", "ALTER", "DESCRIBE_CONFIGS",
        "ALTER_CONFIGS",
    ),
    "GROUP": ("READ", "DESCRIBE", "DELETE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"),
    "CLUSTER": (
        "CREATE", "CLUSTER_ACTION", "DESCRIBE_CONFIGS", "ALTER_CONFIGS", "IDEMPOTENT_WRITE",
        "ALTER", "DESCRIBE",
    ),
    "TRANSACTIONAL_ID": ("DESCRIBE", "WRITE", "TWO_PHASE_COMMIT"),
    "DELEGATION_TOKEN": ("DESCRIBE",),
    "USER": ("CREATE_TOKENS", "DESCRIBE_TOKENS"),
}  # fmt: skip


class Resource(NamedTuple):
    """A resource, or a pattern of names."""

    kind: str
    name: str
    pattern: str

    def shown(self, what: str = "ResourcePattern") -> str:
        """As Kafka prints it."""
        return f"{what}(resourceType={self.kind}, name={self.name}, patternType={self.pattern})"


class Entry(NamedTuple):
    """Who may, or may not, do what from where."""

    principal: str
    host: str
    operation: str
    permission: str

    def __str__(self) -> str:
        return (
            f"(principal={self.principal}, host={self.host}, operation={self.operation}, "
            f"permissionType={self.permission})"
        )


Rules = dict[Resource, set[Entry]]


def operation_named(text: str) -> str:
    """An operation in any spelling; ``UNKNOWN``, which no resource supports, if there is none."""
    spelled = {known.replace("_", "").lower(): known for known in OPERATIONS}
    return spelled.get(text.strip().replace("_", "").lower(), "UNKNOWN")


def parse_principal(text: str) -> str:
    """``User:alice``; raises ``ValueError`` for what has no type."""
    kind, colon, name = text.strip().partition(":")
    if not colon:
        raise ValueError(
            f"expected a string in format principalType:principalName but got {text.strip()}"
        )
    return f"{kind}:{name}"


def resources(options: Options, *, is_needed: bool = True) -> list[Resource]:
    """The resources that the options name; raises ``UsageError`` when there are none."""
    pattern = options.text("resource-pattern-type").upper()
    named = {
        "topic": "TOPIC",
        "group": "GROUP",
        "transactional-id": "TRANSACTIONAL_ID",
        "delegation-token": "DELEGATION_TOKEN",
        "user-principal": "USER",
    }
    found = [
        Resource(kind, name.strip(), pattern)
        for option, kind in named.items()
        for name in options.values(option)
    ]
    if pattern == "LITERAL" and (options.has("cluster") or options.has("idempotent")):
        found.append(Resource("CLUSTER", CLUSTER_NAME, "LITERAL"))
    if not found and is_needed:
        raise UsageError(
            "You must provide at least one resource: --topic <topic> or --cluster or --group "
            "<group> or --delegation-token <Delegation Token ID>"
        )
    return found


def _entries(options: Options, operations: Iterable[str]) -> set[Entry]:
    found: set[Entry] = set()
    for permission in ("ALLOW", "DENY"):
        who, where = f"{permission.lower()}-principal", f"{permission.lower()}-host"
        hosts = [host.strip() for host in options.values(where)] or ["*"]
        found |= {
            Entry(parse_principal(principal), host, operation, permission)
            for principal in options.values(who)
            for operation in operations
            for host in hosts
        }
    return found


def rules(options: Options) -> Rules:
    """The rules to add or to remove; a resource without any stands for all that it has.

    Raises:
        UsageError: there is no resource, or an operation doesn't fit one.
    """
    found: Rules = {}
    named = resources(options)
    if not options.has("producer") and not options.has("consumer"):
        operations = [operation_named(each) for each in options.values("operation")]
        found = {resource: _entries(options, operations) for resource in named}
    if options.has("producer"):
        _add(found, options, named, {"TOPIC": ("WRITE", "DESCRIBE", "CREATE")})
        _add(found, options, named, {"TRANSACTIONAL_ID": ("WRITE", "DESCRIBE")})
        if options.has("idempotent"):
            cluster = Resource("CLUSTER", CLUSTER_NAME, "LITERAL")
            found[cluster] = _entries(options, ["IDEMPOTENT_WRITE"])
    if options.has("consumer"):
        _add(found, options, named, {"TOPIC": ("READ", "DESCRIBE"), "GROUP": ("READ",)})
    _check_operations(found)
    return found


def _add(
    found: Rules, options: Options, named: Iterable[Resource], kinds: Mapping[str, tuple[str, ...]]
) -> None:
    for resource in named:
        if resource.kind in kinds:
            entries = _entries(options, kinds[resource.kind])
            found[resource] = found.get(resource, set()) | entries


def _check_operations(found: Rules) -> None:
    for resource, entries in found.items():
        supported = {*_SUPPORTED[resource.kind], "ALL"}
        if {entry.operation for entry in entries} - supported:
            shown = ", ".join(sorted(supported))
            raise UsageError(f"ResourceType {resource.kind} only supports operations {shown}")
