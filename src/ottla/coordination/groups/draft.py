"""The working copy on which a decision about one group is made."""

from __future__ import annotations

from ottla.coordination.groups.classic import ClassicGroup
from ottla.coordination.groups.events import Event
from ottla.coordination.groups.membership import Member
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.groups.timers import session_timer
from ottla.coordination.outcome import Outcome


class Draft:
    """A group as it will be once ``outcome`` is performed.

    One thing leads to another in a group: a member joins, so everybody has joined, so the next
    generation begins. The draft runs each event on a copy of the group as it is emitted, so that
    the next question is asked of the state it will meet, while the group itself stays untouched.
    """

    __slots__ = ("group", "now_ms", "outcome", "settings")

    def __init__(
        self, group: ClassicGroup, settings: GroupSettings, now_ms: int, outcome: Outcome
    ) -> None:
        self.group = group.draft()
        self.settings = settings
        self.now_ms = now_ms
        self.outcome = outcome

    def emit(self, event: Event) -> None:
        """Adds the event to the outcome and lets it happen to the copy."""
        self.outcome.events.append(event)
        self.group.apply(event)

    def restart_session(self, member: Member, timeout_ms: int | None = None) -> None:
        """Gives the member another session timeout, or ``timeout_ms``, from now."""
        if timeout_ms is None:
            timeout_ms = member.session_timeout_ms
        key = session_timer(self.group.group_id, member.member_id)
        self.outcome.set_timer(key, self.now_ms + timeout_ms)

    def end_session(self, member_id: str) -> None:
        """Stops waiting for the member's heartbeats."""
        self.outcome.cancel_timer(session_timer(self.group.group_id, member_id))
