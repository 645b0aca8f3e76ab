"""The file system loses its power under load: what was acknowledged with acks=all is there.

A real ext4 on a loop device is shut down as the plug's pulling would: what was not synced is gone.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from random import Random

import pytest

from ottla.testing.crash_drill import CrashDrill
from ottla.testing.freezing import freeze
from ottla.testing.mounted_disk import LoopDisk, why_unavailable
from ottla.testing.process import BrokerProcess

pytestmark = pytest.mark.skipif(why_unavailable() is not None, reason=str(why_unavailable()))

MakeBroker = Callable[..., BrokerProcess]
SETTINGS = {"offsets.topic.num.partitions": "3", "group.initial.rebalance.delay.ms": "0"}


@pytest.fixture
def disk(tmp_path: pathlib.Path) -> Iterator[LoopDisk]:
    with LoopDisk(tmp_path / "image", tmp_path / "mounted", 1 << 30) as mounted:
        yield mounted


def run_drill(broker: BrokerProcess, disk: LoopDisk, random: Random, cuts: int) -> None:
    def cut_power() -> None:
        # All at the same instant: a broker that lived on could take an fdatasync for done which the
        # dying file system never did, and tell its clients.
        freeze(broker.pid)
        disk.shut_down()
        broker.kill()
        disk.unmount()
        disk.mount()

    drill = CrashDrill(broker, random)
    drill.run(cut_power, cuts)
    print(
        f"{cuts} cuts, {drill.record_count} records and {drill.change_count} changes acknowledged"
    )
    assert not drill.problems, "\n".join(drill.problems[:20])
    # Nothing else can be unmounted before the broker is gone.
    broker.close()


def test_five_power_cuts_lose_nothing_acknowledged(
    disk: LoopDisk, make_broker: MakeBroker, random: Random
) -> None:
    broker = make_broker(disk.mount_point / "data", settings=SETTINGS)
    run_drill(broker, disk, random, 5)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("half", range(2))
def test_forty_power_cuts_lose_nothing_acknowledged(
    half: int, disk: LoopDisk, make_broker: MakeBroker, random: Random
) -> None:
    # Its random choices are others in every half.
    broker = make_broker(disk.mount_point / "data", settings=SETTINGS)
    run_drill(broker, disk, random, 20)
