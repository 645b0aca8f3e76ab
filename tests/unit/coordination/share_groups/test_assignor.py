"""The simple assignor: nobody idle, nothing unread, loads even, little moved."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from ottla.coordination.share_groups.assignor import assign

TOPICS = [uuid.UUID(int=number) for number in range(1, 5)]
MEMBERS = [f"member-{number}" for number in range(9)]


def spread(counts):
    return max(counts) - min(counts) if counts else 0


@given(st.integers(1, 9), st.integers(1, 20), st.integers(1, 9))
def test_equal_members_share_evenly_and_keep_what_they_can(members, partitions, members_before):
    topics = {TOPICS[0]: range(partitions)}
    before = assign(dict.fromkeys(MEMBERS[:members_before], TOPICS[:1]), topics, {})
    made = assign(dict.fromkeys(MEMBERS[:members], TOPICS[:1]), topics, before)
    loads = [len(parts) for parts in made.values()]
    readers = [
        sum(part in parts for parts in made.values()) for part in set().union(*made.values())
    ]
    assert len(readers) == partitions
    assert spread(loads) <= 1
    assert spread(readers) <= 1
    assert max(loads) == 1 or max(readers) == 1
    again = assign(dict.fromkeys(MEMBERS[:members], TOPICS[:1]), topics, made)
    assert again == made


@given(
    st.dictionaries(st.sampled_from(MEMBERS), st.sets(st.sampled_from(TOPICS))),
    st.dictionaries(st.sampled_from(TOPICS), st.integers(1, 6)),
)
def test_whatever_members_subscribe_to_nothing_is_unread_and_nobody_idle(subscriptions, counts):
    topics = {topic: range(count) for topic, count in counts.items()}
    made = assign(subscriptions, topics, {})
    assert made.keys() == subscriptions.keys()
    for member, parts in made.items():
        assert all(part.topic_id in subscriptions[member] for part in parts)
        assert parts or not subscriptions[member] & counts.keys()
    read = {part for parts in made.values() for part in parts}
    wanted = set().union(*subscriptions.values()) & counts.keys()
    assert read == {(topic, index) for topic in wanted for index in topics[topic]}
