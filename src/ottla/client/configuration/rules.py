"""What settings demand of each other, and how those left open follow the others.

The rules run in librdkafka's order, so that a configuration with several faults is refused for the
same one.
"""

from __future__ import annotations

from typing import Literal

from ottla.client.configuration.settings import Settings
from ottla.client.configuration.share_rules import check_share_consumer
from ottla.client.configuration.values import invalid

ClientKind = Literal["producer", "consumer", "share consumer", "admin client"]
_CONSUMERS = ("consumer", "share consumer")

# KIP-98: brokers remember the sequence numbers of this many batches per producer and partition.
_MAX_IDEMPOTENT_IN_FLIGHT = 5
# A fetch answer of this many bytes more than its records must still be received.
_FETCH_FRAMING_BYTES = 512
_AZURE_IDLE_MS = (4 * 60 - 10) * 1000
_ASSIGNORS = {"range": "eager", "roundrobin": "eager", "cooperative-sticky": "cooperative"}
_SCRAM = ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512")


def check(settings: Settings, kind: ClientKind, *, has_oauth_callback: bool) -> None:
    """Check all settings against each other and adjust those that the user left open.

    Raises:
        KafkaException: two settings exclude each other, or one needs another.
        ValueError: the same for share consumers.
    """
    problem = (
        _check_security(settings, has_oauth_callback)
        or _check_kind(settings, kind)
        or _check_common(settings, kind)
        or (None if kind in _CONSUMERS else _check_delivery(settings))
        or _check_assignors(settings)
        or _check_sasl(settings)
    )
    if problem is not None:
        text = f"Failed to create {kind}: {problem}"
        raise ValueError(text) if kind == "share consumer" else invalid(text)


def _check_kind(settings: Settings, kind: ClientKind) -> str | None:
    if kind == "share consumer":
        return check_share_consumer(settings)
    return _check_consumer(settings) if kind == "consumer" else _check_producer(settings)


def _check_security(settings: Settings, has_oauth_callback: bool) -> str | None:
    if settings.text("ssl.keystore.location") and not settings.text("ssl.keystore.password"):
        return "`ssl.keystore.password` is mandatory when `ssl.keystore.location` is set"
    if settings.text("https.ca.location") and settings.text("https.ca.pem"):
        return "`https.ca.location` and `https.ca.pem` are mutually exclusive"
    if (settings.text("sasl.mechanism") or "").upper() != "OAUTHBEARER":
        return None
    is_unsecured = settings.flag("enable.sasl.oauthbearer.unsecure.jwt")
    if is_unsecured and has_oauth_callback:
        return (
            "`enable.sasl.oauthbearer.unsecure.jwt` and `oauthbearer_token_refresh_cb` are "
            "mutually exclusive"
        )
    return _check_oidc(settings, is_unsecured)


def _check_oidc(settings: Settings, is_unsecured: bool) -> str | None:
    if settings.text("sasl.oauthbearer.method") != "oidc":
        return None
    if is_unsecured:
        return (
            "`enable.sasl.oauthbearer.unsecure.jwt` and `sasl.oauthbearer.method=oidc` are "
            "mutually exclusive"
        )
    for name in ("token.endpoint.url", "client.id", "client.secret"):
        if settings.text(f"sasl.oauthbearer.{name}") is None:
            return (
                f"`sasl.oauthbearer.{name}` is mandatory when `sasl.oauthbearer.method=oidc` is set"
            )
    if not (settings.text("sasl.oauthbearer.sub.claim.name") or "").strip():
        return "`sasl.oauthbearer.sub.claim.name` must be non-empty and not contain only whitespace"
    return None


def _check_consumer(settings: Settings) -> str | None:
    if not 1 <= settings.number("fetch.min.bytes") <= 100_000_000:
        return (
            'Configuration property "fetch.min.bytes" value is outside allowed range 1..100000000'
        )
    return _check_group_protocol(settings) or _check_fetch_sizes(settings)


