"""From flags, environment and file to one configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from ottla.broker.configuration.broker_configuration import BrokerConfiguration, build_configuration
from ottla.broker.configuration.environment import environment_settings
from ottla.broker.configuration.listeners import parse_address
from ottla.broker.configuration.properties import PropertiesError, parse_properties
from ottla.broker.configuration.settings import ConfigurationError, Setting, layered


class Flags(NamedTuple):
    """What the command line gave, as text."""

    data_directory: str | None = None
    listen: tuple[str, ...] = ()
    """``HOST:PORT`` each."""
    advertise: tuple[str, ...] = ()
    """``HOST:PORT`` each, for the listener in the same position."""
    settings: tuple[str, ...] = ()
    """``KEY=VALUE`` each."""
    properties_file: str | None = None


def load_configuration(flags: Flags, environment: Mapping[str, str]) -> BrokerConfiguration:
    """Layer every source, the strongest last, and check the values.

    Raises:
        ConfigurationError: a source can't be read or a value can't be used.
    """
    file = _file_settings(flags.properties_file) if flags.properties_file is not None else []
    below = [file, environment_settings(environment)]
    dedicated = _flag_settings(flags, layered(below))
    return build_configuration([*below, dedicated, _set_settings(flags.settings)])


def _file_settings(path: str) -> list[Setting]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ConfigurationError(f"can't read --config {path}: {error.strerror}") from error
    try:
        # Java reads ISO 8859-1, people write UTF-8; where the two differ, only one is possible.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    try:
        entries = parse_properties(text)
    except PropertiesError as error:
        raise ConfigurationError(f"{path}:{error.line}: {error.reason}") from error
    return [Setting(entry.key, entry.value, f"{path}:{entry.line}") for entry in entries]


def _set_settings(assignments: tuple[str, ...]) -> list[Setting]:
    settings = []
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigurationError(f"--set {assignment}: write --set KEY=VALUE")
        settings.append(Setting(key.strip(), value, "--set"))
    return settings


def _flag_settings(flags: Flags, below: Mapping[str, Setting]) -> list[Setting]:
    settings = []
    if flags.data_directory is not None:
        # A comma separates directories in log.dirs; --data names exactly one.
        if "," in flags.data_directory or not flags.data_directory.strip():
            raise ConfigurationError(f"--data {flags.data_directory}: name one directory")
        # The shell expands `--data ~/x` but not `--data=~/x`.
        directory = os.path.expanduser(flags.data_directory)
        settings.append(Setting("log.dirs", directory, "--data"))
    if flags.listen:
        settings += _listen_settings(flags.listen, below)
    if flags.advertise:
        names = _listener_names(settings, below)
        settings.append(_advertise_setting(flags.advertise, names))
    return settings


def _listen_settings(listen: tuple[str, ...], below: Mapping[str, Setting]) -> list[Setting]:
    """``listeners`` of the addresses given; those after the first need names of their own."""
    names = ["PLAINTEXT", *(f"PLAINTEXT_{number}" for number in range(2, len(listen) + 1))]
    urls = []
    for name, text in zip(names, listen, strict=True):
        urls.append(f"{name}://{_checked_address('--listen', text)}")
    settings = [Setting("listeners", ",".join(urls), "--listen")]
    advertised = below.get("advertised.listeners")
    if advertised is not None:
        settings.append(_only_names(advertised, names))
    if len(listen) > 1:
        mapped = [f"{name}:PLAINTEXT" for name in names]
        configured = below.get("listener.security.protocol.map")
        if configured is not None:
            mapped.insert(0, configured.value)
        settings.append(Setting("listener.security.protocol.map", ",".join(mapped), "--listen"))
    return settings


def _only_names(advertised: Setting, names: list[str]) -> Setting:
    """The advertised addresses of listeners that ``--listen`` has not replaced."""
    entries = (entry.strip() for entry in advertised.value.split(","))
    kept = [entry for entry in entries if entry.partition("://")[0].upper() in names]
    return advertised._replace(value=",".join(kept))


def _listener_names(settings: list[Setting], below: Mapping[str, Setting]) -> list[str]:
    listeners = {setting.key: setting for setting in settings}.get("listeners")
    listeners = listeners or below.get("listeners")
    if listeners is None:
        return ["PLAINTEXT"]
    return [entry.partition("://")[0].strip() for entry in listeners.value.split(",")]


def _advertise_setting(advertise: tuple[str, ...], names: list[str]) -> Setting:
    if len(advertise) > len(names):
        raise ConfigurationError(
            f"--advertise is given {len(advertise)} times for {len(names)} listener(s); "
            "each belongs to the --listen in the same position"
        )
    urls = [
        f"{name}://{_checked_address('--advertise', text)}"
        for name, text in zip(names, advertise, strict=False)
    ]
    return Setting("advertised.listeners", ",".join(urls), "--advertise")


def _checked_address(flag: str, text: str) -> str:
    try:
        return str(parse_address(text))
    except ValueError as error:
        raise ConfigurationError(f"{flag} {text}: {error}") from None
