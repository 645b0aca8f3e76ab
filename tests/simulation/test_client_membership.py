"""The client's memberships against the broker's coordinator, in virtual time."""

from __future__ import annotations

import random

import pytest

from ottla.client.core.membership.membership import Subscription
from ottla.client.core.membership.settings import MembershipSettings
from ottla.testing.simulated_group import (
    GROUP,
    KAFKA_2_1,
    SimulatedGroup,
)

EAGER = MembershipSettings(GROUP, max_poll_interval_ms=60_000)
COOPERATIVE = EAGER._replace(assignors=("cooperative-sticky",))
STICKY = EAGER._replace(assignors=("sticky", "range"))
QUIET_MS = 200_000
SEEDS = range(8)
STEPS = 80


class Story:
    """A group and all that befalls it, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.group = SimulatedGroup(seed, {"a": 5, "b": 3})
        self.is_consumer_protocol = seed % 4 == 3
        self.settings = (EAGER, COOPERATIVE, STICKY, EAGER)[seed % 4]
        self.versions = KAFKA_2_1 if seed % 8 == 0 else None
        self.names = 0
        self.had_c = False

    def join(self) -> None:
        if len(self.group.members) >= 6:
            return
        self.names += 1
        instance_id = self.random.choice([None, None, None, f"i{self.names % 3}"])
        if self.versions is not None:
            instance_id = None
        settings = self.settings._replace(group_instance_id=instance_id)
        if self.is_consumer_protocol:
            member = self.group.add_consumer(settings)
        else:
            member = self.group.add_classic(settings, versions=self.versions)
        self.group.subscribe(member, *self.topics())

    def topics(self) -> list[str]:
        choices = [["a"], ["b"], ["a", "b"], ["a", "b"], ["a", "c"], ["^[ab]$"], ["c", "^b.*"]]
        return self.random.choice(choices)

    def step(self) -> None:
        choice = self.random.random()
        group = self.group
        group.loss = self.random.choice([0, 0, 0, 0.02, 0.2])
        member = self.random.choice(group.members) if group.members else None
        if choice < 0.2 or member is None:
            self.join()
        elif choice < 0.26:
            group.leave(member)
        elif choice < 0.30:
            group.kill(member)
        elif choice < 0.36:
            if not member.is_leaving:
                group.subscribe(member, *self.topics())
        elif choice < 0.38:
            if not member.is_leaving:
                group.unsubscribe(member)
        elif choice < 0.43:
            self.change_topics()
        elif choice < 0.46:
            group.crash_coordinator(self.random.choice([100, 3_000, 20_000]))
        elif choice < 0.56:
            member.slowness_ms = self.random.choice([1, 500, 5_000, 45_000, 70_000])
        elif choice < 0.60:
            member.is_stuck = not member.is_stuck
        elif choice < 0.64:
            member.is_cut_off = not member.is_cut_off
        group.pass_time(self.random.choice([10, 100, 1_000, 5_000, 30_000]))

    def change_topics(self) -> None:
        topics = self.group.topics
        if self.random.random() < 0.5:
            topics.grow("a", min(len(topics.image.topics["a"].partitions) + 1, 9))
        elif "c" in topics.image.topics:
            topics.delete("c")
            self.had_c = True
        elif not self.had_c:
            # One made anew under the same name is another topic, which names alone can't tell.
            topics.create("c", 2)

    def quiet_down(self) -> None:
        """Nothing goes wrong any more."""
        self.group.loss = 0.0
        for member in self.group.members:
            member.slowness_ms = 1
            member.is_stuck = member.is_cut_off = False
        self.group.pass_time(QUIET_MS)

    def wanted(self) -> set[str]:
        names: set[str] = set()
        for member in self.group.members:
            subscription = member.core._subscription or Subscription()  # type: ignore[attr-defined]
            names |= subscription.topics
            if "^[ab]$" in subscription.patterns:
                names |= {"a", "b"}
            if "^b.*" in subscription.patterns:
                names.add("b")
        return names


@pytest.mark.parametrize("seed", SEEDS)
def test_no_partition_has_two_owners_whatever_happens(seed: int) -> None:
    story = Story(seed)
    for _ in range(STEPS):
        story.step()
        story.group.check_generations()
    story.quiet_down()
    story.group.check_generations()
    story.group.check_complete(story.wanted())
