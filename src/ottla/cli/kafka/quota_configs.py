"""Quotas of users, clients and IP addresses, and SCRAM credentials, for ``kafka-configs``."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from ottla.cli.kafka.cluster import CONTROLLER, Cluster
from ottla.cli.kafka.config_entities import CLIENTS, DEFAULT, IPS, USERS, Entities
from ottla.cli.kafka.errors import KafkaFailure, check, class_name
from ottla.cli.kafka.java_text import java_double
from ottla.wire.api.k48_describe_client_quotas import (
    DescribeClientQuotasRequest,
    FilterComponent,
)
from ottla.wire.errors import ErrorCode

_ENTITY_TYPES = {USERS: "user", CLIENTS: "client-id", IPS: "ip"}
_SHOWN_TYPES = {"user": "user-principal", "client-id": "client-id", "ip": "ip"}
QUOTAS = {
    "producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate",
}  # fmt: skip
_IP_QUOTAS = {"connection_creation_rate"}
SCRAM = {"SCRAM-SHA-256": (1, "sha256"), "SCRAM-SHA-512": (2, "sha512")}
_FEWEST_ITERATIONS, _MOST_ITERATIONS, _DEFAULT_ITERATIONS = 4096, 16384, 4096
_CREDENTIAL = re.compile(r"(?:iterations=(-?[0-9]*),)?password=(.*)")
_EXACT, _OF_DEFAULT, _ANY = 0, 1, 2


async def describe(cluster: Cluster, found: Entities) -> None:
    """Print the quotas, and of users their SCRAM credentials without secrets."""
    for entity, values in await _quotas(cluster, found):
        shown = ", ".join(
            f"{_SHOWN_TYPES[kind]} '{entity[kind]}'"
            if entity[kind] is not None
            else f"the default {_SHOWN_TYPES[kind]}"
            for kind in _SHOWN_TYPES
            if kind in entity
        )
        quotas = ", ".join(f"{key}={java_double(number)}" for key, number in values.items())
        print(f"Quota configs for {shown} are {quotas}")
    if USERS in found.types and CLIENTS not in found.types and DEFAULT not in found.names:
        await _describe_credentials(cluster, found.names)


async def _quotas(
    cluster: Cluster, found: Entities
) -> list[tuple[dict[str, str | None], dict[str, float]]]:
    components = []
    for kind, name in found.pairs:
        match = _ANY if name is None else _OF_DEFAULT if name == DEFAULT else _EXACT
        exact = name if match == _EXACT else None
        components.append(
            FilterComponent(entity_type=_ENTITY_TYPES[kind], match_type=match, match=exact)
        )
    request = DescribeClientQuotasRequest(components=components, strict=True)
    answer = await cluster.ask(request)
    check(answer.error_code, answer.error_message)
    return [
        (
            {part.entity_type: part.entity_name for part in entry.entity},
            {each.key: each.value for each in entry.values},
        )
        for entry in answer.entries or ()
    ]


async def _describe_credentials(cluster: Cluster, users: Sequence[str]) -> None:
    from ottla.wire.api.k50_describe_user_scram_credentials import (
        DescribeUserScramCredentialsRequest,
        UserToDescribe,
    )

    wanted = [UserToDescribe(name=user) for user in users] or None
    answer = await cluster.ask(DescribeUserScramCredentialsRequest(users=wanted))
    check(answer.error_code, answer.error_message)
    names = {number: name for name, (number, _) in SCRAM.items()}
    for result in answer.results:
        if result.error_code == ErrorCode.RESOURCE_NOT_FOUND:
            continue
        if result.error_code:
            failure = KafkaFailure(result.error_code, result.error_message)
            print(
                f"Error retrieving SCRAM credential configs for user-principal '{result.user}': "
                f"{class_name(failure.code)}: {failure.message}"
            )
            continue
        shown = ", ".join(
            f"{names.get(each.mechanism, 'UNKNOWN')}=iterations={each.iterations}"
            for each in result.credential_infos
        )
        print(f"SCRAM credential configs for user-principal '{result.user}' are {shown}")


async def alter(
    cluster: Cluster, found: Entities, added: Mapping[str, str], deleted: Sequence[str]
) -> None:
    """Set and forget quotas or SCRAM credentials; raises ``ValueError`` for what can't be set."""
    _check(found, added, deleted)
    if any(key in SCRAM for key in (*added, *deleted)):
        await _alter_credentials(cluster, found.names[0], added, deleted)
    else:
        await _alter_quotas(cluster, found, added, deleted)


