"""The broker's loggers as configuration: the resource BROKER_LOGGER (KIP-412).

Levels have the names Kafka's tools know. They hold until the broker stops.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ottla.metadata.controller.alter_configs import ConfigOperation, ConfigOperationType
from ottla.wire.errors import ErrorCode, ProtocolError

ROOT = "root"
_PACKAGE = "ottla"
_LEVELS = {"FATAL": 50, "ERROR": 40, "WARN": 30, "INFO": 20, "DEBUG": 10, "TRACE": 5}

_logger = logging.getLogger(__name__)


def logger_levels() -> dict[str, str]:
    """The level in force for each logger, by name; the broker's own and the root."""
    return {name: _level_name(_find(name).getEffectiveLevel()) for name in [ROOT, *_names()]}


def check_is_own(resource_name: str, node_id: int) -> None:
    """Each broker has its own loggers.

    Raises:
        ProtocolError: INVALID_REQUEST, they are not this broker's.
    """
    if resource_name != str(node_id):
        raise ProtocolError(
            ErrorCode.INVALID_REQUEST,
            f"Unexpected broker id, expected {node_id} but received {resource_name[:200]!r}",
        )


def alter_levels(operations: Sequence[ConfigOperation], *, validate_only: bool = False) -> None:
    """Set levels, or take them away, so that a logger has its parent's: all of them or none.

    Raises:
        ProtocolError: there is no such logger or level, or the operation makes no sense here.
    """
    if len({each.name for each in operations}) != len(operations):
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
    levels = [(each.name, _checked_level(each)) for each in operations]
    if validate_only:
        return
    for name, level in levels:
        _find(name).setLevel(level)
        _logger.warning("the level of the logger %s is now %s", name, _level_name(level))


def _checked_level(operation: ConfigOperation) -> int:
    name, kind = operation.name, operation.operation
    if kind not in (ConfigOperationType.SET, ConfigOperationType.DELETE):
        raise ProtocolError(
            ErrorCode.INVALID_REQUEST, f"Operation {kind} is not allowed for loggers"
        )
    if name != ROOT and name not in _names():
        raise ProtocolError(ErrorCode.INVALID_CONFIG, f"Logger {name[:200]} does not exist!")
    if kind == ConfigOperationType.DELETE:
        if name == ROOT:
            raise ProtocolError(
                ErrorCode.INVALID_REQUEST,
                "Removing the log level of the root logger is not allowed",
            )
        return logging.NOTSET
    if operation.value is None:
        raise ProtocolError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {name}")
    level = _LEVELS.get(operation.value)
    if level is None:
        raise ProtocolError(
            ErrorCode.INVALID_CONFIG,
            f"Cannot set the log level of {name} to {operation.value[:50]}; "
            f"valid log levels are {', '.join(sorted(_LEVELS))}",
        )
    return level


def _names() -> list[str]:
    """Loggers in use, and those above them."""
    known = logging.root.manager.loggerDict
    return sorted({_PACKAGE, *(name for name in known if name.startswith(f"{_PACKAGE}."))})


def _find(name: str) -> logging.Logger:
    return logging.getLogger(None if name == ROOT else name)


def _level_name(level: int) -> str:
    if level == logging.NOTSET:
        return "its parent's"
    return next((name for name, number in _LEVELS.items() if level >= number), "TRACE")
