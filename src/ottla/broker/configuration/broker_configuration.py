"""The checked configuration a broker starts with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from ottla.broker.configuration.environment import CLUSTER_ID_KEY
from ottla.broker.configuration.listeners import (
    DEFAULT_PORT,
    ListenerConfiguration,
    build_listeners,
)
from ottla.broker.configuration.settings import ConfigurationError, Setting, first_of, layered
from ottla.metadata.config.broker_keys import BROKER_KEYS, find_broker_key
from ottla.metadata.config.keys import ConfigValueError

# Where Ottla's default is not Kafka's: a broker that just starts, safely, on one's own machine.
OWN_DEFAULTS = (
    Setting("node.id", "1", "Ottla's default"),
    Setting("listeners", f"PLAINTEXT://127.0.0.1:{DEFAULT_PORT}", "Ottla's default"),
    Setting("log.dirs", "ottla-data", "Ottla's default"),
)


class BrokerConfiguration(NamedTuple):
    """What a broker is started with; nothing of it changes while it runs.

    Typed values of other keys come from ``metadata.config.resolve``, which lays what was altered
    at run time over :attr:`values`.
    """

    node_id: int
    cluster_id: str | None
    """The id a fresh data directory is given, and an old one must have; ``None`` for any."""
    rack: str | None
    listeners: tuple[ListenerConfiguration, ...]
    log_dirs: tuple[str, ...]
    """Absolute paths."""
    values: Mapping[str, str]
    """The broker keys someone set, or whose default is Ottla's own, as text."""
    origins: Mapping[str, str]
    """Where each of ``values`` was set, for people: a file and line, a variable, a flag."""
    warnings: tuple[str, ...]
    """What was set to no effect, each a sentence for the log."""


def build_configuration(layers: Iterable[Iterable[Setting]]) -> BrokerConfiguration:
    """Check every setting and gather them.

    Args:
        layers: settings by source, the weakest first; Ottla's own defaults lie below them all.

    Raises:
        ConfigurationError: with one problem for each value that can't be used.
    """
    settings = layered([OWN_DEFAULTS, *layers])
    cluster_id = settings.pop(CLUSTER_ID_KEY, None)
    known = {key: setting for key, setting in settings.items() if find_broker_key(key)}
    problems = [problem for setting in known.values() if (problem := _problem_of(setting))]
    if problems:
        raise ConfigurationError(*problems)
    _check_roles(known.get("process.roles"))
    return BrokerConfiguration(
        node_id=_node_id(known),
        cluster_id=_cluster_id(cluster_id),
        rack=known["broker.rack"].value.strip() if "broker.rack" in known else None,
        listeners=build_listeners(
            known["listeners"],
            known.get("advertised.listeners"),
            known.get("listener.security.protocol.map"),
            known.get("controller.listener.names"),
        ),
        log_dirs=_log_dirs(known),
        values=MappingProxyType({key: setting.value for key, setting in known.items()}),
        origins=MappingProxyType({key: setting.origin for key, setting in known.items()}),
        warnings=tuple(_unknown_warning(settings[key]) for key in settings if key not in known),
    )


def configuration_of(values: Mapping[str, str], *, origin: str) -> BrokerConfiguration:
    """A configuration of these values alone, all from one place.

    Raises:
        ConfigurationError: a value can't be used.
    """
    return build_configuration([[Setting(key, value, origin) for key, value in values.items()]])


def _problem_of(setting: Setting) -> str | None:
    try:
        definition = find_broker_key(setting.key)
        assert definition is not None
        definition.parse(setting.value)
    except ConfigValueError as error:
        return f"{setting.origin}: {error}"
    return None


def _unknown_warning(setting: Setting) -> str:
    import difflib

    close = difflib.get_close_matches(setting.key, BROKER_KEYS, n=1, cutoff=0.75)
    suggestion = f"; did you mean {close[0]}?" if close else ""
    return f"unknown setting {setting.key} ({setting.origin}) has no effect{suggestion}"


def _check_roles(roles: Setting | None) -> None:
    if roles is None or not roles.value.strip():
        return
    if "broker" not in [role.strip() for role in roles.value.split(",")]:
        raise ConfigurationError(
            f"process.roles={roles.value} ({roles.origin}): this process is a broker and needs no "
            "separate controller; leave process.roles out, or include broker"
        )


def _node_id(known: Mapping[str, Setting]) -> int:
    chosen = first_of(known, "node.id", "broker.id")
    old = known.get("broker.id", chosen)
    if int(old.value) != int(chosen.value):
        raise ConfigurationError(
            f"node.id={chosen.value} ({chosen.origin}) and broker.id={old.value} ({old.origin}) "
            "are one setting under two names; set one of them"
        )
    if int(chosen.value) < 0:
        raise ConfigurationError(
            f"{chosen.key}={chosen.value} ({chosen.origin}): allowed: 0 to 2147483647"
        )
    return int(chosen.value)


def _cluster_id(setting: Setting | None) -> str | None:
    if setting is None or not setting.value.strip():
        return None
    cluster_id = setting.value.strip()
    if any(character.isspace() or not character.isprintable() for character in cluster_id):
        raise ConfigurationError(
            f"{setting.key}={setting.value!r} ({setting.origin}): allowed: text without spaces"
        )
    return cluster_id


def _log_dirs(known: Mapping[str, Setting]) -> tuple[str, ...]:
    setting = first_of(known, "log.dirs", "log.dir")
    paths = [os.path.abspath(path.strip()) for path in setting.value.split(",") if path.strip()]
    where = f"{setting.key}={setting.value} ({setting.origin})"
    if not paths:
        raise ConfigurationError(f"{where}: name at least one directory")
    if len(set(paths)) < len(paths):
        raise ConfigurationError(f"{where}: the same directory occurs twice")
    return tuple(paths)
