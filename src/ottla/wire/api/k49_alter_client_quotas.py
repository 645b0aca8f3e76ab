"""AlterClientQuotas (key 49): change quotas of users, client ids and addresses (KIP-546)."""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Bool,
    Float64,
    Int16,
    Int32,
    Message,
    String,
    at,
    message,
    struct,
)


@struct
class EntityPart:
    """One part of an entity: a type and a name."""

    entity_type: String
    entity_name: String | None  # null: the type's default


@struct
class QuotaChange:
    """One quota to set or remove."""

    key: String
    value: Float64
    remove: Bool


@struct
class QuotaAlteration:
    """One entity and the changes to its quotas."""

    entity: Array[EntityPart]
    ops: Array[QuotaChange]


@message(key=49, versions="0-1", flexible=1)
class AlterClientQuotasRequest(Message):
    """The changes, or only a check of them."""

    entries: Array[QuotaAlteration]
    validate_only: Bool


@struct
class AlteredEntity:
    """What became of one entity."""

    error_code: Int16
    error_message: String | None
    entity: Array[EntityPart]


@message(key=49, versions="0-1", flexible=1)
class AlterClientQuotasResponse(Message):
    """What became of each entity."""

    throttle_time_ms: Int32 = at(default=0)
    entries: Array[AlteredEntity]
