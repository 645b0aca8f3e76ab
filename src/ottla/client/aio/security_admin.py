"""What the asyncio admin client knows of producers, quotas and tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ottla.client.aio.admin_calls import AdminCalls
from ottla.client.core import admin as core

if TYPE_CHECKING:
    from ottla.client.admin.quotas import (
        ClientQuotaAlteration,
        ClientQuotaEntity,
        ClientQuotaFilter,
    )
    from ottla.client.admin.tokens import DelegationToken, KafkaPrincipal
    from ottla.client.admin.transactions import (
        AbortTransactionSpec,
        FencedProducer,
        ProducerState,
        TransactionDescription,
        TransactionListing,
    )
    from ottla.client.values import TopicPartition


class TransactionAdmin(AdminCalls):
    """Calls about producers and transactions (KIP-664)."""

    async def describe_producers(
        self,
        partitions: Collection[TopicPartition],
        *,
        broker: int | None = None,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, list[ProducerState]]:
        """Describe the producers that wrote to partitions not long ago.

        See :meth:`ottla.AdminClient.describe_producers`.
        """
        operation = core.transactions.describe_producers(partitions, broker)
        return await self._each(operation, request_timeout)

    async def describe_transactions(
        self, transactional_ids: Collection[str], *, request_timeout: float | None = None
    ) -> dict[str, TransactionDescription]:
        """Describe transactions; see :meth:`ottla.AdminClient.describe_transactions`."""
        operation = core.transactions.describe_transactions(transactional_ids)
        return await self._each(operation, request_timeout)

    async def list_transactions(
        self,
        *,
        states: Collection[str] = (),
        producer_ids: Collection[int] = (),
        longer_than_ms: int | None = None,
        transactional_id_pattern: str | None = None,
        request_timeout: float | None = None,
    ) -> dict[int, list[TransactionListing]]:
        """List transactions; see :meth:`ottla.AdminClient.list_transactions`."""
        operation = core.transactions.list_transactions(
            states=states,
            producer_ids=producer_ids,
            longer_than_ms=longer_than_ms,
            transactional_id_pattern=transactional_id_pattern,
        )
        return await self._one(operation, request_timeout)

    async def abort_transaction(
        self, spec: AbortTransactionSpec, *, request_timeout: float | None = None
    ) -> None:
        """Abort a transaction that hangs in a partition.

        See :meth:`ottla.AdminClient.abort_transaction`.
        """
        return await self._one(core.transactions.abort_transaction(spec), request_timeout)

    async def fence_producers(
        self, transactional_ids: Collection[str], *, request_timeout: float | None = None
    ) -> dict[str, FencedProducer]:
        """Abort the open transactions of producers and shut the producers out.

        See :meth:`ottla.AdminClient.fence_producers`.
        """
        operation = core.transactions.fence_producers(transactional_ids)
        return await self._each(operation, request_timeout)


class SecurityAdmin(AdminCalls):
    """Calls about quotas and delegation tokens."""

    async def describe_client_quotas(
        self, quota_filter: ClientQuotaFilter, *, request_timeout: float | None = None
    ) -> dict[ClientQuotaEntity, dict[str, float]]:
        """Find quotas (KIP-546); see :meth:`ottla.AdminClient.describe_client_quotas`."""
        return await self._one(core.quotas.describe_client_quotas(quota_filter), request_timeout)

    async def alter_client_quotas(
        self,
        alterations: Sequence[ClientQuotaAlteration],
        *,
        validate_only: bool = False,
        request_timeout: float | None = None,
    ) -> dict[ClientQuotaEntity, None]:
        """Set and remove quotas; see :meth:`ottla.AdminClient.alter_client_quotas`."""
        operation = core.quotas.alter_client_quotas(alterations, validate_only=validate_only)
        return await self._each(operation, request_timeout)

    async def create_delegation_token(
        self,
        *,
        owner: KafkaPrincipal | None = None,
        renewers: Sequence[KafkaPrincipal] = (),
        max_lifetime_ms: int | None = None,
        request_timeout: float | None = None,
    ) -> DelegationToken:
        """Make a delegation token (KIP-48).

        See :meth:`ottla.AdminClient.create_delegation_token`.
        """
        operation = core.tokens.create_delegation_token(
            owner=owner, renewers=renewers, max_lifetime_ms=max_lifetime_ms
        )
        return await self._one(operation, request_timeout)

    async def renew_delegation_token(
        self,
        hmac: bytes,
        *,
        renew_period_ms: int | None = None,
        request_timeout: float | None = None,
    ) -> int:
        """Let a token live longer; see :meth:`ottla.AdminClient.renew_delegation_token`."""
        operation = core.tokens.renew_delegation_token(hmac, renew_period_ms=renew_period_ms)
        return await self._one(operation, request_timeout)

    async def expire_delegation_token(
        self,
        hmac: bytes,
        *,
        expiry_period_ms: int | None = None,
        request_timeout: float | None = None,
    ) -> int:
        """End a token; see :meth:`ottla.AdminClient.expire_delegation_token`."""
        operation = core.tokens.expire_delegation_token(hmac, expiry_period_ms=expiry_period_ms)
        return await self._one(operation, request_timeout)

    async def describe_delegation_tokens(
        self,
        owners: Collection[KafkaPrincipal] | None = None,
        *,
        request_timeout: float | None = None,
    ) -> list[DelegationToken]:
        """Describe delegation tokens; see :meth:`ottla.AdminClient.describe_delegation_tokens`."""
        return await self._one(core.tokens.describe_delegation_tokens(owners), request_timeout)
