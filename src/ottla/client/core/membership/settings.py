"""The settings of the configuration that decide on membership."""

from __future__ import annotations

from typing import NamedTuple

from ottla.client.configuration.objects import ConsumerConfiguration


class MembershipSettings(NamedTuple):
    """What a member is configured with; names and defaults are those of the configuration.

    ``excluded_topics`` are patterns of topics that no subscription's pattern matches.
    """

    group_id: str
    group_instance_id: str | None = None
    session_timeout_ms: int = 45_000
    heartbeat_interval_ms: int = 3_000
    max_poll_interval_ms: int = 300_000
    assignors: tuple[str, ...] = ("range", "roundrobin")
    remote_assignor: str | None = None
    rack: str | None = None
    request_timeout_ms: int = 60_000
    retry_backoff_ms: int = 100
    retry_backoff_max_ms: int = 1_000
    excluded_topics: tuple[str, ...] = ()

    @classmethod
    def of(cls, configuration: ConsumerConfiguration) -> MembershipSettings:
        """From what a consumer is configured with."""
        return cls(
            group_id=configuration.group_id or "",
            group_instance_id=configuration.group_instance_id or None,
            session_timeout_ms=configuration.session_timeout_ms,
            heartbeat_interval_ms=configuration.heartbeat_interval_ms,
            max_poll_interval_ms=configuration.max_poll_interval_ms,
            assignors=configuration.partition_assignment_strategy,
            remote_assignor=configuration.group_remote_assignor or None,
            rack=configuration.client_rack or None,
            request_timeout_ms=configuration.socket_timeout_ms,
            retry_backoff_ms=configuration.retry_backoff_ms,
            retry_backoff_max_ms=configuration.retry_backoff_max_ms,
            excluded_topics=configuration.topic_blacklist or (),
        )
