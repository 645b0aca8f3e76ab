"""What a broker writes: the banner for people, JSON lines for programs."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest

from ottla.cli.log_output import JsonFormatter, TextFormatter, set_up_logging


@pytest.fixture
def _root_logger_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    logger = logging.getLogger("ottla.test")
    return logger.makeRecord(
        "ottla.test", logging.WARNING, "file.py", 1, message, arguments, None, extra=fields
    )


def test_a_text_line_has_time_level_logger_and_message() -> None:
    line = TextFormatter().format(record("%d bytes", 5))
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING ottla\.test: 5 bytes", line
    )


def test_a_json_line_is_one_object_with_the_records_own_fields() -> None:
    line = JsonFormatter().format(record("two\nlines", event="listening", port=9092))
    assert "\n" not in line
    fields = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields.pop("ts"))
    assert fields == {
        "level": "warning",
        "logger": "ottla.test",
        "message": "two\nlines",
        "event": "listening",
        "port": 9092,
    }


def test_a_json_line_carries_the_exception() -> None:
    try:
        raise ValueError("bad")
    except ValueError:
        failed = record("failed")
        failed.exc_info = sys.exc_info()
    assert "ValueError: bad" in json.loads(JsonFormatter().format(failed))["exception"]


@pytest.mark.usefixtures("_root_logger_restored")
@pytest.mark.parametrize(("log_format", "stream"), [("json", "out"), ("text", "err")])
def test_each_format_has_its_stream_and_its_level(
    log_format: str, stream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(log_format, "warning")
    logging.getLogger("ottla.test").info("unimportant")
    logging.getLogger("ottla.test").warning("important")
    captured = capsys.readouterr()
    assert "important" in getattr(captured, stream)
    assert "unimportant" not in captured.out + captured.err
    assert captured.out == "" or captured.err == ""
