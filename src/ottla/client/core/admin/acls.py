"""Access rules: made, found, deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from ottla.client.admin.acls import AclBinding, AclBindingFilter
from ottla.client.core.admin.call import Call, Operation, Outcomes, ask_all, ask_one
from ottla.client.core.admin.checks import all_are
from ottla.client.core.admin.outcomes import outcome, raise_for
from ottla.client.core.admin.routes import controller
from ottla.client.enumerations import (
    AclOperation,
    AclPermissionType,
    OrderedEnum,
    ResourcePatternType,
    ResourceType,
)
from ottla.client.errors import KafkaError
from ottla.wire.api.k29_describe_acls import DescribeAclsRequest, DescribeAclsResponse
from ottla.wire.api.k30_create_acls import AclToCreate, CreateAclsRequest, CreateAclsResponse
from ottla.wire.api.k31_delete_acls import (
    AclFilter,
    AclFilterResult,
    DeleteAclsRequest,
    DeleteAclsResponse,
)

T = TypeVar("T")


def create_acls(acls: list[AclBinding]) -> Operation[Outcomes[AclBinding, None]]:
    """Make access rules."""
    if len(set(acls)) != len(acls):
        raise ValueError("duplicate ACL bindings not allowed")
    all_are(acls, AclBinding)
    _non_empty(acls, "AclBinding")

    def request(keys: Sequence[AclBinding]) -> CreateAclsRequest:
        return CreateAclsRequest(creations=[_to_create(rule) for rule in keys])

    def read(
        answer: CreateAclsResponse, keys: Sequence[AclBinding]
    ) -> Iterable[tuple[AclBinding, KafkaError | None]]:
        for rule, result in zip(keys, answer.results, strict=False):
            yield rule, outcome(result.error_code, result.error_message, None)

    return ask_all(Call(acls, controller(), request, CreateAclsResponse, read))


def _non_empty(items: Any, kind: str) -> None:
    if not isinstance(items, list) or not items:
        raise ValueError(f"Expected non-empty list of {kind} objects")


def _to_create(rule: AclBinding) -> AclToCreate:
    return AclToCreate(
        resource_type=rule.restype_int,
        resource_name=rule.name or "",
        resource_pattern_type=rule.resource_pattern_type_int,
        principal=rule.principal or "",
        host=rule.host or "",
        operation=rule.operation_int,
        permission_type=rule.permission_type_int,
    )


def describe_acls(acl_binding_filter: AclBindingFilter) -> Operation[list[AclBinding]]:
    """The access rules that match a filter."""
    if not isinstance(acl_binding_filter, AclBindingFilter):
        raise TypeError("Expected an AclBindingFilter object")

    def request(_: Sequence[AclBindingFilter]) -> DescribeAclsRequest:
        return _matching(DescribeAclsRequest, acl_binding_filter)

    def read(
        answer: DescribeAclsResponse, keys: Sequence[AclBindingFilter]
    ) -> Iterable[tuple[AclBindingFilter, list[AclBinding] | KafkaError]]:
        raise_for(answer.error_code, answer.error_message)
        rules = [
            _rule(found.resource_type, found.resource_name, found.pattern_type, entry)
            for found in answer.resources
            for entry in found.acls
        ]
        yield keys[0], rules

    return ask_one(Call([acl_binding_filter], controller(), request, DescribeAclsResponse, read))


def _matching(make: Callable[..., T], wanted: AclBindingFilter) -> T:
    return make(
        resource_type_filter=wanted.restype_int,
        resource_name_filter=wanted.name,
        pattern_type_filter=wanted.resource_pattern_type_int,
        principal_filter=wanted.principal,
        host_filter=wanted.host,
        operation=wanted.operation_int,
        permission_type=wanted.permission_type_int,
    )


def _rule(resource_type: int, name: str, pattern_type: int, entry: Any) -> AclBinding:
    return AclBinding(
        _member(ResourceType, resource_type),
        name,
        _member(ResourcePatternType, pattern_type),
        entry.principal,
        entry.host,
        _member(AclOperation, entry.operation),
        _member(AclPermissionType, entry.permission_type),
    )


def _member(enumeration: type[OrderedEnum], number: int) -> Any:
    """A member by its number; what a newer broker has beyond them is unknown."""
    try:
        return enumeration(number)
    except ValueError:
        return enumeration(0)


def delete_acls(
    acl_binding_filters: list[AclBindingFilter],
) -> Operation[Outcomes[AclBindingFilter, list[AclBinding]]]:
    """Delete the access rules that match filters: which they were."""
    if len(set(acl_binding_filters)) != len(acl_binding_filters):
        raise ValueError("duplicate ACL binding filters not allowed")
    all_are(acl_binding_filters, AclBindingFilter)
    _non_empty(acl_binding_filters, "AclBindingFilter")

    def request(keys: Sequence[AclBindingFilter]) -> DeleteAclsRequest:
        return DeleteAclsRequest(filters=[_matching(AclFilter, wanted) for wanted in keys])

    def read(
        answer: DeleteAclsResponse, keys: Sequence[AclBindingFilter]
    ) -> Iterable[tuple[AclBindingFilter, list[AclBinding] | KafkaError]]:
        for wanted, result in zip(keys, answer.filter_results, strict=False):
            yield wanted, outcome(result.error_code, result.error_message, _deleted(result))

    return ask_all(Call(acl_binding_filters, controller(), request, DeleteAclsResponse, read))


def _deleted(result: AclFilterResult) -> list[AclBinding]:
    return [
        _rule(deleted.resource_type, deleted.resource_name, deleted.pattern_type, deleted)
        for deleted in result.matching_acls
        if deleted.error_code == 0
    ]