def _check_group_protocol(settings: Settings) -> str | None:
    if settings.text("group.protocol") == "classic":
        if settings.number("max.poll.interval.ms") < settings.number("session.timeout.ms"):
            return "`max.poll.interval.ms`must be >= `session.timeout.ms`"
        return None
    if settings.is_set("session.timeout.ms"):
        return (
            "`session.timeout.ms` is not supported for `group.protocol=consumer` or share "
            "consumer. It is defined broker side"
        )
    if settings.is_set("partition.assignment.strategy"):
        return (
            "`partition.assignment.strategy` is not supported for `group.protocol=consumer`. "
            "Use `group.remote.assignor` instead"
        )
    if settings.is_set("group.protocol.type"):
        return (
            "`group.protocol.type` is not supported for `group.protocol=consumer` or share consumer"
        )
    if settings.is_set("heartbeat.interval.ms"):
        return (
            "`heartbeat.interval.ms` is not supported for `group.protocol=consumer` or share "
            "consumer. It is defined broker side"
        )
    return None


def _check_fetch_sizes(settings: Settings) -> str | None:
    max_message = settings.number("message.max.bytes")
    if settings.is_set("fetch.max.bytes"):
        if settings.number("fetch.max.bytes") < max_message:
            return "`fetch.max.bytes` must be >= `message.max.bytes`"
    else:
        queued = settings.number("queued.max.messages.kbytes") * 1024
        fetch_max = max(min(settings.number("fetch.max.bytes"), queued), max_message)
        settings.adjust("fetch.max.bytes", fetch_max)
    needed = settings.number("fetch.max.bytes") + _FETCH_FRAMING_BYTES
    if settings.is_set("receive.message.max.bytes"):
        if needed > settings.number("receive.message.max.bytes"):
            return "`receive.message.max.bytes` must be >= `fetch.max.bytes` + 512"
    else:
        received = settings.number("receive.message.max.bytes")
        settings.adjust("receive.message.max.bytes", max(received, needed))
    return None


def _check_producer(settings: Settings) -> str | None:
    problem = _check_transactions(settings) or _check_idempotence(settings)
    if problem is None and not settings.is_set("sticky.partitioning.linger.ms"):
        linger_ms = min(900_000, int(2 * settings.real("linger.ms")))
        settings.adjust("sticky.partitioning.linger.ms", linger_ms)
    return problem


def _check_transactions(settings: Settings) -> str | None:
    if settings.text("transactional.id") is None:
        return None
    if not settings.flag("enable.idempotence"):
        if settings.is_set("enable.idempotence"):
            return "`transactional.id` requires `enable.idempotence=true`"
        settings.adjust("enable.idempotence", True)
    # At least one request must fit into a transaction before it times out.
    transaction_ms = settings.number("transaction.timeout.ms")
    if not settings.is_set("socket.timeout.ms"):
        settings.adjust("socket.timeout.ms", max(transaction_ms - 100, 900))
    elif transaction_ms + 100 < settings.number("socket.timeout.ms"):
        return "`socket.timeout.ms` must be set <= `transaction.timeout.ms` + 100"
    return None


def _check_idempotence(settings: Settings) -> str | None:
    if not settings.flag("enable.idempotence"):
        if settings.is_set("enable.gapless.guarantee") and settings.flag(
            "enable.gapless.guarantee"
        ):
            return "`enable.gapless.guarantee` requires `enable.idempotence` to be enabled"
        return None
    if not settings.is_set("max.in.flight"):
        settings.adjust("max.in.flight", _MAX_IDEMPOTENT_IN_FLIGHT)
    elif settings.number("max.in.flight") > _MAX_IDEMPOTENT_IN_FLIGHT:
        return "`max.in.flight` must be set <= 5 when `enable.idempotence` is true"
    if settings.is_set("retries") and settings.number("retries") < 1:
        return "`retries` must be set >= 1 when `enable.idempotence` is true"
    threshold = "queue.buffering.backpressure.threshold"
    if settings.is_set(threshold) and settings.number(threshold) > 1:
        return f"`{threshold}` must be set to 1 when `enable.idempotence` is true"
    return None


