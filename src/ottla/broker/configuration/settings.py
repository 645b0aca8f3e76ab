"""One configured value and where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ottla.metadata.config.broker_keys import broker_synonyms, without_listener


class Setting(NamedTuple):
    """A key's text as someone wrote it."""

    key: str
    value: str
    origin: str
    """Where it was written, for people: a file and line, an environment variable, a flag."""


class ConfigurationError(ValueError):
    """What was configured can't be used; ``problems`` says each reason in one plain sentence."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


# Two names of one thing, beside what the metadata room knows to be one value in several units.
_TWO_NAMES: Mapping[str, tuple[str, ...]] = {
    "log.dir": ("log.dirs", "log.dir"),
    "log.dirs": ("log.dirs", "log.dir"),
    "broker.id": ("node.id", "broker.id"),
    "node.id": ("node.id", "broker.id"),
}


def layered(layers: Iterable[Iterable[Setting]]) -> dict[str, Setting]:
    """Merge layers, lowest precedence first; within a layer the last setting of a key wins.

    A key set in a higher layer also silences its synonyms below: ``--set log.retention.hours=1``
    holds although a file says ``log.retention.ms``, which Kafka would prefer within one file.
    """
    merged: dict[str, Setting] = {}
    for layer in layers:
        own = {setting.key: setting for setting in layer}
        for key in own:
            for synonym in _other_names(key):
                merged.pop(synonym, None)
        merged.update(own)
    return merged


def _other_names(key: str) -> tuple[str, ...]:
    if without_listener(key) is not None:
        # A listener's own value stands beside the common one, it does not replace it.
        return ()
    return _TWO_NAMES.get(key) or broker_synonyms(key)


def first_of(settings: Mapping[str, Setting], *keys: str) -> Setting:
    """The first of ``keys`` that is set; one must be."""
    return next(settings[key] for key in keys if key in settings)
