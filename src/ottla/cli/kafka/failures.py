"""How a tool ends when it can't do what it was asked."""

from __future__ import annotations


class ToolFailure(Exception):  # noqa: N818 - not every end of a tool is an error
    """The tool ends with ``status``, after saying ``message`` on standard error if there is one.

    Args:
        message: what is wrong.
        hint: what to do about it.
        status: the process's exit code.
    """

    def __init__(self, message: str = "", hint: str = "", *, status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status

    @property
    def told(self) -> str:
        """What is said on standard error."""
        return self.message


class UsageError(ToolFailure):
    """The options don't fit together: the message is followed by the tool's options."""


class OptionError(ToolFailure):
    """The command line can't be read; tools differ in what they say then."""
