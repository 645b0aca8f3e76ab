"""The names of a group shard's timers."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class TimerKind(Enum):
    """What has come to pass when a timer fires."""

    SESSION = "session"  # a member, or pending member, hasn't been heard of for too long
    JOIN = "join"  # the join phase of a rebalance ends
    SYNC = "sync"  # members that haven't sent their SyncGroup are expelled
    # Of consumer groups (KIP-848):
    REVOCATION = "revocation"  # a member hasn't confirmed that it gave up partitions
    MEMBER_JOIN = "member-join"  # a classic member hasn't rejoined although it was told to
    MEMBER_SYNC = "member-sync"  # a classic member hasn't asked for its assignment
    PATTERNS = "patterns"  # time to match regular expressions against the topics
    OFFSET_EXPIRY = "offset-expiry"  # time to look for offsets past their retention


class TimerKey(NamedTuple):
    """One timer of a shard; ``group_id`` and ``member_id`` as far as the kind has them."""

    kind: TimerKind
    group_id: str = ""
    member_id: str = ""


def session_timer(group_id: str, member_id: str) -> TimerKey:
    """The timer that ends a member's session."""
    return TimerKey(TimerKind.SESSION, group_id, member_id)


def join_timer(group_id: str) -> TimerKey:
    """The timer that ends a group's join phase."""
    return TimerKey(TimerKind.JOIN, group_id)


def sync_timer(group_id: str) -> TimerKey:
    """The timer that ends a group's sync phase."""
    return TimerKey(TimerKind.SYNC, group_id)


OFFSET_EXPIRY_TIMER = TimerKey(TimerKind.OFFSET_EXPIRY)
