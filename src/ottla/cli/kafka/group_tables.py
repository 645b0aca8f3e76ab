"""The tables of ``kafka-consumer-groups``: columns as wide as Kafka's, which scripts count on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ottla.cli.kafka.group_queries import Committed, GroupListing, GroupView, MemberView
from ottla.cli.kafka.partition_offsets import Partition

MISSING = "-"
_LEAST = 15
_LEAST_INSTANCE = 17


def listing_table(
    groups: Sequence[GroupListing], *, with_type: bool, with_state: bool, extra: int = 10
) -> Iterator[str]:
    """``--list`` with ``--type`` or ``--state``: a line per group below the headings."""
    widest = max([_LEAST, *(len(group.group_id) for group in groups)]) + extra
    rows = [("GROUP", "TYPE", "STATE")]
    rows += [(each.group_id, each.type or "Unknown", each.state or "Unknown") for each in groups]
    for group_id, kind, state in rows:
        cells = [f"{group_id:<{widest}}"]
        cells += [f"{kind:<20}"] if with_type else []
        cells += [f"{state:<20}"] if with_state else []
        yield " ".join(cells)


class OffsetRow(NamedTuple):
    """A partition of a group and how far the group is; None where that isn't known."""

    topic: str | None
    partition: int | None
    committed: Committed | None
    end_offset: int | None
    member: MemberView | None = None

    @property
    def lag(self) -> int | None:
        """How many records the group has yet to read."""
        if self.committed is None or self.end_offset is None:
            return None
        return self.end_offset - self.committed.offset


def offset_rows(
    group: GroupView,
    committed: Mapping[Partition, Committed],
    end_offsets: Mapping[Partition, int],
) -> list[OffsetRow]:
    """Partitions by member, those with most partitions first, then what nobody is assigned."""
    rows: list[OffsetRow] = []
    assigned: set[Partition] = set()
    for member in sorted(group.members, key=lambda each: -len(each.assigned)):
        assigned |= set(member.assigned)
        rows += [
            _row(partition, committed, end_offsets, member) for partition in sorted(member.assigned)
        ]
    rest = sorted(set(committed) - assigned)
    return rows + [_row(partition, committed, end_offsets, None) for partition in rest]


def _row(
    partition: Partition,
    committed: Mapping[Partition, Committed],
    end_offsets: Mapping[Partition, int],
    member: MemberView | None,
) -> OffsetRow:
    return OffsetRow(*partition, committed.get(partition), end_offsets.get(partition), member)


def cell(value: object | None) -> str:
    """A value as a table shows it."""
    return MISSING if value is None else str(value)


def _leader_epoch(row: OffsetRow) -> int | None:
    if row.committed is None or row.committed.leader_epoch < 0:
        return None
    return row.committed.leader_epoch


def offsets_table(group_id: str, rows: Sequence[OffsetRow], *, verbose: bool) -> Iterator[str]:
    """``--describe --offsets``; verbose adds the leader epochs."""
    heading = ["GROUP", "TOPIC", "PARTITION"]
    heading += ["LEADER-EPOCH"] if verbose else []
    heading += ["CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"]
    lines = [heading]
    for row in rows:
        offset = None if row.committed is None else row.committed.offset
        line = [group_id, cell(row.topic), cell(row.partition)]
        line += [cell(_leader_epoch(row))] if verbose else []
        line += [cell(offset), cell(row.end_offset), cell(row.lag)]
        member = row.member
        line += [MISSING] * 3 if member is None else _who(member)
        lines.append(line)
    numbers = [10, *([15] if verbose else []), 15, 15, 15]
    who = len(heading) - 3
    widths = [width(lines, 0), width(lines, 1), *numbers]
    widths += [width(lines, who), width(lines, who + 1), 0]
    yield ""
    for line in lines:
        yield padded(line, widths)
    yield ""


def _who(member: MemberView) -> list[str]:
    return [member.member_id, member.host, member.client_id]


