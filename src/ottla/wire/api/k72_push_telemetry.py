"""PushTelemetry (key 72): a client's metrics (KIP-714)."""

from __future__ import annotations

from ottla.wire.declare import Bool, Bytes, Int8, Int16, Int32, Message, Uuid, at, message


@message(key=72, versions="0", flexible=0)
class PushTelemetryRequest(Message):
    """Metrics in OTLP, compressed as the subscription allows."""

    client_instance_id: Uuid
    subscription_id: Int32
    terminating: Bool
    compression_type: Int8
    metrics: Bytes


@message(key=72, versions="0", flexible=0)
class PushTelemetryResponse(Message):
    """Whether the metrics were taken."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
