"""``produce_batch``: many messages, each a dictionary, in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.client.appended import APPENDED, WAKE, code_of_refusal, header_pairs
from ottla.client.errors import KafkaError, describe

if TYPE_CHECKING:
    from ottla.client._reference_accumulator import Accumulator

_KINDS = {"value": (bytes, str), "key": (bytes, str), "partition": (int,), "timestamp": (int,)}


def check_messages(messages: list[dict[str, Any]]) -> None:
    """Raise ``TypeError`` for what can't be produced, before anything of it is."""
    if not isinstance(messages, list):
        raise TypeError("messages must be a list")
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise TypeError(f"Message at index {index} must be a dict")
        for name, kinds in _KINDS.items():
            content = message.get(name)
            if content is not None and not isinstance(content, kinds):
                wanted = " or ".join(kind.__name__ for kind in kinds)
                raise TypeError(f"Message {name} at index {index} must be {wanted}")
        if message.get("headers") is not None:
            try:
                header_pairs(message["headers"])
            except TypeError as error:
                raise TypeError(f"Invalid headers at index {index}: {error}") from None


def append_messages(
    accumulator: Accumulator,
    topic: str,
    messages: list[dict[str, Any]],
    partition: int,
    callback: Any,
) -> tuple[int, bool]:
    """Append checked messages; those that are refused get the reason as their ``_error``.

    Returns:
        How many were accepted, and whether the engine has to look.
    """
    accepted = 0
    wakes = False
    append = accumulator.append
    for message in messages:
        get = message.get
        chosen = get("partition")
        answer = append(
            topic,
            partition if chosen is None else chosen,
            get("key"),
            get("value"),
            get("headers"),
            get("timestamp") or 0,
            get("callback") or get("on_delivery") or callback,
        )
        if answer in (APPENDED, WAKE):
            accepted += 1
            wakes = wakes or answer == WAKE
        else:
            code = code_of_refusal(answer)
            message["_error"] = KafkaError(code, f"Message failed: {describe(code)}")
    return accepted, wakes
