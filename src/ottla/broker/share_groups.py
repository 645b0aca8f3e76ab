"""The way to everything about share groups; each part comes into being with its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.metadata.features import SHARE_VERSION
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.node import BrokerNode
    from ottla.broker.shares.coordinator import ShareCoordinator
    from ottla.broker.shares.offsets import ShareGroupOffsets
    from ottla.broker.shares.partitions import SharePartitions
    from ottla.broker.shares.sessions import ShareSessions
    from ottla.broker.steady_time import SteadyTime
    from ottla.metadata.image import ClusterImage


class ShareGroups:
    """What one broker does for share groups."""

    __slots__ = ("_broker", "_coordinator", "_offsets", "_partitions", "_sessions", "_time")

    def __init__(self, broker: BrokerNode, time: SteadyTime) -> None:
        self._broker = broker
        self._time = time
        self._coordinator: ShareCoordinator | None = None
        self._partitions: SharePartitions | None = None
        self._sessions: ShareSessions | None = None
        self._offsets: ShareGroupOffsets | None = None

    @property
    def coordinator(self) -> ShareCoordinator:
        """Remembers what has become of records."""
        if self._coordinator is None:
            from ottla.broker.shares.coordinator import ShareCoordinator

            self._coordinator = ShareCoordinator(self._broker, self._time)
        return self._coordinator

    @property
    def partitions(self) -> SharePartitions:
        """Knows which records are in delivery."""
        if self._partitions is None:
            from ottla.broker.shares.partitions import SharePartitions

            self._partitions = SharePartitions(self._broker, self.coordinator, self._time)
        return self._partitions

    @property
    def sessions(self) -> ShareSessions:
        """Knows what each member fetches."""
        if self._sessions is None:
            from ottla.broker.shares.sessions import ShareSessions

            limit = self._broker.config.integer("group.share.max.share.sessions")
            self._sessions = ShareSessions(
                limit, self._broker.connections, self.partitions.member_left
            )
        return self._sessions

    @property
    def offsets(self) -> ShareGroupOffsets:
        """Begins, moves and deletes the state of whole groups."""
        if self._offsets is None:
            from ottla.broker.shares.offsets import ShareGroupOffsets

            self._offsets = ShareGroupOffsets(self._broker, self.coordinator, self.partitions)
        return self._offsets

    def check_enabled(self) -> None:
        """Refuse while the feature ``share.version`` is switched off.

        Raises:
            ProtocolError: it is.
        """
        if not SHARE_VERSION.level(self._broker.cluster.image):
            raise ProtocolError(ErrorCode.UNSUPPORTED_VERSION, "share.version is 0")

    def follow(self, before: ClusterImage, after: ClusterImage) -> None:
        """Forget deleted topics."""
        deleted = frozenset(
            topic_id for topic_id in after.deleted_topics if topic_id not in before.deleted_topics
        )
        if not deleted or not self.coordinator_exists(after):
            return
        from ottla.coordination.share_groups.commands import ShareTopicsDeleted

        self.coordinator.forget_topics(deleted)
        if self._partitions is not None:
            self._partitions.forget_topics(deleted)
        self._broker.groups.submit_to_all_when_ready(ShareTopicsDeleted(deleted))

    def coordinator_exists(self, image: ClusterImage) -> bool:
        """Whether there has ever been a share group."""
        from ottla.metadata.topic_names import SHARE_GROUP_STATE_TOPIC

        return SHARE_GROUP_STATE_TOPIC in image.topics

    def stop(self) -> None:
        """Stop all timers; nothing is decided any more."""
        if self._partitions is not None:
            self._partitions.stop()
        if self._coordinator is not None:
            self._coordinator.stop()
