"""Java's ``.properties`` format, in which ``server.properties`` is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_BLANKS = " \t\f"
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


class Property(NamedTuple):
    """One entry of a file; ``line`` counts from 1 and is where the entry begins."""

    key: str
    value: str
    line: int


class PropertiesError(ValueError):
    """The text is no properties file; ``line`` (from 1) is where it goes wrong."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


def parse_properties(text: str) -> list[Property]:
    """Every entry in the order written; a key may occur more than once.

    Raises:
        PropertiesError: a ``\\u`` escape without four hexadecimal digits.
    """
    entries = []
    for line, content in _logical_lines(text):
        end = _end_of_key(content)
        rest = content[end:].lstrip(_BLANKS)
        if rest[:1] in ("=", ":"):
            rest = rest[1:].lstrip(_BLANKS)
        entries.append(Property(_unescape(content[:end], line), _unescape(rest, line), line))
    return entries


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines joined where they end in an odd number of backslashes, without comments and blanks."""
    # Only these three end a line in Java; str.splitlines knows many more.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    numbered = iter(enumerate(lines, 1))
    for number, line in numbered:
        content = line.lstrip(_BLANKS)
        if not content or content[0] in "#!":
            continue
        while _is_continued(content):
            _, following = next(numbered, (0, ""))
            content = content[:-1] + following.lstrip(_BLANKS)
        yield number, content


def _is_continued(content: str) -> bool:
    backslashes = len(content) - len(content.rstrip("\\"))
    return backslashes % 2 == 1


def _end_of_key(content: str) -> int:
    position = 0
    while position < len(content):
        character = content[position]
        if character in "=:" or character in _BLANKS:
            return position
        position += 2 if character == "\\" else 1
    return len(content)


def _unescape(text: str, line: int) -> str:
    if "\\" not in text:
        return text
    parts = []
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "\\":
            # A backslash before any other character only disappears.
            character = text[position : position + 1]
            position += 1
            if character == "u":
                character = _unicode_escape(text[position : position + 4], line)
                position += 4
            else:
                character = _ESCAPES.get(character, character)
        parts.append(character)
    return _join_surrogates("".join(parts))


def _unicode_escape(digits: str, line: int) -> str:
    if len(digits) != 4 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        raise PropertiesError(line, "\\u must be followed by four hexadecimal digits")
    return chr(int(digits, 16))


def _join_surrogates(text: str) -> str:
    # Java escapes a character beyond the Basic Multilingual Plane as two UTF-16 halves.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
