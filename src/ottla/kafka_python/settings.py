"""From kafka-python's settings to the client's configuration properties."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ottla.kafka_python.errors import KafkaConfigurationError

# Turns a value; None: the property is not set.
Turn = Callable[[Any], Any]
_MAX_INT32 = 2_147_483_647


class Setting(NamedTuple):
    """A property, and how a value of kafka-python reads there."""

    name: str
    turn: Turn = lambda value: value


def _servers(value: Any) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _milliseconds(value: Any) -> Any:
    return _MAX_INT32 if value == math.inf else int(value)


def _at_least_one(value: Any) -> int:
    return max(1, int(value))


def _refused(value: Any) -> None:
    if value is not None:
        raise ValueError("proxies and ready-made SSL contexts are not supported")


def _oauth(provider: Any) -> Any:
    """A callback for a token provider, whose tokens are asked for again after a minute."""
    import time

    return None if provider is None else lambda _: (provider.token(), time.time() + 60)


_IGNORED = (
    "api_version", "api_version_auto_timeout_ms", "metric_reporters", "metrics_enabled",
    "metrics_num_samples", "metrics_sample_window_ms", "metric_group_prefix", "selector",
    "socket_options", "kafka_client", "sasl_kerberos_name", "sasl_kerberos_domain_name",
    "enable_incremental_fetch_sessions",
)  # fmt: skip
# What the adapter itself looks at.
_OWN = (
    "bootstrap_timeout_ms", "key_serializer", "value_serializer", "key_deserializer",
    "value_deserializer", "max_block_ms", "consumer_timeout_ms", "max_poll_records",
    "default_offset_commit_callback", "exclude_internal_topics", "partitioner",
    "enable_idempotence", "group_id",
)  # fmt: skip

COMMON: Mapping[str, Setting] = {
    "bootstrap_servers": Setting("bootstrap.servers", _servers),
    "client_id": Setting("client.id"),
    "metadata_max_age_ms": Setting("topic.metadata.refresh.interval.ms", _at_least_one),
    "request_timeout_ms": Setting("socket.timeout.ms", lambda value: max(10, int(value))),
    "retry_backoff_ms": Setting("retry.backoff.ms", _at_least_one),
    "reconnect_backoff_ms": Setting("reconnect.backoff.ms", int),
    "reconnect_backoff_max_ms": Setting("reconnect.backoff.max.ms", int),
    "connections_max_idle_ms": Setting("connections.max.idle.ms", int),
    "receive_buffer_bytes": Setting("socket.receive.buffer.bytes"),
    "send_buffer_bytes": Setting("socket.send.buffer.bytes"),
    "receive_message_max_bytes": Setting("receive.message.max.bytes"),
    "max_in_flight_requests_per_connection": Setting("max.in.flight"),
    "client_dns_lookup": Setting("client.dns.lookup"),
    "allow_auto_create_topics": Setting("allow.auto.create.topics"),
    "security_protocol": Setting("security.protocol", _lower),
    "ssl_check_hostname": Setting(
        "ssl.endpoint.identification.algorithm", lambda value: "https" if value else "none"
    ),
    "ssl_cafile": Setting("ssl.ca.location"),
    "ssl_certfile": Setting("ssl.certificate.location"),
    "ssl_keyfile": Setting("ssl.key.location"),
    "ssl_crlfile": Setting("ssl.crl.location"),
    "ssl_password": Setting("ssl.key.password"),
    "ssl_ciphers": Setting("ssl.cipher.suites"),
    "ssl_context": Setting("", _refused),
    "proxy_url": Setting("", _refused),
    "socks5_proxy": Setting("", _refused),
    "sasl_mechanism": Setting("sasl.mechanism"),
    "sasl_plain_username": Setting("sasl.username"),
    "sasl_plain_password": Setting("sasl.password"),
    "sasl_kerberos_service_name": Setting("sasl.kerberos.service.name"),
    "sasl_oauth_token_provider": Setting("oauth_cb", _oauth),
}

PRODUCER: Mapping[str, Setting] = {
    **COMMON,
    "transactional_id": Setting("transactional.id"),
    "transaction_timeout_ms": Setting("transaction.timeout.ms"),
    "delivery_timeout_ms": Setting("delivery.timeout.ms", int),
    "acks": Setting("acks"),
    "compression_type": Setting("compression.type"),
    "retries": Setting("retries", _milliseconds),
    "batch_size": Setting("batch.size", _at_least_one),
    "linger_ms": Setting("linger.ms"),
    "max_request_size": Setting("message.max.bytes"),
}

CONSUMER: Mapping[str, Setting] = {
    **COMMON,
    "client_rack": Setting("client.rack", lambda value: value or None),
    "group_instance_id": Setting("group.instance.id"),
    "fetch_max_wait_ms": Setting("fetch.wait.max.ms"),
    "fetch_min_bytes": Setting("fetch.min.bytes", _at_least_one),
    "fetch_max_bytes": Setting("fetch.max.bytes"),
    "max_partition_fetch_bytes": Setting("max.partition.fetch.bytes"),
    "auto_offset_reset": Setting(
        "auto.offset.reset", lambda value: "error" if value == "none" else value
    ),
    "enable_auto_commit": Setting("enable.auto.commit"),
    "auto_commit_interval_ms": Setting("auto.commit.interval.ms"),
    "check_crcs": Setting("check.crcs"),
    "isolation_level": Setting("isolation.level"),
    "max_poll_interval_ms": Setting("max.poll.interval.ms"),
    "session_timeout_ms": Setting("session.timeout.ms"),
    "heartbeat_interval_ms": Setting("heartbeat.interval.ms"),
    "partition_assignment_strategy": Setting(
        "partition.assignment.strategy",
        lambda value: ",".join(getattr(each, "name", each) for each in value),
    ),
}


def properties(
    settings: Mapping[str, Any],
    table: Mapping[str, Setting],
    refusal: type[Exception] = KafkaConfigurationError,
) -> dict[str, Any]:
    """The client's configuration.

    Raises:
        Exception: there is no such setting; ``refusal`` is the class.
    """
    unknown = {
        name: value
        for name, value in settings.items()
        if name not in table and name not in _IGNORED and name not in _OWN
    }
    if unknown:
        raise refusal(f"Unrecognized configs: {unknown}")
    found: dict[str, Any] = {"bootstrap.servers": "localhost:9092"}
    for name, value in settings.items():
        setting = table.get(name)
        turned = None if setting is None else setting.turn(value)
        if setting is not None and turned is not None:
            found[setting.name] = turned
    return found
