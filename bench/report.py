"""The table as text, and everything as JSON."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from bench.results import Row, Samples

_NAME_WIDTH, _FIGURE_WIDTH, _RATIO_WIDTH = 58, 15, 8
_HEADS = ("Ottla", "Kafka, 1 core", "Kafka, all")


def heading(circumstances: Mapping[str, str], title: str) -> str:
    """The title and the circumstances, line by line."""
    width = max(map(len, circumstances))
    lines = [f"  {name:<{width}}  {value}" for name, value in circumstances.items()]
    return "\n".join([title, "", *lines])


def table(rows: Sequence[Row]) -> str:
    """The rows by section; each figure with half its range in percent."""
    lines: list[str] = []
    for section, members in groupby(rows, key=lambda row: row.section):
        lines += ["", *_section(section, list(members))]
    return "\n".join(lines)


def summary(rows: Sequence[Row]) -> str:
    """How many aims are met, and which aren't."""
    aimed = [row for row in rows if row.aim is not None]
    missed = [row for row in aimed if row.aim is not None and not row.aim.is_met]
    lines = [f"{len(aimed) - len(missed)} of {len(aimed)} aims met"]
    for row in missed:
        assert row.aim is not None
        lines.append(f"  missed: {row.section}: {row.name.strip()} ({row.aim.text})")
    return "\n".join(lines)


def write_json(path: pathlib.Path, circumstances: Mapping[str, str], rows: Sequence[Row]) -> None:
    """Every sample, and what the table shows of it."""
    document = {"circumstances": dict(circumstances), "rows": [_as_json(row) for row in rows]}
    path.write_text(json.dumps(document, indent=1) + "\n")


def _section(section: str, rows: list[Row]) -> Iterator[str]:
    if all(row.limit is not None for row in rows):
        yield section
        for row in rows:
            yield f"  {_named(row)}{_figure(row.limit):>{_FIGURE_WIDTH}}"
        return
    libraries = dict.fromkeys(name for row in rows for name in row.libraries)
    names = ("Ottla", *libraries) if libraries else _HEADS
    heads = "".join(f"{head:>{_FIGURE_WIDTH}}" for head in names)
    yield f"{section:<{_NAME_WIDTH + 12}}"
    yield f"  {'':<{_NAME_WIDTH + 10}}{heads}{'ratio':>{_RATIO_WIDTH}}  aim"
    for row in rows:
        peers = (
            [row.libraries.get(name) for name in libraries]
            if libraries
            else [row.kafka, row.kafka_all_cores]
        )
        figures = "".join(f"{_figure(each):>{_FIGURE_WIDTH}}" for each in (row.ottla, *peers))
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
        aim = "" if row.aim is None else f"{row.aim.text}: {'yes' if row.aim.is_met else 'NO'}"
        yield f"  {_named(row)}{figures}{ratio:>{_RATIO_WIDTH}}  {aim}".rstrip()


def _named(row: Row) -> str:
    return f"{row.name:<{_NAME_WIDTH}}{row.unit:<10}"


def _figure(samples: Samples | None) -> str:
    if samples is None:
        return "-"
    median = samples.median
    digits = 0 if median >= 100 else 1 if median >= 10 else 2
    spread = f" ±{samples.spread_percent:.0f}%" if len(samples.values) > 1 else ""
    return f"{median:.{digits}f}{spread}"


def _as_json(row: Row) -> dict[str, Any]:
    document = asdict(row)
    document["better"] = row.better.value
    document["ratio"] = row.ratio
    del document["has_peer_aim"]
    for name in ("ottla", "kafka", "kafka_all_cores", "limit"):
        samples = getattr(row, name)
        if samples is not None:
            document[name]["median"] = samples.median
    for name, library in row.libraries.items():
        document["libraries"][name]["median"] = library.median
    return document
