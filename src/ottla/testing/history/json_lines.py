"""Histories in files: JSON lines, one event each, in the order in which they happened.

```json
{"id": 0, "type": "invoke", "kind": "send", "process": "p", "partition": "t-0", "value": "a"}
{"id": 0, "type": "ok", "time_ms": 2.0, "offset": 7}
```

Fields that have their defaults are left out. An operation without a second line has no known end.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from ottla.testing.history.operations import (
    KINDS,
    NEVER,
    Assign,
    Commit,
    EndTransaction,
    FetchCommitted,
    History,
    Isolation,
    Operation,
    Outcome,
    Poll,
    Read,
    Send,
)

_INVOKE = "invoke"
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}


class MalformedHistory(ValueError):  # noqa: N818 - says what it is
    """A line of a history is not one."""


def write_json_lines(history: History, file: TextIO) -> None:
    """Write every event of a history."""
    for event in _events(history.operations):
        file.write(json.dumps(event, separators=(",", ":")) + "\n")


def read_json_lines(lines: Iterable[str]) -> History:
    """The history that `write_json_lines` wrote, or another recorder in the same form.

    Raises:
        MalformedHistory: a line is not an event, or completes what was not invoked.
    """
    now_ms = 0.0
    history = History(lambda: now_ms)
    open_operations: dict[int, Operation] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
            now_ms = float(event.get("time_ms", 0.0))
            if event["type"] == _INVOKE:
                open_operations[event["id"]] = history.invoke(_invoked(event))
            else:
                _complete(history, open_operations.pop(event["id"]), event)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MalformedHistory(f"line {number} is no event: {error!r}") from error
    return history


def _events(operations: Iterable[Operation]) -> Iterator[dict[str, Any]]:
    """Invocations come in order already; what is completed waits for its turn."""
    waiting: list[tuple[int, int, Operation]] = []
    for operation in operations:
        while waiting and waiting[0][0] < operation.invoked:
            yield _completion(heapq.heappop(waiting)[2])
        yield _invocation(operation)
        if operation.completed != NEVER:
            heapq.heappush(waiting, (operation.completed, operation.id, operation))
        elif operation.error:
            yield _completion(operation)
    while waiting:
        yield _completion(heapq.heappop(waiting)[2])


def _invocation(operation: Operation) -> dict[str, Any]:
    event: dict[str, Any] = {
        "id": operation.id,
        "type": _INVOKE,
        "kind": operation.KIND,
        "process": operation.process,
        "time_ms": operation.invoked_ms,
    }
    match operation:
        case Send():
            event["partition"] = operation.partition
            event["value"] = operation.value
            _put(event, key=operation.key, transaction=operation.transaction)
            if operation.is_tombstone:
                event["is_tombstone"] = True
        case Poll():
            event["isolation"] = operation.isolation.value
            _put(event, group=operation.group)
        case Assign():
            event["partitions"] = list(operation.partitions)
            _put(event, group=operation.group)
            event["member"] = operation.member
            event["generation"] = operation.generation
        case Commit():
            event["group"] = operation.group
            event["offsets"] = operation.offsets
            _put(event, transaction=operation.transaction)
        case FetchCommitted():
            event["group"] = operation.group
            event["is_stable"] = operation.is_stable
        case EndTransaction():
            event["transaction"] = operation.transaction
            event["commits"] = operation.commits
    return event


def _put(event: dict[str, Any], **optional: Any) -> None:
    event.update((name, value) for name, value in optional.items() if value is not None)


def _completion(operation: Operation) -> dict[str, Any]:
    event: dict[str, Any] = {
        "id": operation.id,
        "type": operation.outcome.value,
        "time_ms": operation.completed_ms,
    }
    if operation.error:
        event["error"] = operation.error
    if operation.is_ok:
        match operation:
            case Send():
                event["offset"] = operation.offset
            case Poll():
                event["read"] = operation.read
            case FetchCommitted():
                event["offsets"] = operation.offsets
    return event


_NOT_DETAILS = {"id", "type", "kind", "time_ms"}


def _invoked(event: dict[str, Any]) -> Operation:
    details = {name: value for name, value in event.items() if name not in _NOT_DETAILS}
    if "isolation" in details:
        details["isolation"] = Isolation(details["isolation"])
    return KINDS[event["kind"]](**details)


def _complete(history: History, operation: Operation, event: dict[str, Any]) -> None:
    outcome = _OUTCOMES[event["type"]]
    if outcome is Outcome.FAIL:
        history.fail(operation, event.get("error", ""))
    elif outcome is Outcome.INFO:
        history.info(operation, event.get("error", ""))
    else:
        match operation:
            case Send():
                history.ok(operation, offset=int(event.get("offset", -1)))
            case Poll():
                history.ok(operation, read=_read(event["read"]))
            case FetchCommitted():
                history.ok(operation, offsets=dict(event["offsets"]))
            case _:
                history.ok(operation)


def _read(partitions: dict[str, Any]) -> dict[str, Read]:
    return {
        name: Read(start, end, [(offset, value) for offset, value in records])
        for name, (start, end, records) in partitions.items()
    }
