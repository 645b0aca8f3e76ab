"""Patterns of topics, as programs for librdkafka write them: POSIX's extended regular expressions.

Python's are a superset of what is used of those, but for the named classes of characters.
"""

from __future__ import annotations

import re

from ottla.client.errors import KafkaError, KafkaException

_CLASSES = {
    "[:alnum:]": "A-Za-z0-9",
    "[:alpha:]": "A-Za-z",
    "[:blank:]": r" \t",
    "[:digit:]": "0-9",
    "[:lower:]": "a-z",
    "[:punct:]": re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    "[:space:]": r"\s",
    "[:upper:]": "A-Z",
    "[:xdigit:]": "0-9A-Fa-f",
}
_CLASS = re.compile(r"\[:[a-z]+:\]")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern, to be matched with the beginning of a topic's name.

    Raises:
        KafkaException: ``_INVALID_ARG``: it makes no sense.
    """
    try:
        return re.compile(_CLASS.sub(lambda found: _CLASSES[found[0]], pattern))
    except (re.error, KeyError, RecursionError, OverflowError):
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG)) from None
