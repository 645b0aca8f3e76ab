"""``--print-metrics``: the client's statistics in Kafka's table, under the names they have here."""

from __future__ import annotations

import json
from typing import Any, Final

_INTERVAL_MS: Final = 100


class ClientMetrics:
    """Keeps the last statistics of a client.

    Args:
        kind: ``producer`` or ``consumer``.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._last: dict[str, Any] = {}

    @property
    def settings(self) -> dict[str, Any]:
        """What the client is configured with for that."""
        return {"statistics.interval.ms": _INTERVAL_MS, "stats_cb": self._take}

    def _take(self, text: str) -> None:
        self._last = json.loads(text)

    def lines(self) -> list[str]:
        """The table, one number per line."""
        client = f"client-id={self._last.get('client_id', '')}"
        found = _numbers(f"{self._kind}-metrics", self._last, client)
        for name, broker in self._last.get("brokers", {}).items():
            found |= _numbers(f"{self._kind}-node-metrics", broker, f"{client}, node-id={name}")
        for name, topic in self._last.get("topics", {}).items():
            for number, partition in topic.get("partitions", {}).items():
                where = f"{client}, topic={name}, partition={number}"
                found |= _numbers(f"{self._kind}-topic-metrics", partition, where)
        width = max(map(len, found), default=11)
        table = [f"\n{'Metric Name':<{width}}   Value"]
        return table + [f"{name:<{width}} : {found[name]:.3f}" for name in sorted(found)]


def _numbers(group: str, values: dict[str, Any], tags: str) -> dict[str, float]:
    return {
        f"{group}:{name.replace('_', '-')}:{{{tags}}}": float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
