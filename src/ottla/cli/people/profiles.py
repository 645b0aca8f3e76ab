"""Profiles: named settings for the clusters somebody works with."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from typing import Any

from ottla.cli.kafka.failures import ToolFailure

DEFAULT_SERVERS = "localhost:9092"
_SECRET_WORDS = ("password", "secret", "pem", "jaas", "token")
_MOST_BYTES = 1 << 20


def default_path(environment: Mapping[str, str]) -> str:
    """Where profiles are kept: ``OTTLA_PROFILES``, or below the user's configuration."""
    home = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return environment.get("OTTLA_PROFILES") or os.path.join(home, "ottla", "profiles.json")


class Profiles:
    """The profiles of one user, and which of them is in use.

    Args:
        path: the file they are kept in; it needn't exist.

    Raises:
        ToolFailure: the file is no such file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        held: Any = {}
        try:
            with open(path, "rb") as file:
                held = json.loads(file.read(_MOST_BYTES))
        except FileNotFoundError:
            pass  # nobody has made one yet
        except (OSError, ValueError, RecursionError) as error:
            raise ToolFailure(
                f"{path} can't be read: {error}", "move it away to begin anew"
            ) from None
        profiles = held.get("profiles", {}) if isinstance(held, dict) else None
        if not isinstance(profiles, dict):
            raise ToolFailure(f"{path} holds no profiles", "move it away to begin anew")
        self.current: str | None = held.get("current")
        self.all: dict[str, dict[str, str]] = {
            str(name): {str(key): str(text) for key, text in entries.items()}
            for name, entries in profiles.items()
            if isinstance(entries, dict)
        }

    def get(self, name: str | None) -> dict[str, str]:
        """The settings of a profile, or of the one in use; none without any.

        Raises:
            ToolFailure: there is no profile of that name.
        """
        wanted = name or self.current
        if wanted is None:
            return {}
        if wanted not in self.all:
            known = ", ".join(sorted(self.all)) or "none yet: 'ottla profile set' makes one"
            raise ToolFailure(f"There is no profile '{wanted}'", f"there are {known}")
        return dict(self.all[wanted])

    def save(self) -> None:
        """Write the file, for its owner only, whole or not at all.

        Raises:
            ToolFailure: it can't be written.
        """
        directory = os.path.dirname(self.path) or "."
        text = json.dumps({"current": self.current, "profiles": self.all}, indent=2)
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=directory)
            try:
                with os.fdopen(descriptor, "w") as file:
                    file.write(text + "\n")
                os.replace(temporary, self.path)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise
        except OSError as error:
            raise ToolFailure(f"{self.path} can't be written: {error.strerror}") from None


def shown(entries: Mapping[str, str]) -> dict[str, str]:
    """Settings as they may be shown: secrets are not."""
    return {
        key: "(hidden)" if any(word in key.lower() for word in _SECRET_WORDS) else text
        for key, text in sorted(entries.items())
    }


def resolve(
    servers: str | None,
    config: Mapping[str, str],
    profile: Mapping[str, str],
    environment: Mapping[str, str],
) -> dict[str, str]:
    """The settings to connect with: flag, then file, environment, profile, this machine."""
    entries = {**profile, **config}
    from_environment = environment.get("KAFKA_BOOTSTRAP_SERVERS")
    chosen = (
        servers
        or config.get("bootstrap.servers")
        or from_environment
        or profile.get("bootstrap.servers")
        or DEFAULT_SERVERS
    )
    entries["bootstrap.servers"] = chosen
    return entries
