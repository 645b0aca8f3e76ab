"""Subscriptions by regular expression: RE2's syntax, matched against whole topic names.

RE2 takes time linear in the text for any pattern, so no pattern can be made to hang the broker; its
compiled size is bounded as well. What Kafka (RE2/J) refuses is refused here: back references and
look-around.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ottla.wire.errors import ErrorCode, ProtocolError

# A pattern that doesn't fit is refused; repetitions such as (x{1000}){1000} don't.
_MAX_PROGRAM_BYTES = 1024 * 1024


def check(regex: str, max_length: int) -> None:
    """Makes sure that a regular expression can be matched.

    Raises:
        ProtocolError: INVALID_REGULAR_EXPRESSION.
    """
    if len(regex) > max_length:
        raise _invalid(regex, f"is longer than {max_length} characters")
    _compile(regex)


def matching(regexes: Iterable[str], topics: Iterable[str]) -> dict[str, list[str]]:
    """For each regular expression the topics whose whole name it matches; none for an invalid one,
    which a newer version may have let in."""
    names = list(topics)
    found: dict[str, list[str]] = {}
    for regex in regexes:
        try:
            pattern = _compile(regex)
        except ProtocolError:
            found[regex] = []
            continue
        found[regex] = sorted(name for name in names if pattern.fullmatch(name) is not None)
    return found


def _compile(regex: str) -> Any:
    # Imported here: a broker whose consumers subscribe by name never loads the engine.
    import re2

    options = re2.Options()
    options.max_mem = _MAX_PROGRAM_BYTES
    options.log_errors = False
    try:
        return re2.compile(regex, options)
    except (re2.error, UnicodeError) as error:
        raise _invalid(regex, _reason(error)) from error


def _reason(error: Exception) -> str:
    what = error.args[0] if error.args else ""
    return what.decode(errors="replace") if isinstance(what, bytes) else str(what)


def _invalid(regex: str, reason: str) -> ProtocolError:
    return ProtocolError(
        ErrorCode.INVALID_REGULAR_EXPRESSION,
        f"SubscribedTopicRegex `{regex[:100]}` is not a valid regular expression: {reason}.",
    )
