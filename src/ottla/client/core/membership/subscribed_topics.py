"""Which topics a subscription means, and which of them the application should know are missing."""

from __future__ import annotations

from collections.abc import Iterable

from ottla.client.core.cluster import ClusterView
from ottla.client.core.membership.membership import Failed, Subscription
from ottla.client.core.membership.patterns import compile_pattern
from ottla.client.errors import KafkaError, describe
from ottla.wire.errors import ErrorCode

# How long a topic just made may be unknown to some broker. Metadata is asked for more often.
_PROPAGATION_MS = 250
# What passes by itself, soon after a topic was made, is no news for the application.
_PASSING = frozenset({ErrorCode.NONE, ErrorCode.LEADER_NOT_AVAILABLE})


class SubscribedTopics:
    """The topics of a subscription, as far as the view of the cluster shows them.

    Args:
        subscription: what the application wants.
        excluded: patterns of topics that no pattern of the subscription matches.
    """

    __slots__ = (
        "_excluded", "_missing_since_ms", "_patterns", "_reported", "found", "is_known", "names",
    )  # fmt: skip

    def __init__(self, subscription: Subscription, *, excluded: Iterable[str] = ()) -> None:
        self.names = subscription.topics
        # Those that exist, by name or by pattern.
        self.found: frozenset[str] = frozenset()
        # Whether it has been seen which ones exist.
        self.is_known = False
        self._patterns = [compile_pattern(each) for each in subscription.patterns]
        self._excluded = [compile_pattern(each) for each in excluded]
        self._reported: dict[str, int] = {}
        self._missing_since_ms: dict[str, float] = {}

    @property
    def has_patterns(self) -> bool:
        """Whether all topics of the cluster have to be looked at."""
        return bool(self._patterns)

    def look(self, cluster: ClusterView) -> bool:
        """See which topics there are now; whether that is news, after the first time."""
        before, was_known = self.found, self.is_known
        self.found = frozenset(
            name
            for name, topic in cluster.topics.items()
            if (topic.error_code == ErrorCode.NONE or topic.partitions)
            and (name in self.names or self._matches(name))
        )
        # Lists of all topics do not say which ones are missing.
        is_told = self.has_patterns or self.names <= cluster.topics.keys()
        self.is_known = was_known or is_told
        return was_known and self.found != before

    def _matches(self, name: str) -> bool:
        return any(pattern.match(name) for pattern in self._patterns) and not any(
            pattern.match(name) for pattern in self._excluded
        )

    def failures(self, cluster: ClusterView, now_ms: float) -> list[Failed]:
        """The topics that turned out to be missing, each once until it is there again."""
        failures = []
        for name in sorted(self.names):
            topic = cluster.topics.get(name)
            if topic is None:
                continue
            code = topic.error_code
            if code in _PASSING:
                self._reported.pop(name, None)
                self._missing_since_ms.pop(name, None)
                continue
            since_ms = self._missing_since_ms.setdefault(name, now_ms)
            if self._reported.get(name) != code and now_ms - since_ms >= _PROPAGATION_MS:
                self._reported[name] = code
                text = f"Subscribed topic not available: {name}: {describe(code)}"
                failures.append(Failed(KafkaError(code, text), name))
        return failures
