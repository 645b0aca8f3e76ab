"""Delegation tokens: made, renewed, ended, described (KIP-48)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ottla.client.admin.tokens import DelegationToken, KafkaPrincipal
from ottla.client.core.admin.call import Call, Operation, ask_one
from ottla.client.core.admin.outcomes import outcome, raise_for
from ottla.client.core.admin.routes import any_broker, controller
from ottla.client.errors import KafkaError
from ottla.wire.api.k38_create_delegation_token import (
    CreateDelegationTokenRequest,
    CreateDelegationTokenResponse,
    RenewerToAdd,
)
from ottla.wire.api.k39_renew_delegation_token import (
    RenewDelegationTokenRequest,
    RenewDelegationTokenResponse,
)
from ottla.wire.api.k40_expire_delegation_token import (
    ExpireDelegationTokenRequest,
    ExpireDelegationTokenResponse,
)
from ottla.wire.api.k41_describe_delegation_token import (
    DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse,
    DescribedToken,
    TokenOwner,
)

_BROKERS_CHOICE = -1
_FIRST_WITH_OWNER = 3


def create_delegation_token(
    *, owner: KafkaPrincipal | None, renewers: Sequence[KafkaPrincipal], max_lifetime_ms: int | None
) -> Operation[DelegationToken]:
    """Make a token."""

    def request(_: Sequence[None]) -> CreateDelegationTokenRequest:
        return CreateDelegationTokenRequest(
            owner_principal_type=owner.principal_type if owner else "",
            owner_principal_name=owner.name if owner else "",
            renewers=[
                RenewerToAdd(principal_type=r.principal_type, principal_name=r.name)
                for r in renewers
            ],
            max_lifetime_ms=_BROKERS_CHOICE if max_lifetime_ms is None else max_lifetime_ms,
        )

    def read(
        answer: CreateDelegationTokenResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, DelegationToken | KafkaError]]:
        raise_for(answer.error_code)
        token = DelegationToken(
            answer.token_id,
            bytes(answer.hmac),
            KafkaPrincipal(answer.principal_type, answer.principal_name),
            _requester(
                answer.token_requester_principal_type, answer.token_requester_principal_name
            ),
            list(renewers),
            answer.issue_timestamp_ms,
            answer.expiry_timestamp_ms,
            answer.max_timestamp_ms,
        )
        yield None, token

    at_least = _FIRST_WITH_OWNER if owner else 0
    response = CreateDelegationTokenResponse
    return ask_one(Call([None], controller(), request, response, read, at_least=at_least))


def _requester(principal_type: str, name: str) -> KafkaPrincipal | None:
    return KafkaPrincipal(principal_type, name) if principal_type else None


def renew_delegation_token(hmac: bytes, *, renew_period_ms: int | None) -> Operation[int]:
    """Let a token live longer: until when it does now, as a timestamp in milliseconds."""

    def request(_: Sequence[None]) -> RenewDelegationTokenRequest:
        period_ms = _BROKERS_CHOICE if renew_period_ms is None else renew_period_ms
        return RenewDelegationTokenRequest(hmac=hmac, renew_period_ms=period_ms)

    def read(
        answer: RenewDelegationTokenResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, int | KafkaError]]:
        yield None, outcome(answer.error_code, None, answer.expiry_timestamp_ms)

    return ask_one(Call([None], controller(), request, RenewDelegationTokenResponse, read))


def expire_delegation_token(hmac: bytes, *, expiry_period_ms: int | None) -> Operation[int]:
    """End a token after this time, or at once: when it ends, as a timestamp in milliseconds."""

    def request(_: Sequence[None]) -> ExpireDelegationTokenRequest:
        period_ms = -1 if expiry_period_ms is None else expiry_period_ms
        return ExpireDelegationTokenRequest(hmac=hmac, expiry_time_period_ms=period_ms)

    def read(
        answer: ExpireDelegationTokenResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, int | KafkaError]]:
        yield None, outcome(answer.error_code, None, answer.expiry_timestamp_ms)

    return ask_one(Call([None], controller(), request, ExpireDelegationTokenResponse, read))


def describe_delegation_tokens(
    owners: Collection[KafkaPrincipal] | None,
) -> Operation[list[DelegationToken]]:
    """The tokens of these owners, or all that this client may see."""

    def request(_: Sequence[None]) -> DescribeDelegationTokenRequest:
        if owners is None:
            return DescribeDelegationTokenRequest(owners=None)
        return DescribeDelegationTokenRequest(
            owners=[
                TokenOwner(principal_type=o.principal_type, principal_name=o.name) for o in owners
            ]
        )

    def read(
        answer: DescribeDelegationTokenResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, list[DelegationToken] | KafkaError]]:
        raise_for(answer.error_code)
        yield None, [_token(found) for found in answer.tokens]

    return ask_one(Call([None], any_broker(), request, DescribeDelegationTokenResponse, read))


def _token(found: DescribedToken) -> DelegationToken:
    return DelegationToken(
        found.token_id,
        bytes(found.hmac),
        KafkaPrincipal(found.principal_type, found.principal_name),
        _requester(found.token_requester_principal_type, found.token_requester_principal_name),
        [KafkaPrincipal(r.principal_type, r.principal_name) for r in found.renewers],
        found.issue_timestamp,
        found.expiry_timestamp,
        found.max_timestamp,
    )
