"""What the sync admin client knows beyond confluent_kafka's: producers, quotas, tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ottla.client.core import admin as core
from ottla.client.sync.admin_futures import AdminFutures

if TYPE_CHECKING:
    from concurrent.futures import Future

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


class TransactionAdmin(AdminFutures):
    """Calls about producers and transactions (KIP-664)."""

    def describe_producers(
        self,
        partitions: Collection[TopicPartition],
        *,
        broker: int | None = None,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, Future[list[ProducerState]]]:
        """Describe the producers that wrote to partitions not long ago.

        Args:
            partitions: which.
            broker: the id of a replica to ask, instead of the leader.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By partition.
        """
        operation = core.transactions.describe_producers(partitions, broker)
        return self._each(partitions, operation, request_timeout)

    def describe_transactions(
        self, transactional_ids: Collection[str], *, request_timeout: float | None = None
    ) -> dict[str, Future[TransactionDescription]]:
        """Describe transactions.

        Args:
            transactional_ids: of which producers.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By transactional id.
        """
        operation = core.transactions.describe_transactions(transactional_ids)
        return self._each(transactional_ids, operation, request_timeout)

    def list_transactions(
        self,
        *,
        states: Collection[str] = (),
        producer_ids: Collection[int] = (),
        longer_than_ms: int | None = None,
        transactional_id_pattern: str | None = None,
        request_timeout: float | None = None,
    ) -> Future[dict[int, list[TransactionListing]]]:
        """List transactions.

        Args:
            states: only those in these states, as the broker names them.
            producer_ids: only those of these producers.
            longer_than_ms: only those that have been open for so long (KIP-994).
            transactional_id_pattern: only those whose id matches this RE2 pattern (KIP-1152).
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By the id of the broker that coordinates them.
        """
        operation = core.transactions.list_transactions(
            states=states,
            producer_ids=producer_ids,
            longer_than_ms=longer_than_ms,
            transactional_id_pattern=transactional_id_pattern,
        )
        return self._one(operation, request_timeout)

    def abort_transaction(
        self, spec: AbortTransactionSpec, *, request_timeout: float | None = None
    ) -> Future[None]:
        """Abort a transaction that hangs in a partition.

        Args:
            spec: which.
            request_timeout: the longest time in seconds until the answer.
        """
        return self._one(core.transactions.abort_transaction(spec), request_timeout)

    def fence_producers(
        self, transactional_ids: Collection[str], *, request_timeout: float | None = None
    ) -> dict[str, Future[FencedProducer]]:
        """Abort the open transactions of producers and shut the producers out.

        Args:
            transactional_ids: which.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By transactional id.
        """
        operation = core.transactions.fence_producers(transactional_ids)
        return self._each(transactional_ids, operation, request_timeout)


class SecurityAdmin(AdminFutures):
    """Calls about quotas and delegation tokens."""

    def describe_client_quotas(
        self, quota_filter: ClientQuotaFilter, *, request_timeout: float | None = None
    ) -> Future[dict[ClientQuotaEntity, dict[str, float]]]:
        """Find quotas (KIP-546).

        Args:
            quota_filter: whose.
            request_timeout: the longest time in seconds until the answer.
        """
        return self._one(core.quotas.describe_client_quotas(quota_filter), request_timeout)

    def alter_client_quotas(
        self,
        alterations: Sequence[ClientQuotaAlteration],
        *,
        validate_only: bool = False,
        request_timeout: float | None = None,
    ) -> dict[ClientQuotaEntity, Future[None]]:
        """Set and remove quotas.

        Args:
            alterations: the changes, one for each entity.
            validate_only: only check whether they could be made.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By entity.
        """
        operation = core.quotas.alter_client_quotas(alterations, validate_only=validate_only)
        return self._each([a.entity for a in alterations], operation, request_timeout)

    def create_delegation_token(
        self,
        *,
        owner: KafkaPrincipal | None = None,
        renewers: Sequence[KafkaPrincipal] = (),
        max_lifetime_ms: int | None = None,
        request_timeout: float | None = None,
    ) -> Future[DelegationToken]:
        """Make a delegation token (KIP-48).

        Args:
            owner: on whose behalf it speaks; None: on this client's.
            renewers: who else may renew it.
            max_lifetime_ms: how long it lives at most; None: as long as the broker allows.
            request_timeout: the longest time in seconds until the answer.
        """
        operation = core.tokens.create_delegation_token(
            owner=owner, renewers=renewers, max_lifetime_ms=max_lifetime_ms
        )
        return self._one(operation, request_timeout)

    def renew_delegation_token(
        self,
        hmac: bytes,
        *,
        renew_period_ms: int | None = None,
        request_timeout: float | None = None,
    ) -> Future[int]:
        """Let a token live longer.

        Args:
            hmac: the token's secret.
            renew_period_ms: how much longer; None: as the broker is configured.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            When it expires now: milliseconds since 1970.
        """
        operation = core.tokens.renew_delegation_token(hmac, renew_period_ms=renew_period_ms)
        return self._one(operation, request_timeout)

    def expire_delegation_token(
        self,
        hmac: bytes,
        *,
        expiry_period_ms: int | None = None,
        request_timeout: float | None = None,
    ) -> Future[int]:
        """End a token.

        Args:
            hmac: the token's secret.
            expiry_period_ms: after how long; None: at once.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            When it expires: milliseconds since 1970.
        """
        operation = core.tokens.expire_delegation_token(hmac, expiry_period_ms=expiry_period_ms)
        return self._one(operation, request_timeout)

    def describe_delegation_tokens(
        self,
        owners: Collection[KafkaPrincipal] | None = None,
        *,
        request_timeout: float | None = None,
    ) -> Future[list[DelegationToken]]:
        """Describe delegation tokens.

        Args:
            owners: whose; None: all that this client may see.
            request_timeout: the longest time in seconds until the answer.
        """
        return self._one(core.tokens.describe_delegation_tokens(owners), request_timeout)
