"""Whole histories of clients and a broker that crashes, judged by the history checker.

`make simulate` plays ten thousand of them, `python -m ottla.testing.simulate --seed 17` tells one.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from ottla.testing.history import AnomalyKind, Commit, EndTransaction, Outcome, Poll, Send
from ottla.testing.simulate import main, play
from ottla.testing.simulation.planted_bugs import PLANTED_BUGS

SEEDS = 30
BLOCKS = 5
# Each bug shows with far fewer.
MOST_SEEDS_FOR_A_BUG = 16

DIGESTS = """
import logging
logging.disable(logging.CRITICAL)
from ottla.testing.simulate import play
print(*(play(seed).digest() for seed in (1, 5)))
"""


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_history_has_an_anomaly(block: int) -> None:
    for seed in range(block, SEEDS, BLOCKS):
        result = play(seed)
        assert result.is_clean, str(result)


def test_histories_contain_what_they_are_to_test() -> None:
    seen = set()
    for seed in range(8):
        for each in play(seed).history.operations:
            seen.add((each.KIND, each.outcome))
            if isinstance(each, Commit):
                seen.add(("in a transaction", each.transaction is not None))
            if isinstance(each, EndTransaction):
                seen.add(("commits", each.commits))
            if isinstance(each, Poll) and each.is_ok:
                seen.add(("in a group", each.group is not None))
            if isinstance(each, Send) and each.is_ok:
                seen.add(("send in a transaction", each.transaction is not None))
    expected = {(kind, Outcome.OK) for kind in ("send", "poll", "assign", "commit")}
    expected |= {("send", Outcome.INFO), ("poll", Outcome.INFO)}
    for what in ("in a transaction", "commits", "in a group", "send in a transaction"):
        expected |= {(what, True), (what, False)}
    assert expected <= seen


@pytest.mark.parametrize("name", PLANTED_BUGS)
def test_each_planted_bug_is_found(name: str) -> None:
    for seed in range(MOST_SEEDS_FOR_A_BUG):
        result = play(seed, PLANTED_BUGS[name])
        if not result.report.is_clean:
            assert result.report.kinds <= set(AnomalyKind)
            return
    pytest.fail(f"{name} was not found within {MOST_SEEDS_FOR_A_BUG} seeds")


def test_a_planted_bug_is_gone_after_its_run() -> None:
    play(0, PLANTED_BUGS["aborted-list-empty"])
    assert play(0).is_clean


def test_the_same_seed_is_the_same_history_in_every_process() -> None:
    digests = set()
    for hash_seed in ("0", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", DIGESTS],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
    digests.add(" ".join(play(seed).digest() for seed in (1, 5)) + "\n")
    assert len(digests) == 1


def test_the_command_tells_one_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3"]) == 0
    told = capsys.readouterr().out
    assert "broker: starts its life 1" in told
    assert "operations without an anomaly" in told


def test_the_command_counts_many_and_fails_with_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "2", "--processes", "1"]) == 0
    assert "2 clean, 0 not" in capsys.readouterr().out
    bug = ["--bug", "two-owners-of-a-partition"]
    assert main(["--seeds", "2", "--processes", "1", *bug]) == 1
    assert "two-owners" in capsys.readouterr().out
    # Silenced only while they play.
    assert logging.getLogger("ottla").isEnabledFor(logging.ERROR)
