"""Access rules and SCRAM credentials as kafka-python has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from enum import IntEnum
from typing import Any, NamedTuple

from ottla.client.admin import acls as client_acls
from ottla.client.admin import scram as client_scram
from ottla.client.enumerations import ScramMechanism as ClientMechanism
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.sync.admin import AdminClient
from ottla.kafka_python.errors import IllegalArgumentError, for_code

_NO_ERROR = for_code(0)


class ResourceType(IntEnum):
    """What a rule is about; ANY in filters only."""

    UNKNOWN = 0
    ANY = 1
    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5
    DELEGATION_TOKEN = 6
    USER = 7


class ACLOperation(IntEnum):
    """What a rule allows or denies; ANY in filters only."""

    UNKNOWN = 0
    ANY = 1
    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12
    CREATE_TOKENS = 13
    DESCRIBE_TOKENS = 14


class ACLPermissionType(IntEnum):
    """Whether it does the one or the other; ANY in filters only."""

    UNKNOWN = 0
    ANY = 1
    DENY = 2
    ALLOW = 3


class ACLResourcePatternType(IntEnum):
    """How a rule's name is compared with a resource's (KIP-290); ANY and MATCH in filters only."""

    UNKNOWN = 0
    ANY = 1
    MATCH = 2
    LITERAL = 3
    PREFIXED = 4


class ResourcePatternFilter:
    """Of which resources rules are wanted.

    Raises:
        IllegalArgumentError: a type is no member of its enumeration.
    """

    def __init__(
        self,
        resource_type: ResourceType,
        resource_name: str | None,
        pattern_type: ACLResourcePatternType,
    ) -> None:
        _check(resource_type, ResourceType, "resource_type")
        _check(pattern_type, ACLResourcePatternType, "pattern_type")
        self.resource_type = resource_type
        self.resource_name = resource_name
        self.pattern_type = pattern_type

    def _values(self) -> tuple[object, ...]:
        return self.resource_type, self.resource_name, self.pattern_type

    def __repr__(self) -> str:
        return (
            f"<ResourcePattern type={self.resource_type.name}, name={self.resource_name}, "
            f"pattern={self.pattern_type.name}>"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResourcePatternFilter) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())


class ResourcePattern(ResourcePatternFilter):
    """The resources that a rule is about.

    Raises:
        IllegalArgumentError: a type that only a filter may have.
    """

    def __init__(
        self,
        resource_type: ResourceType,
        resource_name: str,
        pattern_type: ACLResourcePatternType = ACLResourcePatternType.LITERAL,
    ) -> None:
        super().__init__(resource_type, resource_name, pattern_type)
        if resource_type == ResourceType.ANY:
            raise IllegalArgumentError("resource_type cannot be ANY")
        if pattern_type in (ACLResourcePatternType.ANY, ACLResourcePatternType.MATCH):
            raise IllegalArgumentError(f"pattern_type cannot be {pattern_type.name} in a rule")


class ACLFilter:
    """Which rules are wanted; None matches every principal, or host.

    Raises:
        IllegalArgumentError: a type is no member of its enumeration.
    """

    def __init__(
        self,
        principal: str | None,
        host: str | None,
        operation: ACLOperation,
        permission_type: ACLPermissionType,
        resource_pattern: ResourcePatternFilter,
    ) -> None:
        _check(operation, ACLOperation, "operation")
        _check(permission_type, ACLPermissionType, "permission_type")
        _check(resource_pattern, ResourcePatternFilter, "resource_pattern")
        self.principal = principal
        self.host = host
        self.operation = operation
        self.permission_type = permission_type
        self.resource_pattern = resource_pattern

    def _values(self) -> tuple[object, ...]:
        return (
            self.principal, self.host, self.operation, self.permission_type, self.resource_pattern
        )  # fmt: skip

    def __repr__(self) -> str:
        return (
            f"<ACL principal={self.principal}, resource={self.resource_pattern}, "
            f"operation={self.operation.name}, type={self.permission_type.name}, host={self.host}>"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ACLFilter) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())


class ACL(ACLFilter):
    """A rule: who may, or may not, do what to which resources from where.

    Raises:
        IllegalArgumentError: a type that only a filter may have.
    """

    def __init__(
        self,
        principal: str,
        host: str,
        operation: ACLOperation,
        permission_type: ACLPermissionType,
        resource_pattern: ResourcePattern,
    ) -> None:
        super().__init__(principal, host, operation, permission_type, resource_pattern)
        if operation == ACLOperation.ANY:
            raise IllegalArgumentError("operation cannot be ANY")
        if permission_type == ACLPermissionType.ANY:
            raise IllegalArgumentError("permission_type cannot be ANY")
        _check(resource_pattern, ResourcePattern, "resource_pattern")


class ScramMechanism(IntEnum):
    """How a password is proved."""

    UNKNOWN = 0
    SCRAM_SHA_256 = 1
    SCRAM_SHA_512 = 2


class UserScramCredentialDeletion:
    """A user's credential goes; the mechanism may be given by name or number, too."""

    def __init__(self, user: str, mechanism: ScramMechanism | str | int) -> None:
        self.user = user
        self.mechanism = _mechanism(mechanism)

    def __repr__(self) -> str:
        return f"UserScramCredentialDeletion({self.user}, {self.mechanism.name})"