def width(lines: Sequence[Sequence[str]], column: int, least: int = _LEAST) -> int:
    """How wide a column is: as its widest cell below the heading, and not less than ``least``."""
    return max([least, *(len(line[column]) for line in lines[1:])])


def padded(cells: Iterable[str], widths: Iterable[int]) -> str:
    """A line of a table."""
    return " ".join(f"{text:<{wide}}" for text, wide in zip(cells, widths, strict=True))


def members_table(group: GroupView, *, verbose: bool) -> Iterator[str]:
    """``--describe --members``; verbose adds epochs and assignments."""
    with_instance = any(member.instance_id for member in group.members)
    # Of interest only while some members are yet to move to the newer protocol.
    with_upgrades = verbose and any(member.is_upgraded is False for member in group.members)
    heading = ["GROUP", "CONSUMER-ID"]
    heading += ["GROUP-INSTANCE-ID"] if with_instance else []
    heading += ["HOST", "CLIENT-ID", "#PARTITIONS"]
    fixed = len(heading)
    if verbose:
        heading += ["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT"]
    heading += ["UPGRADED"] if with_upgrades else []
    lines = [heading]
    for member in group.members:
        line = [group.group_id, member.member_id]
        line += [member.instance_id or ""] if with_instance else []
        line += [member.host, member.client_id, str(len(member.assigned))]
        line += _assignments(group, member) if verbose else []
        line += [cell(member.is_upgraded).lower()] if with_upgrades else []
        lines.append(line)
    widths = [width(lines, 0), width(lines, 1)]
    widths += [width(lines, 2, _LEAST_INSTANCE)] if with_instance else []
    widths += [width(lines, fixed - 3), width(lines, fixed - 2), 15]
    if verbose:
        widths += [15, width(lines, fixed + 1, 20), 15, width(lines, fixed + 3, 20)]
        widths += [0] if with_upgrades else []
    yield ""
    for line in lines:
        yield padded(line, widths)


def _assignments(group: GroupView, member: MemberView) -> list[str]:
    if member.epoch is None:
        return [MISSING, assignment_text(member.assigned), MISSING, MISSING]
    return [
        str(member.epoch),
        assignment_text(member.assigned),
        cell(group.target_epoch),
        assignment_text(member.target or ()),
    ]


def assignment_text(partitions: Iterable[Partition]) -> str:
    """``topic:0,1;other:0``, a dash for nothing."""
    by_topic: dict[str, list[int]] = defaultdict(list)
    for topic, index in partitions:
        by_topic[topic].append(index)
    shown = (
        f"{topic}:{','.join(map(str, sorted(indexes)))}"
        for topic, indexes in sorted(by_topic.items())
    )
    return ";".join(shown) or MISSING


def state_table(group: GroupView, *, verbose: bool) -> Iterator[str]:
    """``--describe --state``; verbose adds the group's epochs."""
    number, host, port = group.coordinator
    heading = ["GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE"]
    heading += ["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH"] if verbose else []
    heading += ["#MEMBERS"]
    line = [group.group_id, f"{host}:{port}  ({number})", group.assignor or MISSING, group.state]
    line += [cell(group.epoch), cell(group.target_epoch)] if verbose else []
    line += [str(len(group.members))]
    lines = [heading, line]
    widths = [width(lines, 0), width(lines, 1, 25), 20, 20]
    widths += [15, 25] if verbose else []
    widths += [0]
    yield ""
    for each in lines:
        yield padded(each, widths)
    yield ""


def reset_table(resets: Mapping[str, Mapping[Partition, int]]) -> Iterator[str]:
    """What ``--reset-offsets`` has set, or would."""
    lines = [["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"]]
    for group_id, offsets in resets.items():
        for (topic, index), offset in offsets.items():
            lines.append([group_id, topic, str(index), str(offset)])
    widths = [width(lines, 0), width(lines, 1), 10, 15]
    yield ""
    for line in lines if resets else ():
        yield padded(line, widths)
