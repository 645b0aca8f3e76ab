"""Which topics a subscription means, and which of them the application should know are missing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ottla.client.core.cluster import ClusterView
from ottla.client.core.membership.membership import Failed, Subscription
from ottla.client.core.membership.patterns import compile_pattern
from ottla.client.errors import KafkaError, describe
from ottla.wire.errors import ErrorCode

# What passes by itself, soon after a topic was made, is no news for the application.
_PASSING = frozenset({ErrorCode.NONE, ErrorCode.LEADER_NOT_AVAILABLE})


class SubscribedTopics:
    """The topics of a subscription, as far as the view of the cluster shows them.

    Args:
        subscription: what the application wants.
        excluded: patterns of topics that no pattern of the subscription matches.
        matches_patterns: whether patterns are matched here, and not by the group's coordinator.
    """

    __slots__ = ("_excluded", "_matches_patterns", "_patterns", "_reported", "matched", "names")

    def __init__(
        self,
        subscription: Subscription,
        *,
        excluded: Iterable[str] = (),
        matches_patterns: bool = True,
    ) -> None:
        self.names = subscription.topics
        # None: not known yet.
        self.matched: frozenset[str] | None = frozenset()
        self._patterns: list[re.Pattern[str]] = []
        if subscription.patterns and matches_patterns:
            self.matched = None
            self._patterns = [compile_pattern(each) for each in subscription.patterns]
        self._matches_patterns = matches_patterns
        self._excluded = [compile_pattern(each) for each in excluded]
        self._reported: dict[str, int] = {}

    @property
    def is_known(self) -> bool:
        """Whether it has been seen which topics the patterns match."""
        return self.matched is not None

    @property
    def topics(self) -> frozenset[str]:
        """All topics of the subscription that are known by name."""
        return self.names | (self.matched or frozenset())

    @property
    def has_patterns(self) -> bool:
        """Whether all topics of the cluster have to be looked at."""
        return bool(self._patterns)

    def look(self, cluster: ClusterView) -> bool:
        """Match the patterns against the topics there are now; whether that changed anything."""
        if not self._patterns:
            return False
        before = self.matched
        self.matched = frozenset(
            name
            for name, topic in cluster.topics.items()
            if topic.error_code == ErrorCode.NONE
            and any(pattern.match(name) for pattern in self._patterns)
            and not any(pattern.match(name) for pattern in self._excluded)
        )
        return self.matched != before

    def failures(self, cluster: ClusterView) -> list[Failed]:
        """The topics that turned out to be missing, each once until it is there again."""
        failures = []
        for name in sorted(self.names):
            topic = cluster.topics.get(name)
            if topic is None:
                continue
            code = topic.error_code
            if code in _PASSING:
                self._reported.pop(name, None)
            elif self._reported.get(name) != code:
                self._reported[name] = code
                text = f"Subscribed topic not available: {name}: {describe(code)}"
                failures.append(Failed(KafkaError(code, text), name))
        return failures
