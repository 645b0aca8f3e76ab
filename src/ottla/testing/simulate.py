"""``python -m ottla.testing.simulate``: many seeded histories of a whole broker, each one judged.

``--seeds 10000`` plays that many and says how many were clean; ``--seed 17`` plays one and tells
all that happened in it. The same seed is the same history, to the last byte.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial

from ottla.testing.history import write_json_lines
from ottla.testing.simulation.planted_bugs import PLANTED_BUGS, PlantedBug
from ottla.testing.simulation.run import Result, run_scenario
from ottla.testing.simulation.scenario import draw_scenario

_PROGRESS_INTERVAL_S = 5.0
_MOST_FAILURES_SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status says whether all was clean."""
    options = _parser().parse_args(arguments)
    bug = PLANTED_BUGS[options.bug] if options.bug else None
    if options.seed is not None:
        return _play_one(options.seed, bug, options.history)
    seeds = range(options.first, options.first + options.seeds)
    return _play_many(seeds, bug, options.processes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ottla.testing.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="play only this one and print its trace")
    parser.add_argument("--history", help="with --seed: write the history to this file")
    parser.add_argument("--bug", choices=PLANTED_BUGS, help="plant a bug, for it to be found")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser


def play(seed: int, bug: PlantedBug | None = None) -> Result:
    """Play one seed, with a bug planted and the scenario it needs."""
    scenario = draw_scenario(seed)
    if bug is None:
        return run_scenario(scenario)
    return run_scenario(scenario._replace(**bug.needs), bug=bug.plant)


def _play_one(seed: int, bug: PlantedBug | None, history_file: str | None) -> int:
    result = play(seed, bug)
    _print(*result.trace, str(result), f"digest {result.digest()}")
    if history_file is not None:
        with open(history_file, "w") as file:
            write_json_lines(result.history, file)
    return int(not result.is_clean)


def _summary(seed: int, bug_name: str | None) -> tuple[int, str | None]:
    """How many operations, and what is wrong."""
    # What a broker says of its own crashes is nothing to look at thousands of times.
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        result = play(seed, PLANTED_BUGS[bug_name] if bug_name else None)
    except Exception as error:
        return 0, f"seed {seed}: the simulation failed: {error!r}"
    finally:
        logging.disable(before)
    return len(result.history), None if result.is_clean else str(result)


def _play_many(seeds: Sequence[int], bug: PlantedBug | None, processes: int) -> int:
    started = shown = time.monotonic()
    done = operations = 0
    failures: list[str] = []
    for count, failure in _results(seeds, bug, processes):
        done += 1
        operations += count
        if failure is not None:
            failures.append(failure)
            if len(failures) <= _MOST_FAILURES_SHOWN:
                _print(failure)
        now = time.monotonic()
        if now - shown >= _PROGRESS_INTERVAL_S:
            shown = now
            left_s = (now - started) / done * (len(seeds) - done)
            _print(f"{done:,} of {len(seeds):,} seeds, {len(failures)} failed, {left_s:.0f} s left")
    elapsed_s = time.monotonic() - started
    _print(
        f"{done:,} seeds with {operations:,} operations in {elapsed_s:.0f} s: "
        f"{done - len(failures):,} clean, {len(failures):,} not"
    )
    return int(bool(failures))


def _results(
    seeds: Sequence[int], bug: PlantedBug | None, processes: int
) -> Iterator[tuple[int, str | None]]:
    work = partial(_summary, bug_name=bug.name if bug else None)
    if processes == 1:
        yield from map(work, seeds)
        return
    # Spawned, so that each begins as a fresh run of a single seed does.
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(work, seeds, chunksize=4)


def _print(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