def _check(found: Entities, added: Mapping[str, str], deleted: Sequence[str]) -> None:
    if IPS in found.types:
        if strange := [key for key in (*added, *deleted) if key not in _IP_QUOTAS]:
            raise ValueError(
                f"Only connection quota configs can be added for '{IPS}' using --bootstrap-server. "
                f"Unexpected config names: {','.join(strange)}"
            )
        return
    of_clients = CLIENTS in found.types
    what, kind = ("quota", CLIENTS) if of_clients else ("quota and SCRAM credential", USERS)
    allowed = QUOTAS if of_clients else QUOTAS | set(SCRAM)
    for keys, done in ((added, "added"), (deleted, "deleted")):
        if strange := [key for key in keys if key not in allowed]:
            raise ValueError(
                f"Only {what} configs can be {done} for '{kind}' using --bootstrap-server. "
                f"Unexpected config names: {_scala_set(strange, done)}"
            )
    keys = (*added, *deleted)
    if any(key in SCRAM for key in keys):
        if DEFAULT in found.names:
            raise ValueError(
                "The use of --entity-default or --user-defaults is not allowed with User SCRAM "
                "Credentials using --bootstrap-server."
            )
        if any(key in QUOTAS for key in keys):
            raise ValueError(
                "Cannot alter both quota and SCRAM credential configs simultaneously for "
                f"'{USERS}' using --bootstrap-server."
            )


def _scala_set(keys: Sequence[str], done: str) -> str:
    kind = "Set" if done == "added" else "ArrayBuffer"
    return f"{kind}({', '.join(keys)})"


async def _alter_quotas(
    cluster: Cluster, found: Entities, added: Mapping[str, str], deleted: Sequence[str]
) -> None:
    from ottla.wire.api.k49_alter_client_quotas import (
        AlterClientQuotasRequest,
        EntityPart,
        QuotaAlteration,
        QuotaChange,
    )

    quotas = await _quotas(cluster, found)
    known = quotas[0][1] if quotas else {}
    if strange := [key for key in deleted if key not in known]:
        raise ValueError(f"Invalid config(s): {','.join(strange)}")
    changes: list[Any] = []
    for key, text in added.items():
        try:
            changes.append(QuotaChange(key=key, value=float(text), remove=False))
        except ValueError:
            raise ValueError(f"Cannot parse quota configuration value for {key}: {text}") from None
    changes += [QuotaChange(key=key, value=0.0, remove=True) for key in deleted]
    entity = [
        EntityPart(entity_type=_ENTITY_TYPES[kind], entity_name=name or None)
        for kind, name in found.pairs
    ]
    request = AlterClientQuotasRequest(
        entries=[QuotaAlteration(entity=entity, ops=changes)], validate_only=False
    )
    [altered] = (await cluster.ask(request, CONTROLLER)).entries
    check(altered.error_code, altered.error_message)


async def _alter_credentials(
    cluster: Cluster, user: str, added: Mapping[str, str], deleted: Sequence[str]
) -> None:
    from ottla.wire.api.k51_alter_user_scram_credentials import (
        AlterUserScramCredentialsRequest,
        CredentialToDelete,
        CredentialToSet,
    )

    upsertions = []
    for mechanism, text in added.items():
        iterations, password = parse_credential(mechanism, text)
        number, digest = SCRAM[mechanism]
        salt = secrets.token_bytes(32)
        salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
        upsertions.append(
            CredentialToSet(
                name=user,
                mechanism=number,
                iterations=iterations,
                salt=salt,
                salted_password=salted,
            )
        )
    deletions = [CredentialToDelete(name=user, mechanism=SCRAM[each][0]) for each in deleted]
    request = AlterUserScramCredentialsRequest(deletions=deletions, upsertions=upsertions)
    for result in (await cluster.ask(request, CONTROLLER)).results:
        check(result.error_code, result.error_message)


def parse_credential(mechanism: str, text: str) -> tuple[int, str]:
    """``iterations=8192,password=secret``; raises ``ValueError``, which tells no password."""
    found = _CREDENTIAL.fullmatch(text)
    if found is None:
        raise ValueError(f"Invalid credential property {mechanism}")
    iterations = int(found[1]) if found[1] not in (None, "", "-1") else _DEFAULT_ITERATIONS
    if iterations < _FEWEST_ITERATIONS:
        raise ValueError(
            f"Iterations {iterations} is less than the minimum {_FEWEST_ITERATIONS} required for "
            f"{mechanism}"
        )
    if iterations > _MOST_ITERATIONS:
        raise ValueError(
            f"Iterations {iterations} is greater than the maximum {_MOST_ITERATIONS} allowed for "
            f"{mechanism}"
        )
    return iterations, found[2]
