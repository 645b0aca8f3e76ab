"""kill -9 at random instants under load: what was acknowledged is there, once, in order."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from ottla.testing.crash_drill import CrashDrill
from ottla.testing.process import BrokerProcess

MakeBroker = Callable[..., BrokerProcess]
SETTINGS = {"offsets.topic.num.partitions": "3", "group.initial.rebalance.delay.ms": "0"}


def run_drill(broker: BrokerProcess, random: Random, kills: int) -> None:
    drill = CrashDrill(broker, random)
    drill.run(broker.kill, kills)
    print(
        f"{kills} kills, {drill.record_count} records and {drill.change_count} changes acknowledged"
    )
    assert not drill.problems, "\n".join(drill.problems[:20])
    complaints = [each for each in broker.events if each["level"] not in ("info", "warning")]
    assert not complaints, complaints[:5]


def test_ten_kills_lose_nothing_acknowledged(make_broker: MakeBroker, random: Random) -> None:
    run_drill(make_broker(settings=SETTINGS), random, 10)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("quarter", range(4))
def test_two_hundred_kills_lose_nothing_acknowledged(
    quarter: int, make_broker: MakeBroker, random: Random
) -> None:
    # Its random choices are others in every quarter.
    run_drill(make_broker(settings=SETTINGS), random, 50)
