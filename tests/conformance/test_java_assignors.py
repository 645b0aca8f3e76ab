"""Our assignors beside the Java client's: the same members and topics, the same partitions.

Range and round robin have to agree to the partition, or members of both kinds in one group would
disagree with what a user knows. Of sticky assignments many are right, so what is compared is what
makes one right: how even it is and how much stays where it was.
"""

from __future__ import annotations

import json
import random
import subprocess
from typing import Any

import pytest

from ottla.client.core.membership.assignors import ASSIGNORS
from ottla.client.core.membership.assignors.values import Assignment, Member, Topics
from ottla.testing.apache_kafka import PEERS_DIRECTORY, java_command

pytestmark = pytest.mark.jvm

GROUPS_PER_ASSIGNOR = 400
RACKS = "abc"
Group = tuple[list[Member], Topics]


def random_group(chance: random.Random, *, is_alike: bool, has_racks: bool) -> Group:
    topics = {
        f"t{number}": [
            frozenset(chance.sample(RACKS, chance.randint(1, 2))) if has_racks else frozenset()
            for _ in range(chance.randint(1, 8))
        ]
        for number in range(chance.randint(1, 4))
    }
    some = chance.sample(sorted(topics), chance.randint(1, len(topics)))
    members = []
    for number in range(chance.randint(1, 6)):
        wants = some if is_alike else chance.sample(sorted(topics), chance.randint(1, len(topics)))
        members.append(
            Member(
                f"m{number}",
                frozenset(wants),
                instance_id=chance.choice([None, f"i{9 - number}"]),
                rack=chance.choice([None, *RACKS]) if has_racks else None,
            )
        )
    return members, topics


def settled(members: list[Member], assignment: Assignment) -> list[Member]:
    return [m._replace(owned=tuple(assignment[m.member_id]), generation=7) for m in members]


def changed_group(chance: random.Random) -> Group:
    """A settled group from which members have gone, and to which others have come."""
    members, topics = random_group(chance, is_alike=True, has_racks=False)
    before = settled(members, ASSIGNORS["sticky"](members, topics))
    stayed = chance.sample(before, chance.randint(1, len(before)))
    came = [Member(f"n{n}", members[0].topics) for n in range(chance.randint(0, 3))]
    return [*stayed, *came], topics


def ask_java(assignor: str, groups: list[Group]) -> list[Assignment]:
    lines = [
        json.dumps(
            {
                "assignor": assignor,
                "topics": {name: [sorted(racks) for racks in t] for name, t in topics.items()},
                "members": [
                    {
                        "id": m.member_id, "topics": sorted(m.topics), "instance": m.instance_id,
                        "rack": m.rack, "owned": m.owned, "generation": m.generation,
                    }
                    for m in members
                ],
            }
        )
        for members, topics in groups
    ]  # fmt: skip
    result = subprocess.run(
        java_command("AssignorScenarios", extra_classpath=[PEERS_DIRECTORY / "java-classes"]),
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    # Kafka's own log goes to stdout too.
    answers: list[dict[str, Any]] = [
        json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")
    ]
    return [
        {
            member: [(topic, number) for topic, number in partitions]
            for member, partitions in a.items()
        }
        for a in answers
    ]


def in_any_order(assignment: Assignment) -> Assignment:
    return {member: sorted(partitions) for member, partitions in assignment.items()}


@pytest.mark.parametrize("assignor", ["range", "roundrobin"])
def test_range_and_round_robin_agree_to_the_partition(assignor: str) -> None:
    chance = random.Random(11)
    groups = [
        random_group(chance, is_alike=number % 2 == 0, has_racks=number % 3 != 0)
        for number in range(GROUPS_PER_ASSIGNOR)
    ]
    for group, theirs in zip(groups, ask_java(assignor, groups), strict=True):
        assert in_any_order(ASSIGNORS[assignor](*group)) == in_any_order(theirs), group


def kept(members: list[Member], assignment: Assignment) -> int:
    return sum(len(set(m.owned) & set(assignment[m.member_id])) for m in members)


def test_cooperative_sticky_is_as_even_and_as_sticky() -> None:
    chance = random.Random(12)
    groups = [changed_group(chance) for _ in range(GROUPS_PER_ASSIGNOR)]
    for (members, topics), theirs in zip(
        groups, ask_java("cooperative-sticky", groups), strict=True
    ):
        ours = ASSIGNORS["cooperative-sticky"](members, topics)
        assert kept(members, ours) == kept(members, theirs), (members, topics)
        after = settled(members, ours)
        final = ASSIGNORS["cooperative-sticky"](after, topics)
        sizes = [len(partitions) for partitions in final.values()]
        assert max(sizes) - min(sizes) <= 1


def test_cooperative_sticky_is_as_even_when_members_want_different_topics() -> None:
    chance = random.Random(13)
    groups = [
        random_group(chance, is_alike=False, has_racks=False) for _ in range(GROUPS_PER_ASSIGNOR)
    ]
    for group, theirs in zip(groups, ask_java("cooperative-sticky", groups), strict=True):
        ours = ASSIGNORS["cooperative-sticky"](*group)
        assert spread(ours) <= spread(theirs), group


def spread(assignment: Assignment) -> int:
    """Zero when all have the same; what unevenness adds to it is squared."""
    return sum(len(partitions) ** 2 for partitions in assignment.values())
