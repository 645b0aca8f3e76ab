"""Quotas of clients: described and changed (KIP-546)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ottla.client.admin.quotas import (
    ClientQuotaAlteration,
    ClientQuotaEntity,
    ClientQuotaFilter,
)
from ottla.client.core.admin.call import Call, Operation, Outcomes, ask_all, ask_one
from ottla.client.core.admin.checks import flag
from ottla.client.core.admin.outcomes import outcome, raise_for
from ottla.client.core.admin.routes import any_broker, controller
from ottla.client.errors import KafkaError
from ottla.wire.api.k48_describe_client_quotas import (
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
    FilterComponent,
)
from ottla.wire.api.k49_alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    EntityPart,
    QuotaAlteration,
    QuotaChange,
)

Quotas = dict[ClientQuotaEntity, dict[str, float]]

_THIS_NAME, _DEFAULT, _ANY_NAME = range(3)


def describe_client_quotas(wanted: ClientQuotaFilter) -> Operation[Quotas]:
    """The quotas of the entities that a filter lets through."""
    components = [
        FilterComponent(
            entity_type=kind, match_type=_DEFAULT if name is None else _THIS_NAME, match=name
        )
        for kind, name in wanted.names.items()
    ]
    components += [
        FilterComponent(entity_type=kind, match_type=_ANY_NAME, match=None)
        for kind in sorted(wanted.of_any_name)
    ]

    def request(_: Sequence[None]) -> DescribeClientQuotasRequest:
        return DescribeClientQuotasRequest(components=components, strict=wanted.strict)

    def read(
        answer: DescribeClientQuotasResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, Quotas | KafkaError]]:
        raise_for(answer.error_code, answer.error_message)
        quotas = {
            _entity(entry.entity): {value.key: value.value for value in entry.values}
            for entry in answer.entries or ()
        }
        yield None, quotas

    return ask_one(Call([None], any_broker(), request, DescribeClientQuotasResponse, read))


def _entity(parts: Iterable[Any]) -> ClientQuotaEntity:
    return frozenset((part.entity_type, part.entity_name) for part in parts)


def alter_client_quotas(
    alterations: Sequence[ClientQuotaAlteration], *, validate_only: bool
) -> Operation[Outcomes[ClientQuotaEntity, None]]:
    """Set and remove quotas."""
    flag(validate_only, "validate_only")
    wanted = {alteration.entity: alteration.quotas for alteration in alterations}

    def request(keys: Sequence[ClientQuotaEntity]) -> AlterClientQuotasRequest:
        entries = [
            QuotaAlteration(
                entity=[
                    EntityPart(entity_type=kind, entity_name=name)
                    for kind, name in sorted(key, key=lambda part: part[0])
                ],
                ops=[
                    QuotaChange(key=name, value=value or 0.0, remove=value is None)
                    for name, value in wanted[key].items()
                ],
            )
            for key in keys
        ]
        return AlterClientQuotasRequest(entries=entries, validate_only=validate_only)

    def read(
        answer: AlterClientQuotasResponse, _: Sequence[ClientQuotaEntity]
    ) -> Iterable[tuple[ClientQuotaEntity, KafkaError | None]]:
        for altered in answer.entries:
            yield (
                _entity(altered.entity),
                outcome(altered.error_code, altered.error_message, None),
            )

    return ask_all(Call(wanted, controller(), request, AlterClientQuotasResponse, read))