def _check_common(settings: Settings, kind: ClientKind) -> str | None:
    refresh_ms = settings.number("topic.metadata.refresh.interval.ms")
    if not settings.is_set("metadata.max.age.ms") and refresh_ms > 0:
        settings.adjust("metadata.max.age.ms", refresh_ms * 3)
    if settings.number("reconnect.backoff.max.ms") < settings.number("reconnect.backoff.ms"):
        return "`reconnect.backoff.max.ms` must be >= `reconnect.backoff.ms`"
    if not settings.is_set("topic.metadata.refresh.fast.interval.ms"):
        retry_ms = settings.number("retry.backoff.ms")
        settings.adjust("topic.metadata.refresh.fast.interval.ms", retry_ms)
    servers = settings.text("bootstrap.servers") or ""
    if not settings.is_set("connections.max.idle.ms") and "azure" in servers.lower():
        # Azure's load balancers cut idle connections without a word after four minutes.
        settings.adjust("connections.max.idle.ms", _AZURE_IDLE_MS)
    if not settings.is_set("allow.auto.create.topics"):
        settings.adjust("allow.auto.create.topics", kind not in _CONSUMERS)
    return None


def _check_delivery(settings: Settings) -> str | None:
    timeout_ms = settings.number("message.timeout.ms")
    problem = _check_linger(settings, timeout_ms)
    if problem is not None or not settings.flag("enable.idempotence"):
        return problem
    if settings.is_set("acks") and settings.number("acks") != -1:
        return "`acks` must be set to `all` when `enable.idempotence` is true"
    if settings.is_set("queuing.strategy") and settings.text("queuing.strategy") != "fifo":
        return "`queuing.strategy` must be set to `fifo` when `enable.idempotence` is true"
    if settings.text("transactional.id") is None:
        return None
    transaction_ms = settings.number("transaction.timeout.ms")
    if not settings.is_set("message.timeout.ms"):
        settings.adjust("message.timeout.ms", transaction_ms)
    elif timeout_ms > transaction_ms:
        return "`message.timeout.ms` must be set <= `transaction.timeout.ms`"
    return _check_linger(settings, settings.number("message.timeout.ms"))


def _check_linger(settings: Settings, timeout_ms: int) -> str | None:
    if timeout_ms == 0 or timeout_ms > settings.real("linger.ms"):
        return None
    if settings.is_set("linger.ms"):
        return "`message.timeout.ms` must be greater than `linger.ms`"
    settings.adjust("linger.ms", timeout_ms - 0.1)
    return None


def assignment_strategies(settings: Settings) -> tuple[str, ...]:
    """The assignors that the user wants, most wanted first."""
    strategy = settings.text("partition.assignment.strategy") or ""
    names = [name.strip(" \t\n\v\f\r") for name in strategy.split(",")]
    return tuple(dict.fromkeys(name for name in names if name))


def _check_assignors(settings: Settings) -> str | None:
    wanted = assignment_strategies(settings)
    for name in wanted:
        if name not in _ASSIGNORS:
            return f"Unsupported partition.assignment.strategy: {name}"
    if len({_ASSIGNORS[name] for name in wanted}) > 1:
        return (
            f"All partition.assignment.strategy "
            f"({settings.text('partition.assignment.strategy')}) assignors must have the same "
            "protocol type, online migration between assignors with different protocol types is "
            "not supported"
        )
    return None


def _check_sasl(settings: Settings) -> str | None:
    if not (settings.text("security.protocol") or "").startswith("sasl_"):
        return None
    mechanism = settings.text("sasl.mechanism") or ""
    if mechanism in ("GSSAPI", "OAUTHBEARER"):
        return None
    if mechanism != "PLAIN" and not mechanism.startswith("SCRAM-SHA-"):
        return f"Unsupported SASL mechanism: {mechanism}"
    if settings.text("sasl.username") is None or settings.text("sasl.password") is None:
        return "sasl.username and sasl.password must be set"
    if mechanism != "PLAIN" and mechanism not in _SCRAM:
        return f"Unsupported hash function: {mechanism} (try SCRAM-SHA-512)"
    return None
