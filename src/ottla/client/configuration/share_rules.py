"""What the settings of share consumers demand; the rules run in librdkafka's order.

Where records are read from, how they are isolated and how members share them is the group's to say
(``share.auto.offset.reset`` and its like are configured on the broker).
"""

from __future__ import annotations

from ottla.client.configuration.settings import Settings

_NOT_APPLICABLE = (
    "enable.auto.commit",
    "group.protocol",
    "socket.max.fails",
    "partition.assignment.strategy",
    "group.instance.id",
    "isolation.level",
    "group.remote.assignor",
    "queued.min.messages",
    "queued.max.messages.kbytes",
    "fetch.queue.backoff.ms",
    "fetch.error.backoff.ms",
    "enable.partition.eof",
    "message.copy.max.bytes",
    "topic.blacklist",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "consume.callback.max.messages",
)
_DEFINED_BROKER_SIDE = ("session.timeout.ms", "group.protocol.type", "heartbeat.interval.ms")
# A fetch answer of this many bytes more than its records must still be received.
_FETCH_FRAMING_BYTES = 512


def check_share_consumer(settings: Settings) -> str | None:
    """What is wrong with the settings, None if nothing is."""
    for name in _NOT_APPLICABLE:
        if settings.is_set(name):
            return _not_applicable(name)
    for name in _DEFINED_BROKER_SIDE:
        if settings.is_set(name):
            more = "" if name == "group.protocol.type" else ". It is defined broker side"
            return (
                f"`{name}` is not supported for `group.protocol=consumer` or share consumer{more}"
            )
    mode = (settings.text("share.acknowledgement.mode") or "").lower()
    if mode not in ("", "implicit", "explicit"):
        return "`share.acknowledgement.mode` must be implicit or explicit"
    settings.adjust("share.acknowledgement.mode", mode or "implicit")
    return _check_sizes(settings)


def _not_applicable(name: str) -> str:
    if name == "socket.max.fails":
        return f"`{name}` must be 1 for share consumer; changing it is not allowed"
    if name == "allow.auto.create.topics":
        return (
            f"{name} is currently not supported for share consumer and will be enabled in the "
            "General Availability (GA) release"
        )
    return f"`{name}` is not applicable for share consumer"


def _check_sizes(settings: Settings) -> str | None:
    needed = settings.number("fetch.max.bytes") + _FETCH_FRAMING_BYTES
    received = settings.number("receive.message.max.bytes")
    if settings.is_set("receive.message.max.bytes"):
        if needed > received:
            return "`receive.message.max.bytes` must be >= `fetch.max.bytes` + 512"
    else:
        settings.adjust("receive.message.max.bytes", max(received, needed))
    return None
