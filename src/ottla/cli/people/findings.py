"""What ``ottla doctor`` makes of a cluster: pure judgement over what was asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

OK, WARNING, FAILURE = "ok", "warning", "failure"
_LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - told, not bound
_FULL_PART, _FULLER_PART = 0.10, 0.20
_LARGE_LAG = 10_000
_MOST_GROUPS = 10


class Finding(NamedTuple):
    """One thing that was looked at: how it is, and what to do about it."""

    level: str
    subject: str
    text: str
    hint: str = ""


class BrokerSeen(NamedTuple):
    """A broker and where it says it listens."""

    broker_id: int
    host: str
    port: int


class PartitionSeen(NamedTuple):
    """A partition's health."""

    name: str
    leader: int
    replicas: int
    in_sync: int
    min_in_sync: int = 1


class DirectorySeen(NamedTuple):
    """A log directory; sizes are -1 where the broker doesn't tell."""

    broker_id: int
    path: str
    error: str
    total_bytes: int
    usable_bytes: int


class GroupSeen(NamedTuple):
    """A consumer group and how many records it has yet to read."""

    group_id: str
    state: str
    members: int
    lag: int


def judge_brokers(asked: str, brokers: Sequence[BrokerSeen]) -> list[Finding]:
    """Whether clients elsewhere can reach what the brokers advertise."""
    shown = ", ".join(f"{each.host}:{each.port} (id {each.broker_id})" for each in brokers)
    found = [Finding(OK, "brokers", f"{len(brokers)}: {shown}")]
    is_remote = not any(asked.startswith(host) for host in _LOCAL)
    local = [each for each in brokers if each.host in _LOCAL]
    if is_remote and local:
        found.append(
            Finding(
                FAILURE,
                "advertised addresses",
                f"asked at {asked}, but broker {local[0].broker_id} sends clients to "
                f"{local[0].host}:{local[0].port}, which is their own machine",
                "set advertised.listeners to an address that clients can reach",
            )
        )
    return found


def judge_partitions(partitions: Iterable[PartitionSeen]) -> list[Finding]:
    """Offline, under-replicated, and too few in sync for producers."""
    listed = list(partitions)
    checks = (
        (
            FAILURE,
            "offline partitions",
            [each for each in listed if each.leader < 0],
            "start the brokers that have them; kafka-leader-election --election-type unclean is "
            "the last resort, it may lose records",
        ),
        (
            FAILURE,
            "too few in sync",
            [each for each in listed if each.leader >= 0 and each.in_sync < each.min_in_sync],
            "producers with acks=all are refused until more replicas are in sync",
        ),
        (
            WARNING,
            "under-replicated partitions",
            [each for each in listed if each.in_sync < each.replicas],
            "a broker is gone or can't keep up: look at its log, disk and network",
        ),
    )
    found = []
    for level, subject, wrong, hint in checks:
        if wrong:
            some = ", ".join(each.name for each in wrong[:5])
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            found.append(Finding(level, subject, f"{len(wrong)}: {some}{more}", hint))
        else:
            found.append(Finding(OK, subject, "none"))
    return found


def judge_durability(brokers: int, partitions: Iterable[PartitionSeen]) -> list[Finding]:
    """Topics that one broken disk would lose."""
    single = sorted({each.name.rpartition("-")[0] for each in partitions if each.replicas == 1})
    if brokers < 2 or not single:
        return []
    some = ", ".join(single[:5]) + (" ..." if len(single) > 5 else "")
    return [
        Finding(
            WARNING,
            "replication",
            f"{len(single)} topics have one replica: {some}",
            "kafka-reassign-partitions can give them more",
        )
    ]


def judge_directories(directories: Iterable[DirectorySeen]) -> list[Finding]:
    """Disks that failed or are getting full."""
    found = []
    for each in directories:
        where = f"disk of broker {each.broker_id}"
        if each.error:
            found.append(
                Finding(FAILURE, where, f"{each.path} is offline: {each.error}", "see its log")
            )
        elif each.total_bytes > 0:
            part = each.usable_bytes / each.total_bytes
            free = f"{each.path}: {each.usable_bytes / 1e9:.1f} GB free ({part:.0%})"
            level = FAILURE if part < _FULL_PART else WARNING if part < _FULLER_PART else OK
            hint = "" if level == OK else "shorten retention, or give it more room"
            found.append(Finding(level, where, free, hint))
        else:
            found.append(Finding(OK, where, f"{each.path} is online"))
    return found


def judge_groups(groups: Iterable[GroupSeen]) -> list[Finding]:
    """Groups that nobody works for, or that can't keep up."""
    listed = list(groups)
    found = []
    for each in sorted(listed, key=lambda group: -group.lag):
        if each.lag and not each.members:
            found.append(
                Finding(
                    WARNING,
                    f"group {each.group_id}",
                    f"{each.lag} records behind and no members",
                    f"start its consumers, or 'ottla groups delete {each.group_id}'",
                )
            )
        elif each.lag > _LARGE_LAG:
            found.append(
                Finding(
                    WARNING,
                    f"group {each.group_id}",
                    f"{each.lag} records behind with {each.members} members",
                    f"watch it with 'ottla groups lag {each.group_id} --watch'",
                )
            )
    if len(found) > _MOST_GROUPS:
        rest = len(found) - _MOST_GROUPS
        found = found[:_MOST_GROUPS]
        found.append(
            Finding(WARNING, "groups", f"{rest} more are behind", "see 'ottla groups lag'")
        )
    if not found:
        found.append(Finding(OK, "groups", f"{len(listed)}, none far behind"))
    return found


def judge_transactions(hanging: Sequence[str]) -> list[Finding]:
    """Transactions that nobody will end."""
    if not hanging:
        return [Finding(OK, "hanging transactions", "none")]
    some = ", ".join(hanging[:5])
    return [
        Finding(
            FAILURE,
            "hanging transactions",
            f"{len(hanging)}: {some}; readers of committed records wait behind them",
            "kafka-transactions abort --topic T --partition P --start-offset O ends one",
        )
    ]