class UserScramCredentialUpsertion:
    """A user gets a credential. The password never leaves the client.

    Args:
        user: the user's name.
        mechanism: a member, its name or number.
        password: salted and hashed here.
        iterations: how often it is hashed.
        salt: by default one is drawn.
    """

    DEFAULT_ITERATIONS = 4096

    def __init__(
        self,
        user: str,
        mechanism: ScramMechanism | str | int,
        password: str | bytes,
        iterations: int | None = None,
        salt: bytes | None = None,
    ) -> None:
        self.user = user
        self.mechanism = _mechanism(mechanism)
        self.iterations = self.DEFAULT_ITERATIONS if iterations is None else iterations
        self.salt = salt
        self._password = password.encode() if isinstance(password, str) else password

    def __repr__(self) -> str:
        return f"UserScramCredentialUpsertion({self.user}, {self.mechanism.name})"


class DeletedACLs(NamedTuple):
    """What became of one filter: it, the rules that went, the class of the error."""

    acl_filter: ACLFilter
    acls: list[ACL]
    error: type[Exception]


class SecurityCalls:
    """The part of ``KafkaAdminClient`` about who may do what."""

    _client: AdminClient
    _outcome: Callable[[Future[Any]], Any]
    _failures: Callable[[Mapping[Any, Future[Any]]], dict[Any, KafkaError | None]]

    def describe_acls(self, acl_filter: ACLFilter) -> tuple[list[ACL], type[Exception]]:
        """The rules that match, and ``NoError``."""
        found = self._outcome(self._client.describe_acls(_client_filter(acl_filter)))
        return [_rule(each) for each in found], _NO_ERROR

    def create_acls(self, acls: Iterable[ACL]) -> dict[str, list[Any]]:
        """Make rules: ``succeeded`` has those that were made, ``failed`` the errors of others.

        Raises:
            IllegalArgumentError: one of them is no ``ACL``.
        """
        wanted = list(acls)
        for each in wanted:
            _check(each, ACL, "acls")
        bindings = {_client_rule(each): each for each in wanted}
        failures = self._failures(self._client.create_acls(list(bindings)))
        return {
            "succeeded": [rule for key, rule in bindings.items() if failures[key] is None],
            "failed": [for_code(error.code()) for error in failures.values() if error is not None],
        }

    def delete_acls(self, acl_filters: Iterable[ACLFilter]) -> list[DeletedACLs]:
        """Delete the rules that match: by filter which went, and the class of the error.

        Raises:
            IllegalArgumentError: one of them is no ``ACLFilter``.
        """
        wanted = list(acl_filters)
        for each in wanted:
            _check(each, ACLFilter, "acl_filters")
        filters = [_client_filter(each) for each in wanted]
        futures = self._client.delete_acls(list(dict.fromkeys(filters)))
        results = []
        for given, used in zip(wanted, filters, strict=True):
            try:
                gone = futures[used].result()
            except KafkaException as exception:
                results.append(DeletedACLs(given, [], for_code(exception.args[0].code())))
            else:
                results.append(DeletedACLs(given, [_rule(each) for each in gone], _NO_ERROR))
        return results

    def describe_user_scram_credentials(
        self, users: Iterable[str] | None = None
    ) -> dict[str, dict[str, Any]]:
        """By user the mechanisms and iterations of the credentials, or the error's text."""
        if users is None:
            found = self._outcome(self._client.describe_user_scram_credentials())
            return {user: _credentials(each) for user, each in found.items()}
        told: dict[str, dict[str, Any]] = {}
        futures = self._client.describe_user_scram_credentials(list(users))
        for user, future in futures.items():
            try:
                told[user] = _credentials(future.result())
            except KafkaException as exception:
                told[user] = {"error": exception.args[0].str(), "credential_infos": []}
        return told

    def alter_user_scram_credentials(
        self, alterations: Iterable[UserScramCredentialDeletion | UserScramCredentialUpsertion]
    ) -> dict[str, str | None]:
        """Set and delete credentials: by user the error's text, None when there is none.

        Raises:
            IllegalArgumentError: one of them is neither.
        """
        changes = [_client_alteration(each) for each in alterations]
        failures = self._failures(self._client.alter_user_scram_credentials(changes))
        return {user: None if e is None else e.str() for user, e in failures.items()}


