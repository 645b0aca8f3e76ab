"""``python -m bench``: Ottla beside Apache Kafka and the machine's limits, in one run."""

from __future__ import annotations

import argparse
import pathlib
import signal
import sys
import time

from bench import machine, report
from bench.arena import FULL, QUICK, Arena
from bench.peers import kafka_version
from bench.results import Row
from bench.rows import ROWS
from ottla.testing.apache_kafka import why_unavailable
from ottla.testing.bytecode import keep_bytecode

_DEFAULT_DIRECTORY = pathlib.Path(__file__).parents[1] / ".cache" / "bench"
_LEGEND = """\
Figures are medians of the turns, ± half their range. Kafka runs on Ottla's core, and again on all
cores; the ratio is to the better of the two, above 1 is better than Kafka. Where few requests come,
one after the other, nobody is kept to one core. Page cache: acks=all is answered when the record is
written (Kafka's default); durable: after fdatasync. Latencies and ingest are measured again when
the machine stood still meanwhile.
Rows of the client: all libraries talk to Ottla's broker (page cache), each from a process of its
own on any core, the best of a few bursts; "confluent" with its best settings, "its defaults"
without. The ratio is to the best of the others."""


def main() -> int:
    """Measure what the command line asks for; returns the exit status."""
    options = _parser().parse_args()
    if not sys.platform.startswith("linux"):
        print("the benchmark needs Linux: cores, epoll, /proc", file=sys.stderr)
        return 2
    missing = None if options.no_kafka else why_unavailable()
    if missing:
        print(f"without Apache Kafka: {missing}", file=sys.stderr)
    with_kafka = not (options.no_kafka or missing)
    effort = QUICK if options.quick else FULL
    # Ended from outside, it must not leave its servers behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    keep_bytecode(options.directory.with_name("bytecode"))
    rows: list[Row] = []
    begun = time.monotonic()
    bystanders = machine.Bystanders()
    with Arena(options.directory, effort, with_kafka=with_kafka) as arena:
        circumstances = machine.describe(arena)
        title = f"Ottla beside Apache Kafka {kafka_version()}"
        print(report.heading(circumstances, title), _LEGEND, sep="\n\n", flush=True)
        for name in options.rows or ROWS:
            found = ROWS[name](arena)
            rows += found
            print(report.table(found), flush=True)
    circumstances["other processes meanwhile"] = f"{bystanders.percent():.1f} % of all cores"
    print(
        f"\n{report.summary(rows)}",
        f"other processes took {circumstances['other processes meanwhile']}",
        f"{time.monotonic() - begun:.0f} s in all",
        sep="\n",
    )
    if options.json is not None:
        report.write_json(options.json, circumstances, rows)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "rows", nargs="*", type=_row_name, help=f"of {', '.join(ROWS)} (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help="one turn each: a quarter of an hour")
    parser.add_argument("--no-kafka", action="store_true", help="Ottla and the limits alone")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="also write every sample")
    parser.add_argument(
        "--directory",
        type=pathlib.Path,
        default=_DEFAULT_DIRECTORY,
        help="where the data of all brokers lies meanwhile (default: %(default)s)",
    )
    return parser


def _row_name(text: str) -> str:
    if text not in ROWS:
        raise argparse.ArgumentTypeError(f"no rows are called {text}")
    return text


if __name__ == "__main__":
    sys.exit(main())
