"""The metadata versions of Kafka's releases, and the feature levels that came with each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ottla.cli.kafka.failures import ToolFailure

_OLDEST_LEVEL: Final = 7
_RELEASES: Final = (
    "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2",
    "3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0",
    "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0",
    "4.4-IV0",
)  # fmt: skip
NEWEST: Final = "4.3-IV0"
"""The last one whose format is settled."""
_METADATA = "metadata.version"
# Feature -> the metadata version of the first release that switches it on, and its level there.
_FIRST = {
    "kraft.version": ("3.9-IV0", 1),
    "transaction.version": ("4.0-IV2", 2),
    "group.version": ("4.0-IV0", 1),
    "eligible.leader.replicas.version": ("4.1-IV0", 1),
    "share.version": ("4.2-IV0", 1),
    "streams.version": ("4.2-IV1", 1),
}
_NEEDS = {("eligible.leader.replicas.version", 1): "4.0-IV1"}


def metadata_level(release: str) -> int:
    """The metadata version of a release such as ``4.3-IV0`` or ``4.3``.

    Raises:
        ToolFailure: there is none.
    """
    names = [name for name in _RELEASES if name == release or name.startswith(f"{release}-")]
    if not names:
        raise ToolFailure(
            f"Unknown metadata.version '{release}'. Supported metadata.version are: "
            + ", ".join(_RELEASES)
        )
    return _RELEASES.index(names[-1]) + _OLDEST_LEVEL


def release_of(level: int) -> str | None:
    """The release of a metadata version."""
    index = level - _OLDEST_LEVEL
    return _RELEASES[index] if 0 <= index < len(_RELEASES) else None


def level_text(feature: str, level: int) -> str:
    """A level as people know it: of metadata versions the release."""
    if feature != _METADATA:
        return str(level)
    return release_of(level) or f"UNKNOWN [{level}]"


def features_of_release(release: str) -> dict[str, int]:
    """All levels of a release; raises ``ToolFailure`` if there is none of that name."""
    level = metadata_level(release)
    levels = {_METADATA: level}
    for feature, (first, newest) in _FIRST.items():
        levels[feature] = newest if level >= metadata_level(first) else 0
    return levels


def version_mapping(release: str | None) -> list[str]:
    """What ``version-mapping`` prints."""
    levels = features_of_release(release or NEWEST)
    metadata = levels.pop(_METADATA)
    rest = [f"{feature}={level}" for feature, level in levels.items()]
    return [f"{_METADATA}={metadata} ({release or NEWEST})", *rest]


def describe_dependencies(wanted: Iterable[tuple[str, int]]) -> list[str]:
    """What ``feature-dependencies`` prints; raises ``ToolFailure`` for what nobody knows."""
    lines = []
    for feature, level in wanted:
        if feature == _METADATA:
            release = release_of(level)
            if release is None:
                raise ToolFailure(f"Unknown metadata.version {level}")
            lines.append(f"{_METADATA}={level} ({release}) has no dependencies.")
            continue
        if feature not in _FIRST:
            raise ToolFailure(f"Unknown feature: {feature}")
        if not 0 <= level <= _FIRST[feature][1]:
            raise ToolFailure(f"No feature:{feature} with feature level {level}")
        needed = _NEEDS.get((feature, level))
        if needed is None:
            lines.append(f"{feature}={level} has no dependencies.")
            continue
        lines.append(f"{feature}={level} requires:")
        lines.append(f"    {_METADATA}={metadata_level(needed)} ({needed})")
    return lines