def _check(value: object, kind: type, name: str) -> None:
    if not isinstance(value, kind):
        raise IllegalArgumentError(f"{name} must be of the type {kind.__name__}")


def _mechanism(value: ScramMechanism | str | int) -> ScramMechanism:
    if isinstance(value, str):
        return ScramMechanism[value.upper().replace("-", "_")]
    return ScramMechanism(value)


def _client_fields(each: ACLFilter) -> tuple[Any, ...]:
    pattern = each.resource_pattern
    return (
        int(pattern.resource_type), pattern.resource_name, int(pattern.pattern_type),
        each.principal, each.host, int(each.operation), int(each.permission_type),
    )  # fmt: skip


def _client_rule(each: ACL) -> client_acls.AclBinding:
    return client_acls.AclBinding(*_client_fields(each))


def _client_filter(each: ACLFilter) -> client_acls.AclBindingFilter:
    return client_acls.AclBindingFilter(*_client_fields(each))


def _rule(found: client_acls.AclBinding) -> ACL:
    pattern = ResourcePattern(
        ResourceType(found.restype_int),
        found.name or "",
        ACLResourcePatternType(found.resource_pattern_type_int),
    )
    return ACL(
        found.principal or "",
        found.host or "",
        ACLOperation(found.operation_int),
        ACLPermissionType(found.permission_type_int),
        pattern,
    )


def _credentials(found: client_scram.UserScramCredentialsDescription) -> dict[str, Any]:
    infos = [
        {"mechanism": ScramMechanism(each.mechanism.value), "iterations": each.iterations}
        for each in found.scram_credential_infos
    ]
    return {"error": None, "credential_infos": infos}


def _client_alteration(change: object) -> client_scram.UserScramCredentialAlteration:
    if isinstance(change, UserScramCredentialDeletion):
        mechanism = ClientMechanism(change.mechanism.value)
        return client_scram.UserScramCredentialDeletion(change.user, mechanism)
    if isinstance(change, UserScramCredentialUpsertion):
        info = client_scram.ScramCredentialInfo(
            ClientMechanism(change.mechanism.value), change.iterations
        )
        return client_scram.UserScramCredentialUpsertion(
            change.user, info, change._password, change.salt
        )
    raise IllegalArgumentError(f"{type(change).__name__} is no change of a SCRAM credential")
