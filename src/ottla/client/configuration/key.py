"""What is known about one configuration key."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal[
    "string", "exact string", "integer", "float", "boolean", "choice", "flags", "patterns",
    "callback", "internal", "rejected", "alias",
]  # fmt: skip
Role = Literal["any", "producer", "consumer", "share consumer"]
Value = str | int | float | bool | tuple[str, ...] | None


class Key(NamedTuple):
    """A configuration key.

    ``default`` is the value when nothing is set. ``choices`` maps what may be written to what it
    means; an entry of ``unsupported_choices`` says why one can't be had here. ``unsupported`` says
    the same of the whole key. ``note`` is the text that refuses a ``rejected`` key, and for an
    ``alias`` the name it stands for. A key that ``is_ignored`` is checked and then has no effect.
    """

    name: str
    kind: Kind
    default: Value = None
    minimum: float = 0
    maximum: float = 0
    choices: dict[str, str | int] = {}
    unsupported_choices: dict[str, str] = {}
    role: Role = "any"
    is_topic_key: bool = False
    is_secret: bool = False
    is_deprecated: bool = False
    is_ignored: bool = False
    unsupported: str | None = None
    note: str = ""
    # The attribute of the configuration objects; by default the name with underscores.
    attribute: str = ""

    @property
    def field(self) -> str:
        """The attribute of the configuration objects that holds the value."""
        return self.attribute or self.name.replace(".", "_")


def same(*choices: str) -> dict[str, str | int]:
    """Choices that mean what they say."""
    return {choice: choice for choice in choices}
