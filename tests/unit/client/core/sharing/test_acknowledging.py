"""What the application holds, what it decides, and how requests say it."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.client.core.sharing.acknowledgements import (
    GAP,
    Acknowledgements,
    Outcome,
    Place,
    ranges,
)
from ottla.client.core.sharing.acquired import AcquiredRecords
from ottla.client.enumerations import AcknowledgeType
from ottla.client.errors import KafkaError
from ottla.client.message import Message

ACCEPT, RELEASE, REJECT, RENEW = AcknowledgeType
PLACE = Place(1, "t", UUID(int=7), 0)
ELSEWHERE = Place(2, "t", UUID(int=7), 1)


def held(*offsets: int, first: int = 0, last: int = 9, readable_to: int = 10) -> AcquiredRecords:
    """Acquired from ``first`` to ``last``, of which some offsets hold records."""
    records = AcquiredRecords()
    messages = [Message("t", 0, offset) for offset in offsets]
    records.add(PLACE, [(first, last, 1)], messages, readable_to)
    return records


def test_what_holds_no_record_is_a_gap_and_what_did_not_arrive_is_given_back() -> None:
    records = held(0, 2, last=5, readable_to=4)
    assert records.undecided_count == 2
    records.decide_all(ACCEPT)
    types = {0: ACCEPT, 1: GAP, 2: ACCEPT, 3: GAP, 4: RELEASE, 5: RELEASE}
    assert records.take() == [(PLACE, types)]
    assert (records.take(), records.undecided_count) == ([], 0)


def test_gaps_go_along_with_records_or_alone_when_there_are_none() -> None:
    assert held(3, last=3).take() == []
    only_gaps = held(first=4, last=5)
    assert only_gaps.take() == [(PLACE, {4: GAP, 5: GAP})]
    records = held(0, 1, last=2)
    assert records.acknowledge("t", 0, 1, REJECT)
    assert records.take() == [(PLACE, {1: REJECT, 2: GAP})]
    assert records.undecided_count == 1


def test_a_decision_counts_when_it_is_taken() -> None:
    records = held(0, last=0)
    assert records.acknowledge("t", 0, 0, RELEASE)
    assert records.acknowledge("t", 0, 0, ACCEPT)
    assert records.take() == [(PLACE, {0: ACCEPT})]
    assert not records.acknowledge("t", 0, 0, ACCEPT)


@pytest.mark.parametrize("place", [("t", 0, 1), ("t", 0, 11), ("t", 1, 0), ("u", 0, 0)])
def test_there_is_nothing_to_decide_about_what_is_not_held(place: tuple[str, int, int]) -> None:
    assert not held(0, last=1).acknowledge(*place, ACCEPT)


def test_some_can_be_left_undecided() -> None:
    records = AcquiredRecords()
    messages = [Message("t", 0, offset) for offset in (0, 1)]
    records.add(PLACE, [(0, 1, 1)], messages, 2)
    records.decide_all(ACCEPT, but=messages[1:])
    assert records.take() == [(PLACE, {0: ACCEPT})]
    assert records.undecided_count == 1


def test_decisions_go_where_the_records_came_from() -> None:
    records = held(0, last=0)
    records.add(ELSEWHERE, [(0, 0, 3)], [Message("t", 1, 0)], 1)
    records.decide_all(REJECT)
    assert records.take() == [(PLACE, {0: REJECT}), (ELSEWHERE, {0: REJECT})]


def test_a_renewed_record_is_handed_out_once_more() -> None:
    records = held(0, 1, last=1)
    records.acknowledge("t", 0, 0, RENEW)
    records.acknowledge("t", 0, 1, RENEW)
    [(place, types)] = records.take()
    assert (types, records.undecided_count) == ({0: RENEW, 1: RENEW}, 0)
    renewed = Acknowledgements(place, {0: RENEW}, 0)
    lost = Acknowledgements(place, {1: RENEW}, 0)
    records.settled(Outcome(lost, KafkaError(KafkaError.INVALID_RECORD_STATE)))
    assert not records.has_renewed
    records.settled(Outcome(renewed, None))
    assert [each.offset() for each in records.take_renewed()] == [0]
    assert (records.undecided_count, records.has_renewed) == (1, False)


def test_ranges_of_one_type_say_it_once() -> None:
    said = list(ranges({5: ACCEPT, 3: ACCEPT, 4: ACCEPT, 8: RELEASE, 9: REJECT}))
    assert said == [(3, 5, [ACCEPT]), (8, 9, [RELEASE, REJECT])]
    assert list(ranges({})) == []


@given(st.dictionaries(st.integers(0, 40), st.sampled_from([GAP, 1, 2, 3, 4])))
def test_ranges_say_every_offset_in_order(types: dict[int, int]) -> None:
    said: dict[int, int] = {}
    end = -2
    for first, last, kinds in ranges(types):
        assert first > end + 1
        end = last
        count = last - first + 1
        assert len(kinds) in (1, count)
        said |= zip(range(first, last + 1), kinds * count, strict=False)
    assert said == types
