"""Access rules (ACLs) and filters that match them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import total_ordering
from typing import ClassVar

from ottla.client.enumerations import (
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    as_member,
)


def authorized(operations: Sequence[AclOperation | str | int] | None) -> list[AclOperation] | None:
    """The operations a description says are allowed, None if it says nothing."""
    if not operations:
        return None
    return [as_member(operation, AclOperation) for operation in operations]


@total_ordering
class AclBinding:
    """One access rule: who may or may not do what with which resource, from where.

    Enumerations may be given as members, as names in any case or as numbers.

    Args:
        restype: the kind of resource.
        name: its name, read as ``resource_pattern_type`` says.
        resource_pattern_type: literal or prefixed.
        principal: whom the rule is about, such as ``User:alice``.
        host: the host they come from, ``*`` for any.
        operation: what they do.
        permission_type: whether that is allowed or denied.

    Raises:
        ValueError: something is missing, unknown, or only makes sense in a filter.
        TypeError: a text is no string.
    """

    restype: ResourceType
    name: str | None
    resource_pattern_type: ResourcePatternType
    principal: str | None
    host: str | None
    operation: AclOperation
    permission_type: AclPermissionType

    _required: ClassVar[tuple[str, ...]] = (
        "restype", "name", "resource_pattern_type", "principal", "host", "operation",
        "permission_type",
    )  # fmt: skip
    _forbidden: ClassVar[dict[str, tuple[Enum, ...]]] = {
        "restype": (ResourceType.ANY,),
        "resource_pattern_type": (ResourcePatternType.ANY, ResourcePatternType.MATCH),
        "operation": (AclOperation.ANY,),
        "permission_type": (AclPermissionType.ANY,),
    }

    def __init__(
        self,
        restype: ResourceType | str | int,
        name: str | None,
        resource_pattern_type: ResourcePatternType | str | int,
        principal: str | None,
        host: str | None,
        operation: AclOperation | str | int,
        permission_type: AclPermissionType | str | int,
    ) -> None:
        given = {
            "restype": restype,
            "name": name,
            "resource_pattern_type": resource_pattern_type,
            "principal": principal,
            "host": host,
            "operation": operation,
            "permission_type": permission_type,
        }
        for field in self._required:
            if given[field] is None:
                raise ValueError(f"Expected {field} to be not None")
        for field in ("name", "principal", "host"):
            if given[field] is not None and not isinstance(given[field], str):
                raise TypeError(f"Expected {field} to be a string")
        self.name = name
        self.principal = principal
        self.host = host
        self.restype = as_member(restype, ResourceType)
        self.resource_pattern_type = as_member(resource_pattern_type, ResourcePatternType)
        self.operation = as_member(operation, AclOperation)
        self.permission_type = as_member(permission_type, AclPermissionType)
        for field, members in self._forbidden.items():
            member = getattr(self, field)
            if member in members:
                message = f"Cannot use enum {field}, value {member.name} in this class"
                raise ValueError(message)

    @property
    def restype_int(self) -> int:
        """The kind of resource as Kafka's number."""
        return int(self.restype.value)

    @property
    def resource_pattern_type_int(self) -> int:
        """The pattern type as Kafka's number."""
        return int(self.resource_pattern_type.value)

    @property
    def operation_int(self) -> int:
        """The operation as Kafka's number."""
        return int(self.operation.value)

    @property
    def permission_type_int(self) -> int:
        """The permission as Kafka's number."""
        return int(self.permission_type.value)

    def _to_tuple(self) -> tuple[object, ...]:
        return (
            self.restype,
            self.name,
            self.resource_pattern_type,
            self.principal,
            self.host,
            self.operation,
            self.permission_type,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({','.join(str(field) for field in self._to_tuple())})"

    def __hash__(self) -> int:
        return hash(self._to_tuple())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AclBinding):
            return NotImplemented
        return self._to_tuple() == other._to_tuple()

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, AclBinding):
            return NotImplemented
        return self._to_tuple() < other._to_tuple()


class AclBindingFilter(AclBinding):
    """Matches access rules: ``ANY`` members and absent texts match everything."""

    _required: ClassVar[tuple[str, ...]] = (
        "restype", "resource_pattern_type", "operation", "permission_type",
    )  # fmt: skip
    _forbidden: ClassVar[dict[str, tuple[Enum, ...]]] = {
        "restype": (ResourceType.UNKNOWN,),
        "resource_pattern_type": (ResourcePatternType.UNKNOWN,),
        "operation": (AclOperation.UNKNOWN,),
        "permission_type": (AclPermissionType.UNKNOWN,),
    }
