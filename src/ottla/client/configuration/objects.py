"""The configuration objects that the rest of the client works with: typed, checked, immutable.

One attribute per key that has an effect, named like the key with underscores (aliases and
exceptions: see the ``attribute`` of the keys). Durations and sizes carry their unit in the name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ottla.client.configuration import common_keys, security_keys
from ottla.client.errors import KafkaError
from ottla.client.values import ThrottleEvent, TopicPartition

Callback = Callable[..., Any]


SECRETS = frozenset(
    {key.field for key in (*common_keys.KEYS, *security_keys.KEYS) if key.is_secret}
)


class Configuration:
    """What every client is configured with.

    ``warnings`` are sentences for the log: settings that are deprecated, that belong to the other
    kind of client or that have no effect here. Secrets are left out of ``repr``.
    """

    client_id: str
    bootstrap_servers: str | None
    message_max_bytes: int
    receive_message_max_bytes: int
    max_in_flight: int
    metadata_recovery_strategy: str
    metadata_recovery_rebootstrap_trigger_ms: int
    topic_metadata_refresh_interval_ms: int
    metadata_max_age_ms: int
    topic_metadata_refresh_fast_interval_ms: int
    topic_metadata_propagation_max_ms: int
    topic_blacklist: tuple[str, ...] | None
    debug: tuple[str, ...]
    socket_timeout_ms: int
    socket_send_buffer_bytes: int
    socket_receive_buffer_bytes: int
    socket_keepalive_enable: bool
    socket_nagle_disable: bool
    socket_max_fails: int
    broker_address_ttl: int
    broker_address_family: str
    socket_connection_setup_timeout_ms: int
    connections_max_idle_ms: int
    reconnect_backoff_ms: int
    reconnect_backoff_max_ms: int
    statistics_interval_ms: int
    log_level: int
    log_connection_close: bool
    api_version_request_timeout_ms: int
    allow_auto_create_topics: bool
    client_rack: str
    retry_backoff_ms: int
    retry_backoff_max_ms: int
    client_dns_lookup: str
    enable_metrics_push: bool
    security_protocol: str
    ssl_cipher_suites: str | None
    ssl_curves_list: str | None
    ssl_sigalgs_list: str | None
    ssl_key_location: str | None
    ssl_key_password: str | None
    ssl_key_pem: str | None
    ssl_certificate_location: str | None
    ssl_certificate_pem: str | None
    ssl_ca_location: str | None
    https_ca_location: str | None
    https_ca_pem: str | None
    ssl_ca_pem: str | None
    ssl_crl_location: str | None
    ssl_keystore_location: str | None
    ssl_keystore_password: str | None
    enable_ssl_certificate_verification: bool
    ssl_endpoint_identification_algorithm: str
    sasl_mechanism: str
    sasl_kerberos_service_name: str
    sasl_kerberos_principal: str
    sasl_kerberos_keytab: str | None
    sasl_username: str | None
    sasl_password: str | None
    sasl_oauthbearer_config: str | None
    enable_sasl_oauthbearer_unsecure_jwt: bool
    sasl_oauthbearer_method: str
    sasl_oauthbearer_client_id: str | None
    sasl_oauthbearer_client_secret: str | None
    sasl_oauthbearer_scope: str | None
    sasl_oauthbearer_extensions: str | None
    sasl_oauthbearer_token_endpoint_url: str | None
    sasl_oauthbearer_sub_claim_name: str
    sasl_oauthbearer_grant_type: str
    sasl_oauthbearer_metadata_authentication_type: str
    error_cb: Callable[[KafkaError], Any] | None
    stats_cb: Callable[[str], Any] | None
    throttle_cb: Callable[[ThrottleEvent], Any] | None
    oauth_cb: Callback | None
    logger: Any
    warnings: tuple[str, ...]

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a configuration does not change: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a configuration does not change: {name}")

    def __repr__(self) -> str:
        shown = (
            f"{name}={'(REDACTED)' if name in SECRETS and value is not None else repr(value)}"
            for name, value in sorted(self.__dict__.items())
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class ProducerConfiguration(Configuration):
    """What a producer is configured with; 0 as ``delivery_timeout_ms`` means no limit."""

    transactional_id: str | None
    transaction_timeout_ms: int
    enable_idempotence: bool
    queue_buffering_max_messages: int
    queue_buffering_max_kbytes: int
    linger_ms: float
    retries: int
    compression_type: str
    batch_num_messages: int
    batch_size: int
    delivery_report_only_error: bool
    sticky_partitioning_linger_ms: int
    acks: int
    request_timeout_ms: int
    delivery_timeout_ms: int
    partitioner: str
    compression_level: int
    on_delivery: Callback | None


class ConsumerConfiguration(Configuration):
    """What a consumer is configured with."""

    group_id: str | None
    group_instance_id: str | None
    session_timeout_ms: int
    heartbeat_interval_ms: int
    group_protocol: str
    group_remote_assignor: str
    max_poll_interval_ms: int
    enable_auto_commit: bool
    auto_commit_interval_ms: int
    enable_auto_offset_store: bool
    queued_min_messages: int
    queued_max_messages_kbytes: int
    fetch_wait_max_ms: int
    fetch_queue_backoff_ms: int
    max_partition_fetch_bytes: int
    fetch_max_bytes: int
    fetch_min_bytes: int
    fetch_error_backoff_ms: int
    isolation_level: str
    enable_partition_eof: bool
    check_crcs: bool
    auto_offset_reset: str
    partition_assignment_strategy: tuple[str, ...]
    on_commit: Callable[[KafkaError | None, list[TopicPartition]], Any] | None


class ShareConsumerConfiguration(ConsumerConfiguration):
    """What a share consumer is configured with; not all that consumers have applies to it."""

    max_poll_records: int
    share_acknowledgement_mode: str
    share_acquire_mode: str


class AdminConfiguration(Configuration):
    """What an admin client is configured with."""
