"""Whose configuration ``kafka-configs`` is about, as its options say it in two ways."""

from __future__ import annotations

from typing import Final, NamedTuple

from ottla.cli.kafka.options import Options

TOPICS, CLIENTS, USERS, BROKERS = "topics", "clients", "users", "brokers"
LOGGERS, IPS, METRICS, GROUPS = "broker-loggers", "ips", "client-metrics", "groups"
TYPES: Final = (TOPICS, CLIENTS, USERS, BROKERS, IPS, METRICS, GROUPS, LOGGERS)
DEFAULT = ""
"""The name that stands for the default of all entities of a type."""

_NAMED = {
    "topic": TOPICS,
    "client": CLIENTS,
    "user": USERS,
    "broker": BROKERS,
    "broker-logger": LOGGERS,
    "ip": IPS,
    "client-metrics": METRICS,
    "group": GROUPS,
}
_DEFAULTS = {
    "client-defaults": CLIENTS,
    "user-defaults": USERS,
    "broker-defaults": BROKERS,
    "ip-defaults": IPS,
}
_WITH_DEFAULT = {USERS, CLIENTS, BROKERS, IPS}


class Entities(NamedTuple):
    """Types and names in the order given; fewer names than types stand for all of the rest."""

    types: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def pairs(self) -> list[tuple[str, str | None]]:
        """Each type with its name, None where there is none."""
        names = [*self.names, *[None] * (len(self.types) - len(self.names))]
        return list(zip(self.types, names, strict=False))


def entities(options: Options) -> Entities:
    """The entities on a command line.

    Raises:
        ValueError: they can't be.
    """
    given_types = options.values("entity-type")
    names = _names_in_order(options)
    short = [name for name in (*_NAMED, *_DEFAULTS) if options.has(name)]
    types = [*given_types, *((_NAMED | _DEFAULTS)[name] for name in short)]
    names += [options.text(name) if name in _NAMED else DEFAULT for name in short]
    found = Entities(tuple(types), tuple(names))
    _check_types(found)
    uses_long = any(options.has(f"entity-{part}") for part in ("type", "name", "default"))
    if uses_long and short:
        raise ValueError(
            "--entity-{type,name,default} should not be used in conjunction with specific entity "
            "flags"
        )
    return found


def _names_in_order(options: Options) -> list[str]:
    """``--entity-name`` and ``--entity-default``, mixed as they stand on the command line."""
    given = iter(options.values("entity-name"))
    order = [name for name in options.order if name in ("entity-name", "entity-default")]
    return [next(given, DEFAULT) if name == "entity-name" else DEFAULT for name in order]


def _check_types(found: Entities) -> None:
    twice = [each for each in set(found.types) if found.types.count(each) > 1]
    if twice:
        raise ValueError(f"Duplicate entity type(s) specified: {','.join(sorted(twice))}")
    for each in found.types:
        if each not in TYPES:
            raise ValueError(
                f"Invalid entity type {each}, the entity type must be one of {', '.join(TYPES)} "
                "with a --bootstrap-server or --bootstrap-controller argument"
            )
    if not found.types:
        raise ValueError("At least one entity type must be specified")
    if len(found.types) > 1 and set(found.types) != {USERS, CLIENTS}:
        raise ValueError(f"Only '{USERS}' and '{CLIENTS}' entity types may be specified together")


def check_names(found: Entities, options: Options) -> None:
    """Refuse names that don't fit the types or the action; raises ``ValueError``."""
    is_named = any(found.names)
    shown = ",".join(found.types)
    if is_named and found.types[0] in (BROKERS, LOGGERS):
        for name in filter(None, found.names):
            if not name.lstrip("-").isdigit():
                raise ValueError(
                    f"The entity name for {found.types[0]} must be a valid integer broker id, but "
                    f"it is: {name}"
                )
    has_default = bool(_WITH_DEFAULT & set(found.types))
    if options.has("describe"):
        if not has_default and options.has("entity-default"):
            raise ValueError(f"--entity-default must not be specified with --describe of {shown}")
        if LOGGERS in found.types and not is_named:
            raise ValueError(f"An entity name must be specified with --describe of {shown}")
    elif has_default:
        if not found.names:
            raise ValueError(
                "An entity-name or default entity must be specified with --alter of users, "
                "clients, brokers or ips"
            )
    elif not is_named:
        raise ValueError(f"An entity name must be specified with --alter of {shown}")
