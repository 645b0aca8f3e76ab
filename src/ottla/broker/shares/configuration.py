"""What the configuration says of one share group: its own keys within the broker's limits."""

from __future__ import annotations

import re
from typing import NamedTuple

from ottla.coordination.share_partitions.settings import ShareSettings
from ottla.metadata.config.resolve import ConfigResolver
from ottla.metadata.image import ClusterImage, ResourceType

_READ_COMMITTED = "read_committed"
_SECOND_MS = 1_000
_DURATION = re.compile(
    r"by_duration:P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII
)


class ShareConfiguration(NamedTuple):
    """The configuration of one share group.

    auto_offset_reset: ``earliest``, ``latest``, or a duration before now in ms.
    """

    partitions: ShareSettings
    is_read_committed: bool
    auto_offset_reset: str | int


class ShareConfigurations:
    """The configuration of every share group, resolved once for each state of the metadata."""

    __slots__ = ("_configs", "_known", "_resolver")

    def __init__(self, resolver: ConfigResolver) -> None:
        self._resolver = resolver
        self._configs: object = None
        self._known: dict[str, ShareConfiguration] = {}

    def of(self, image: ClusterImage, group_id: str) -> ShareConfiguration:
        """What applies to the group now."""
        if self._configs is not image.configs:
            self._configs = image.configs
            self._known.clear()
        known = self._known.get(group_id)
        if known is None:
            known = self._known[group_id] = self._resolve(image, group_id)
        return known

    def _resolve(self, image: ClusterImage, group_id: str) -> ShareConfiguration:
        def own(name: str) -> object:
            return self._resolver.group(image, group_id, name)

        return ShareConfiguration(
            ShareSettings(
                record_lock_duration_ms=self._within(image, group_id, "record.lock.duration.ms"),
                delivery_count_limit=self._within(image, group_id, "delivery.count.limit"),
                max_record_locks=self._within(image, group_id, "partition.max.record.locks"),
                is_renew_enabled=bool(own("share.renew.acknowledge.enable")),
            ),
            own("share.isolation.level") == _READ_COMMITTED,
            _offset_reset(str(own("share.auto.offset.reset"))),
        )

    def _within(self, image: ClusterImage, group_id: str, name: str) -> int:
        """A group's value; the broker's limits may have become narrower since it was set."""
        broker = self._resolver.broker(image)
        value = self._resolver.group(image, group_id, f"share.{name}")
        assert isinstance(value, int)
        if f"share.{name}" not in image.config(ResourceType.GROUP, group_id):
            return value
        lowest = broker.integer(f"group.share.min.{name}")
        return max(lowest, min(broker.integer(f"group.share.max.{name}"), value))


def _offset_reset(text: str) -> str | int:
    found = _DURATION.fullmatch(text)
    if found is None:
        return text
    days, hours, minutes = (int(part or 0) for part in found.groups()[:3])
    seconds = float(found.group(4) or 0)
    return int((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * _SECOND_MS)
