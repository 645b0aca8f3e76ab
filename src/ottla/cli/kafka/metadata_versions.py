"""The metadata versions of Kafka's releases, and the feature levels that came with each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
METADATA = "metadata.version"
_QUORUM = "kraft.version"
# Feature -> the metadata version of the first release that switches it on, and its level there.
_FIRST = {
    _QUORUM: ("3.9-IV0", 1),
    "transaction.version": ("4.0-IV2", 2),
    "group.version": ("4.0-IV0", 1),
    "eligible.leader.replicas.version": ("4.1-IV0", 1),
    "share.version": ("4.2-IV0", 1),
    "streams.version": ("4.2-IV1", 1),
}
_NEEDS = {("eligible.leader.replicas.version", 1): "4.0-IV1"}


def metadata_level(release: str, *, is_settled: bool = False) -> int:
    """The metadata version of a release such as ``4.3-IV0`` or ``4.3``.

    Args:
        release: its name.
        is_settled: only those count whose format is settled.

    Raises:
        ToolFailure: there is none.
    """
    known = _RELEASES[: _RELEASES.index(NEWEST) + 1] if is_settled else _RELEASES
    names = [name for name in known if name == release or name.startswith(f"{release}-")]
    if not names:
        raise ToolFailure(
            f"Unknown metadata.version '{release}'. Supported metadata.version are: "
            + ", ".join(known)
        )
    return _RELEASES.index(names[-1]) + _OLDEST_LEVEL


def release_of(level: int) -> str | None:
    """The release of a metadata version."""
    index = level - _OLDEST_LEVEL
    return _RELEASES[index] if 0 <= index < len(_RELEASES) else None


def level_text(feature: str, level: int) -> str:
    """A level as people know it: of metadata versions the release."""
    if feature != METADATA:
        return str(level)
    return release_of(level) or f"UNKNOWN [{level}]"


def features_of_release(release: str) -> dict[str, int]:
    """All levels of a release; raises ``ToolFailure`` if there is none of that name."""
    level = metadata_level(release)
    levels = {METADATA: level}
    for feature, (first, newest) in _FIRST.items():
        levels[feature] = newest if level >= metadata_level(first) else 0
    return levels


def features_to_format(
    release: str | None, chosen: Mapping[str, int], *, has_dynamic_quorum: bool
) -> dict[str, int]:
    """The levels a new cluster begins with.

    Args:
        release: whose levels; the newest settled one's by default.
        chosen: levels that are to be others.
        has_dynamic_quorum: its controllers can be exchanged (KIP-853).

    Raises:
        ToolFailure: they don't go together, or there are none such.
    """
    if METADATA not in chosen:
        metadata = metadata_level(release or NEWEST, is_settled=True)
    elif release is None:
        metadata = chosen[METADATA]
    else:
        raise ToolFailure(
            "Use --release-version instead of --feature metadata.version=X to avoid ambiguity."
        )
    name = release_of(metadata)
    if name is None:
        newest = _OLDEST_LEVEL + len(_RELEASES) - 1
        raise ToolFailure(
            f"No MetadataVersion with feature level {metadata}. Valid feature levels are from "
            f"{_OLDEST_LEVEL} to {newest}."
        )
    if metadata > metadata_level(NEWEST):
        raise ToolFailure(f"{METADATA} {name} is not yet stable.")
    levels = features_of_release(name)
    levels[_QUORUM] = int(has_dynamic_quorum)
    for feature, level in chosen.items():
        if feature != METADATA:
            _check_level(feature, level, metadata)
            levels[feature] = level
    if bool(levels[_QUORUM]) != has_dynamic_quorum:
        raise ToolFailure(_quorum_mismatch(levels[_QUORUM]))
    return levels


def _quorum_mismatch(level: int) -> str:
    flags = "--standalone, --initial-controllers, or --no-initial-controllers"
    when, hint = "if", f"removing the --feature flag for {_QUORUM}"
    if level:
        when, hint = "unless", f"using one of {flags} and removing controller.quorum.voters"
    return (
        f"Cannot set {_QUORUM} to {level} {when} controller.quorum.voters is empty and one of the "
        f"flags {flags} is used. For dynamic controllers support, try {hint}."
    )


def _check_level(feature: str, level: int, metadata: int) -> None:
    if feature not in _FIRST:
        raise ToolFailure(
            f"Unsupported feature: {feature}. Supported features are: " + ", ".join(sorted(_FIRST))
        )
    if not 0 <= level <= _FIRST[feature][1]:
        raise ToolFailure(f"No feature:{feature} with feature level {level}")
    needed = _NEEDS.get((feature, level))
    if needed is not None and metadata < metadata_level(needed):
        raise ToolFailure(
            f"{feature} could not be set to {level} because it depends on {METADATA} level "
            f"{metadata_level(needed)}"
        )


def version_mapping(release: str | None) -> list[str]:
    """What ``version-mapping`` prints."""
    levels = features_of_release(release or NEWEST)
    metadata = levels.pop(METADATA)
    rest = [f"{feature}={level}" for feature, level in levels.items()]
    return [f"{METADATA}={metadata} ({release or NEWEST})", *rest]


def describe_dependencies(wanted: Iterable[tuple[str, int]]) -> list[str]:
    """What ``feature-dependencies`` prints; raises ``ToolFailure`` for what nobody knows."""
    lines = []
    for feature, level in wanted:
        if feature == METADATA:
            release = release_of(level)
            if release is None:
                raise ToolFailure(f"Unknown metadata.version {level}")
            lines.append(f"{METADATA}={level} ({release}) has no dependencies.")
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
        lines.append(f"    {METADATA}={metadata_level(needed)} ({needed})")
    return lines
