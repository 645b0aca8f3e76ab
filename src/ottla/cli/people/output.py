"""Rows as tables for people, as JSON or CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

FORMATS = ("table", "json", "csv")
Row = Mapping[str, Any]


def text(rows: Sequence[Row], columns: Sequence[str], form: str) -> str:
    """Rows without a terminal: aligned, JSON or CSV."""
    if form == "json":
        kept = [{column: row.get(column) for column in columns} for row in rows]
        return json.dumps(kept, indent=2, ensure_ascii=False, default=str) + "\n"
    if form == "csv":
        target = io.StringIO()
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
        return target.getvalue()
    lines = [list(columns), *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    aligned = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "\n".join(aligned) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def show(rows: Sequence[Row], columns: Sequence[str], form: str) -> None:
    """Print rows: on a terminal a table with lines, otherwise as :func:`text`."""
    if form != "table" or not sys.stdout.isatty():
        sys.stdout.write(text(rows, columns, form))
        return
    from rich.console import Console

    Console().print(rich_table(rows, columns))


def rich_table(rows: Sequence[Row], columns: Sequence[str]) -> Any:
    """A table for terminals, numbers to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in columns:
        are_numbers = all(isinstance(row.get(column), int | float | None) for row in rows)
        table.add_column(column, justify="right" if are_numbers else "left")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    return table
