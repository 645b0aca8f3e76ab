"""GetTelemetrySubscriptions (key 71): the metrics a client shall push (KIP-714)."""

from __future__ import annotations

from ottla.wire.declare import Array, Bool, Int8, Int16, Int32, Message, String, Uuid, at, message


@message(key=71, versions="0", flexible=0)
class GetTelemetrySubscriptionsRequest(Message):
    """Which client asks."""

    client_instance_id: Uuid  # zero: assign one


@message(key=71, versions="0", flexible=0)
class GetTelemetrySubscriptionsResponse(Message):
    """What to push, how often and how much."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    client_instance_id: Uuid
    subscription_id: Int32
    accepted_compression_types: Array[Int8]
    push_interval_ms: Int32
    telemetry_max_bytes: Int32
    delta_temporality: Bool
    requested_metrics: Array[String]  # prefixes; none: push nothing, "": everything
