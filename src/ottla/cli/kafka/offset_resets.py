"""Where ``--reset-offsets`` sets a group to: times, durations, plans in CSV, limits."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from ottla.cli.kafka.partition_offsets import Partition

_DURATION = re.compile(
    r"([-+]?)P(?:([-+]?\d+)D)?(?:T(?=[-+\d])(?:([-+]?\d+)H)?(?:([-+]?\d+)M)?"
    r"(?:([-+]?\d+)(?:[.,](\d{0,9}))?S)?)?",
    re.IGNORECASE,
)
_DATETIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[-+]\d\d(?::?\d\d)?)?"
)
_NO_T = "does not contain a 'T' according to ISO8601 format"
SCENARIOS = (
    "to-offset", "to-earliest", "to-latest", "to-current", "shift-by", "to-datetime",
    "by-duration", "from-file",
)  # fmt: skip


def parse_duration(text: str) -> int:
    """Milliseconds of an ISO 8601 duration such as ``P1DT2H3M4.5S``.

    Raises:
        ValueError: it is none.
    """
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()[1:5]):
        raise ValueError("Text cannot be parsed to a Duration")
    sign, days, hours, minutes, seconds, fraction = found.groups()
    total = int(days or 0) * 86_400 + int(hours or 0) * 3_600 + int(minutes or 0) * 60
    total_ms = total * 1_000 + int(seconds or 0) * 1_000
    part_ms = int((fraction or "").ljust(3, "0")[:3] or 0)
    total_ms += -part_ms if (seconds or "").startswith("-") else part_ms
    return -total_ms if sign == "-" else total_ms


def parse_datetime(text: str) -> int:
    """Milliseconds since 1970 of ``YYYY-MM-DDThh:mm:ss.sss``, in UTC unless it ends in a zone.

    Raises:
        ValueError: it is no such time.
    """
    found = _DATETIME.fullmatch(text)
    if found is None:
        reason = "is not YYYY-MM-DDThh:mm:ss.sss" if "T" in text else _NO_T
        raise ValueError(f"java.text.ParseException: Error parsing timestamp. It {reason}")
    *parts, seconds, fraction, zone = found.groups()
    year, month, day, hour, minute = map(int, parts)
    moment = datetime(year, month, day, hour, minute, int(seconds or 0), tzinfo=UTC)
    millis = int((fraction or "0").ljust(3, "0")[:3])
    return int(moment.timestamp()) * 1_000 + millis - _zone_ms(zone)


def _zone_ms(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    digits = zone[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
    return (-minutes if zone[0] == "-" else minutes) * 60_000


def parse_plan(text: str, group_ids: Iterable[str]) -> dict[str, dict[Partition, int]]:
    """A plan as ``--export`` writes it: ``topic,partition,offset`` for one group, otherwise with
    the group in front.

    Raises:
        ValueError: a line is no such thing.
    """
    groups = list(group_ids)
    plan: dict[str, dict[Partition, int]] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        if not row:
            continue
        cells = [cell.strip() for cell in row]
        group_id = groups[0] if len(groups) == 1 and len(cells) == 3 else cells.pop(0)
        try:
            topic, partition, offset = cells
            plan.setdefault(group_id, {})[topic, int(partition)] = int(offset)
        except ValueError:
            raise ValueError(
                f"line {number} of the plan is not topic,partition,offset: {','.join(row)}"
            ) from None
    return plan


def format_plan(resets: Mapping[str, Mapping[Partition, int]], *, with_group: bool) -> str:
    """Offsets as ``--export`` writes them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for group_id, offsets in resets.items():
        for (topic, index), offset in offsets.items():
            writer.writerow([*([group_id] if with_group else []), topic, index, offset])
    return text.getvalue()


def within(offset: int, first: int | None, end: int | None) -> int:
    """The offset, or the nearest that the log has."""
    if end is not None and offset > end:
        return end
    if first is not None and offset < first:
        return first
    return offset


def parse_topic(text: str) -> tuple[str, list[int] | None]:
    """``topic`` or ``topic:0,1,2``.

    Raises:
        ValueError: the partitions aren't numbers.
    """
    topic, colon, numbers = text.partition(":")
    if not colon:
        return topic, None
    if not numbers or ":" in numbers:
        raise ValueError(f"Invalid topic arg '{text}', expected topic name and partitions")
    partitions = []
    for number in numbers.split(","):
        if not number.isdigit():
            raise ValueError(f"Invalid partition '{number}' specified in topic arg '{text}''")
        partitions.append(int(number))
    return topic, partitions
