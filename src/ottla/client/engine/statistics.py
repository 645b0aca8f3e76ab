"""The statistics that ``stats_cb`` is told every ``statistics.interval.ms``: librdkafka's JSON."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ottla.client.core.cluster import ClusterView
from ottla.client.core.statistics import Window
from ottla.client.core.targets import Lane
from ottla.client.engine.link import Link
from ottla.client.engine.links import Links
from ottla.client.engine.runtime import ClientType, Runtime
from ottla.wire.apis import API_VERSIONS, APIS

Part = Callable[[], Mapping[str, Any]]

# What is 0 as long as no part of the client says otherwise.
_COUNTS = (
    "replyq", "msg_cnt", "msg_size", "msg_max", "msg_size_max", "simple_cnt",
)  # fmt: skip
_TOTALS = ("txmsgs", "txmsg_bytes", "rxmsgs", "rxmsg_bytes")


class Statistics:
    """Puts the statistics together, as often as the configuration says.

    Attributes:
        parts: what is merged into the top level; entries of ``topics`` are merged topic by topic.
    """

    def __init__(
        self,
        runtime: Runtime,
        links: Links,
        cluster: ClusterView,
        name: str,
        client_type: ClientType,
        parts: list[Part],
    ) -> None:
        self.parts = parts
        self._runtime = runtime
        self._links = links
        self._cluster = cluster
        self._name = name
        # An admin client is a producer that nobody gives messages to.
        self._type = "consumer" if client_type == "consumer" else "producer"
        self._began_ms = runtime.now_ms()
        self._timer: asyncio.TimerHandle | None = None
        configuration = runtime.configuration
        self._interval_ms = configuration.statistics_interval_ms
        self._callback = configuration.stats_cb

    def start(self) -> None:
        """Tell the statistics from now on."""
        if self._runtime.wants_statistics:
            self._schedule(self._runtime.now_ms() + self._interval_ms)

    def stop(self) -> None:
        """Tell no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self, when_ms: float) -> None:
        self._timer = self._runtime.call_at(when_ms, lambda: self._tell(when_ms))

    def _tell(self, due_ms: float) -> None:
        callback = self._callback
        assert callback is not None
        # From when it was due, so that they don't drift; but none that was missed is made up for.
        self._schedule(max(due_ms, self._runtime.now_ms() - self._interval_ms) + self._interval_ms)
        self._runtime.tell_user(callback, json.dumps(self.collect()))

    def collect(self) -> dict[str, Any]:
        """The statistics as they are now; what they say of a window begins anew."""
        runtime = self._runtime
        now_ms = runtime.now_ms()
        links = list(self._links)
        collected: dict[str, Any] = {
            "name": self._name,
            "client_id": runtime.configuration.client_id,
            "type": self._type,
            "ts": int(now_ms * 1000),
            "time": runtime.clock.wall_ms() // 1000,
            "age": int((now_ms - self._began_ms) * 1000),
            **dict.fromkeys(_COUNTS, 0),
            "metadata_cache_cnt": len(self._cluster.topics),
            "brokers": self._brokers(links, now_ms),
            "topics": {},
            "tx": sum(each.traffic.sent_count for each in links),
            "tx_bytes": sum(each.traffic.sent_bytes for each in links),
            "rx": sum(each.traffic.received_count for each in links),
            "rx_bytes": sum(each.traffic.received_bytes for each in links),
            **dict.fromkeys(_TOTALS, 0),
        }
        for part in self.parts:
            told = dict(part())
            topics = told.pop("topics", {})
            collected.update(told)
            for topic, entry in topics.items():
                collected["topics"].setdefault(topic, {}).update(entry)
        return collected

    def _brokers(self, links: Iterable[Link], now_ms: float) -> dict[str, Any]:
        by_broker: dict[int, list[Link]] = {}
        for link in links:
            by_broker.setdefault(link.broker_id, []).append(link)
        led = self._led_partitions()
        entries = {}
        for broker_id, of_broker in by_broker.items():
            address = self._links.address_of(broker_id) or of_broker[0].address
            name = f"{address}/{'bootstrap' if broker_id < 0 else broker_id}"
            entry = _broker_entry(broker_id, of_broker, now_ms)
            entries[name] = {
                "name": name,
                "nodeid": max(broker_id, -1),
                "nodename": str(address),
                "source": "configured" if broker_id < 0 else "learned",
                **entry,
                "toppars": led.get(broker_id, {}),
            }
        return entries

    def _led_partitions(self) -> dict[int, dict[str, Any]]:
        led: dict[int, dict[str, Any]] = {}
        for topic in self._cluster.topics.values():
            for partition in topic.partitions:
                led.setdefault(partition.leader_id, {})[f"{topic.name}-{partition.number}"] = {
                    "topic": topic.name,
                    "partition": partition.number,
                }
        return led


def _broker_entry(broker_id: int, links: list[Link], now_ms: float) -> dict[str, Any]:
    """What all connections to one broker come to."""
    main = next((link for link in links if link.lane is Lane.MAIN), links[0])
    traffic = [link.traffic for link in links]
    requests: Counter[str] = Counter()
    round_trips, throttled = Window(), Window()
    for link in links:
        for api_key, count in link.traffic.by_api.items():
            requests[_request_name(api_key)] += count
        round_trips.merge(link.traffic.round_trips_us)
        throttled.merge(link.throttle_times_ms)
    sent_ms = max(each.last_sent_ms for each in traffic)
    received_ms = max(each.last_received_ms for each in traffic)
    waiting = sum(link.waiting_count for link in links)
    return {
        "state": main.state,
        "stateage": int((now_ms - main.state_since_ms) * 1000),
        "outbuf_cnt": 0,
        "outbuf_msg_cnt": 0,
        "waitresp_cnt": waiting,
        "waitresp_msg_cnt": 0,
        "tx": sum(each.sent_count for each in traffic),
        "txbytes": sum(each.sent_bytes for each in traffic),
        "txerrs": 0,
        "txretries": 0,
        "txidle": int((now_ms - sent_ms) * 1000) if sent_ms else -1,
        "req_timeouts": sum(each.timed_out for each in traffic),
        "rx": sum(each.received_count for each in traffic),
        "rxbytes": sum(each.received_bytes for each in traffic),
        "rxerrs": sum(each.receive_errors for each in traffic),
        "rxcorriderrs": sum(each.correlation_errors for each in traffic),
        "rxpartial": 0,
        "rxidle": int((now_ms - received_ms) * 1000) if received_ms else -1,
        "zbuf_grow": 0,
        "buf_grow": 0,
        "wakeups": 0,
        "connects": sum(link.connects for link in links),
        "disconnects": sum(link.disconnects for link in links),
        "int_latency": Window().take(),
        "outbuf_latency": Window().take(),
        "rtt": round_trips.take(),
        "throttle": throttled.take(),
        "req": dict(requests),
    }


def _request_name(api_key: int) -> str:
    # As librdkafka has it.
    return "ApiVersion" if api_key == API_VERSIONS else APIS[api_key].name
