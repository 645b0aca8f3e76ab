"""How log records leave the process: text for people, JSON lines for machines."""

from __future__ import annotations

import logging
import sys
import time

# Whatever a record carries beyond these was passed as `extra` and is part of the message.
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def set_up_logging(log_format: str, level: str) -> None:
    """Send every logger's records of ``level`` and above to one stream.

    Args:
        log_format: ``text`` (standard error) or ``json`` (standard output).
        level: the name of a logging level, in any case.
    """
    if log_format == "json":
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonFormatter())
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(TextFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


def _timestamp(record: logging.LogRecord) -> str:
    """ISO 8601 in UTC with milliseconds."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


class TextFormatter(logging.Formatter):
    """``2026-01-31T12:00:00.000Z WARNING ottla.log: message``"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatTime(  # noqa: N802 - logging's name
        self, record: logging.LogRecord, datefmt: str | None = None
    ) -> str:
        return _timestamp(record)


class JsonFormatter(logging.Formatter):
    """One object per line: ``ts``, ``level``, ``logger``, ``message`` and the record's own fields.

    ``event``, where a record has one, is a stable name for programs to look for.
    """

    def format(self, record: logging.LogRecord) -> str:
        import json

        fields: dict[str, object] = {
            "ts": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        own = vars(record)
        fields |= {name: own[name] for name in own if name not in _STANDARD_FIELDS}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)
