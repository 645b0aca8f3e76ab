"""Subscriptions by regular expression, matched against whole topic names."""

from __future__ import annotations

from collections.abc import Iterable

from ottla.coordination.regular_expressions import compiled, invalid
from ottla.wire.errors import ProtocolError

_WHAT = "SubscribedTopicRegex"


def check(regex: str, max_length: int) -> None:
    """Makes sure that a regular expression can be matched.

    Raises:
        ProtocolError: INVALID_REGULAR_EXPRESSION.
    """
    if len(regex) > max_length:
        raise invalid(regex, _WHAT, f"is longer than {max_length} characters")
    compiled(regex, _WHAT)


def matching(regexes: Iterable[str], topics: Iterable[str]) -> dict[str, list[str]]:
    """For each regular expression the topics whose whole name it matches; none for an invalid one,
    which a newer version may have let in."""
    names = list(topics)
    found: dict[str, list[str]] = {}
    for regex in regexes:
        try:
            pattern = compiled(regex, _WHAT)
        except ProtocolError:
            found[regex] = []
            continue
        found[regex] = sorted(name for name in names if pattern.fullmatch(name) is not None)
    return found
