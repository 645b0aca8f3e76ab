"""SCRAM credentials of users: described, set, deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import pbkdf2_hmac
from typing import Any

from ottla.client.admin.scram import (
    ScramCredentialInfo,
    UserScramCredentialAlteration,
    UserScramCredentialDeletion,
    UserScramCredentialsDescription,
    UserScramCredentialUpsertion,
)
from ottla.client.core.admin.call import (
    Call,
    Operation,
    Outcomes,
    ask_all,
    ask_one,
    deferring_refusals,
)
from ottla.client.core.admin.outcomes import invalid, outcome, raise_for
from ottla.client.core.admin.routes import controller
from ottla.client.enumerations import ScramMechanism
from ottla.client.errors import KafkaError
from ottla.wire.api.k50_describe_user_scram_credentials import (
    DescribedUser,
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    UserToDescribe,
)
from ottla.wire.api.k51_alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    CredentialToDelete,
    CredentialToSet,
)

SALT_BYTES = 64
_HASHES = {ScramMechanism.SCRAM_SHA_256: "sha256", ScramMechanism.SCRAM_SHA_512: "sha512"}
_MECHANISMS = {member.value: member for member in ScramMechanism}


@deferring_refusals
def describe_user_scram_credentials(
    users: list[str],
) -> Operation[Outcomes[str, UserScramCredentialsDescription]]:
    """The credentials of some users, without their secrets."""
    _check_users(users)
    if len(set(users)) != len(users):
        raise invalid("Duplicate users aren't allowed in the same request")

    def request(keys: Sequence[str]) -> DescribeUserScramCredentialsRequest:
        return DescribeUserScramCredentialsRequest(users=[UserToDescribe(name=k) for k in keys])

    def read(
        answer: DescribeUserScramCredentialsResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, UserScramCredentialsDescription | KafkaError]]:
        raise_for(answer.error_code, answer.error_message)
        for user in answer.results:
            yield user.user, outcome(user.error_code, user.error_message, _description(user))

    return ask_all(Call(users, controller(), request, DescribeUserScramCredentialsResponse, read))


def describe_all_user_scram_credentials() -> Operation[dict[str, UserScramCredentialsDescription]]:
    """The credentials of all users, without their secrets."""

    def request(_: Sequence[None]) -> DescribeUserScramCredentialsRequest:
        # Null means all users, too, but then Kafka 4.3 never answers a client without the right.
        return DescribeUserScramCredentialsRequest(users=[])

    def read(
        answer: DescribeUserScramCredentialsResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, dict[str, UserScramCredentialsDescription] | KafkaError]]:
        raise_for(answer.error_code, answer.error_message)
        for user in answer.results:
            raise_for(user.error_code, user.error_message)
        yield None, {user.user: _description(user) for user in answer.results}

    return ask_one(Call([None], controller(), request, DescribeUserScramCredentialsResponse, read))


def _description(user: DescribedUser) -> UserScramCredentialsDescription:
    return UserScramCredentialsDescription(
        user.user,
        [
            ScramCredentialInfo(
                _MECHANISMS.get(info.mechanism, ScramMechanism.UNKNOWN), info.iterations
            )
            for info in user.credential_infos
        ],
    )


def _check_users(users: Any) -> None:
    if not isinstance(users, list):
        raise TypeError("Expected input to be list of String")
    for user in users:
        if user is None:
            raise TypeError("'user' cannot be None")
        if not isinstance(user, str):
            raise TypeError("Each value should be a string")
        if not user:
            raise ValueError("'user' cannot be empty")


@deferring_refusals
def alter_user_scram_credentials(
    alterations: list[UserScramCredentialAlteration], *, new_salt: Callable[[], bytes]
) -> Operation[Outcomes[str, None]]:
    """Set and delete credentials; passwords are salted and hashed before they leave.

    Args:
        alterations: the changes.
        new_salt: random bytes, for changes without a salt of their own.
    """
    _check_alterations(alterations)
    for number, alteration in enumerate(alterations):
        if _mechanism(alteration) is ScramMechanism.UNKNOWN:
            raise invalid(f"SCRAM mechanism must be specified at index {number}")
    # Hashing takes its time: here, in the caller's thread, and once.
    upsertions = [
        _to_set(a, new_salt) for a in alterations if isinstance(a, UserScramCredentialUpsertion)
    ]
    deletions = [
        CredentialToDelete(name=a.user, mechanism=a.mechanism.value)
        for a in alterations
        if isinstance(a, UserScramCredentialDeletion)
    ]

    def request(keys: Sequence[str]) -> AlterUserScramCredentialsRequest:
        return AlterUserScramCredentialsRequest(
            deletions=[deletion for deletion in deletions if deletion.name in keys],
            upsertions=[upsertion for upsertion in upsertions if upsertion.name in keys],
        )

    def read(
        answer: AlterUserScramCredentialsResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, KafkaError | None]]:
        return (
            (user.user, outcome(user.error_code, user.error_message, None))
            for user in answer.results
        )

    users = [alteration.user for alteration in alterations]
    return ask_all(Call(users, controller(), request, AlterUserScramCredentialsResponse, read))


def _mechanism(alteration: UserScramCredentialAlteration) -> ScramMechanism:
    if isinstance(alteration, UserScramCredentialUpsertion):
        return alteration.scram_credential_info.mechanism
    assert isinstance(alteration, UserScramCredentialDeletion)
    return alteration.mechanism


def _to_set(change: UserScramCredentialUpsertion, new_salt: Callable[[], bytes]) -> CredentialToSet:
    info = change.scram_credential_info
    salt = change.salt or new_salt()
    return CredentialToSet(
        name=change.user,
        mechanism=info.mechanism.value,
        iterations=info.iterations,
        salt=salt,
        # Hi() of RFC 5802 is PBKDF2 with one block.
        salted_password=pbkdf2_hmac(
            _HASHES[info.mechanism], change.password, salt, info.iterations
        ),
    )


def _check_alterations(alterations: Any) -> None:
    if not isinstance(alterations, list):
        raise TypeError("Expected input to be list")
    if not alterations:
        raise ValueError("Expected at least one alteration")
    for alteration in alterations:
        if not isinstance(alteration, UserScramCredentialAlteration):
            raise TypeError(
                "Expected each element of list to be subclass of UserScramCredentialAlteration"
            )
        if alteration.user is None:
            raise TypeError("'user' cannot be None")
        if not isinstance(alteration.user, str):
            raise TypeError("'user' must be a string")
        if not alteration.user:
            raise ValueError("'user' cannot be empty")
        if isinstance(alteration, UserScramCredentialUpsertion):
            _check_upsertion(alteration)
        elif isinstance(alteration, UserScramCredentialDeletion):
            _check_mechanism(alteration.mechanism)
        else:
            raise TypeError(
                "Expected each element of list 'alterations' to be either a "
                "UserScramCredentialUpsertion or a UserScramCredentialDeletion"
            )


def _check_upsertion(change: UserScramCredentialUpsertion) -> None:
    password: Any = change.password
    info: Any = change.scram_credential_info
    if password is None:
        raise TypeError("'password' cannot be None")
    if not isinstance(password, bytes):
        raise TypeError("'password' must be bytes")
    if not password:
        raise ValueError("'password' cannot be empty")
    if change.salt is not None and not change.salt:
        raise ValueError("'salt' can be None but cannot be empty")
    if change.salt and not isinstance(change.salt, bytes):
        raise TypeError("'salt' must be bytes")
    if not isinstance(info, ScramCredentialInfo):
        raise TypeError("Expected credential_info to be ScramCredentialInfo Type")
    if info.iterations < 1:
        raise ValueError("Iterations should be positive")
    _check_mechanism(info.mechanism)


def _check_mechanism(mechanism: Any) -> None:
    if not isinstance(mechanism, ScramMechanism):
        raise TypeError("Expected the mechanism to be ScramMechanism Type")
