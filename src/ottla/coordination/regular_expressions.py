"""Regular expressions that clients send: RE2's syntax, as in Kafka.

RE2 takes time linear in the text for any pattern, so no pattern can be made to hang the broker; its
compiled size is bounded as well. What Kafka (RE2/J) refuses is refused here: back references and
look-around.
"""

from __future__ import annotations

from typing import Any

from ottla.wire.errors import ErrorCode, ProtocolError

# A pattern that doesn't fit is refused; repetitions such as (x{1000}){1000} don't.
_MAX_PROGRAM_BYTES = 1024 * 1024
_MAX_SHOWN_LENGTH = 100


def compiled(regex: str, what: str) -> Any:
    """A pattern, whose ``fullmatch`` tells whether it matches a whole name.

    Args:
        what: what the expression is for, in an error message.

    Raises:
        ProtocolError: INVALID_REGULAR_EXPRESSION.
    """
    # Imported here: a broker whose clients go by names never loads the engine.
    import re2

    options = re2.Options()
    options.max_mem = _MAX_PROGRAM_BYTES
    options.log_errors = False
    try:
        return re2.compile(regex, options)
    except (re2.error, UnicodeError) as error:
        raise invalid(regex, what, _reason(error)) from error


def invalid(regex: str, what: str, reason: str) -> ProtocolError:
    """The refusal of an expression."""
    return ProtocolError(
        ErrorCode.INVALID_REGULAR_EXPRESSION,
        f"{what} `{regex[:_MAX_SHOWN_LENGTH]}` is not a valid regular expression: {reason}.",
    )


def _reason(error: Exception) -> str:
    what = error.args[0] if error.args else ""
    return what.decode(errors="replace") if isinstance(what, bytes) else str(what)
