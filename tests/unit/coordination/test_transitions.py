"""The states of a classic group against the table."""

from __future__ import annotations

import pytest

from ottla.coordination.groups.classic import PREVIOUS_STATES, ClassicGroup, GroupState
from ottla.coordination.groups.events import Event, GenerationStarted, RebalancePrepared


def test_every_state_stands_in_the_table() -> None:
    assert set(PREVIOUS_STATES) == set(GroupState)


def test_nothing_follows_dead() -> None:
    assert not any(GroupState.DEAD in previous for previous in PREVIOUS_STATES.values())


@pytest.mark.parametrize(
    ("before", "event"),
    [
        ("Empty", GenerationStarted("g", 0, 1, "range", "m")),
        ("Stable", GenerationStarted("g", 0, 1, "range", "m")),
        ("PreparingRebalance", RebalancePrepared("g", 0, 0)),
    ],
    ids=["no join phase", "no rebalance", "twice"],
)
def test_a_forbidden_transition_is_a_defect(before: str, event: Event) -> None:
    group = ClassicGroup("g")
    group.state = GroupState(before)
    with pytest.raises(AssertionError):
        group.apply(event)
