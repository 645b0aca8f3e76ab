"""Features of a cluster: what may be finalized at which level (KIP-584, KIP-1022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ottla.metadata.image import ClusterImage


class Feature:
    """One feature, with the levels this version can run at.

    Attributes:
        min_level: the lowest level; 0 for a feature that may be switched off.
        max_level: the highest.
        new_cluster_level: what a new cluster begins with; an older one keeps its level until
            somebody upgrades it.
    """

    __slots__ = ("max_level", "min_level", "name", "new_cluster_level")

    def __init__(self, name: str, min_level: int, max_level: int, new_cluster_level: int) -> None:
        self.name = name
        self.min_level = min_level
        self.max_level = max_level
        self.new_cluster_level = new_cluster_level

    def level(self, image: ClusterImage) -> int:
        """The finalized level; 0 if there is none."""
        return image.features.get(self.name) or 0


#: The format of the metadata, numbered as Kafka's: 30 is 4.3-IV0.
METADATA_VERSION: Final = Feature("metadata.version", 30, 30, 30)
#: 1: flexible records in ``__transaction_state``; 2: a new epoch with every transaction (KIP-890).
TRANSACTION_VERSION: Final = Feature("transaction.version", 0, 2, 2)
#: 1: consumer groups (KIP-848).
GROUP_VERSION: Final = Feature("group.version", 0, 1, 1)
#: 1: share groups (KIP-932).
SHARE_VERSION: Final = Feature("share.version", 0, 1, 1)

FEATURES: Final = {
    each.name: each
    for each in (METADATA_VERSION, TRANSACTION_VERSION, GROUP_VERSION, SHARE_VERSION)
}
