"""DescribeClientQuotas (key 48): quotas of users, client ids and addresses (KIP-546)."""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Bool,
    Float64,
    Int8,
    Int16,
    Int32,
    Message,
    String,
    at,
    message,
    struct,
)


@struct
class FilterComponent:
    """What to match entities of one type with."""

    entity_type: String
    match_type: Int8  # 0: this name, 1: the default, 2: any name
    match: String | None


@message(key=48, versions="0-1", flexible=1)
class DescribeClientQuotasRequest(Message):
    """The filter, a component for each entity type."""

    components: Array[FilterComponent]
    strict: Bool  # leave out entities of further types


@struct
class EntityPart:
    """One part of an entity: a type and a name."""

    entity_type: String
    entity_name: String | None  # null: the type's default


@struct
class QuotaValue:
    """One quota."""

    key: String
    value: Float64


@struct
class QuotaEntry:
    """One entity and its quotas."""

    entity: Array[EntityPart]
    values: Array[QuotaValue]


@message(key=48, versions="0-1", flexible=1)
class DescribeClientQuotasResponse(Message):
    """The quotas found."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None
    entries: Array[QuotaEntry] | None
