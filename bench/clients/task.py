"""What a program is asked to do, and what it tells."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

_LONGEST_SECONDS = 60.0
_REPOSITORY = pathlib.Path(__file__).parents[2]


@dataclass(frozen=True)
class Task:
    """One measurement with one library."""

    library: str
    """``ottla``, ``confluent_kafka``, ``aiokafka`` or ``kafka``."""
    work: str
    """A function of the library's programs."""
    servers: str
    topic: str
    settings: dict[str, object]
    """For the client, in the library's own words."""
    value_bytes: int = 100
    keys: int = 0
    """How many keys take turns; none by default."""
    messages: int = 0
    """How many lie in the topic, for consumers."""
    seconds: float = 0.3
    """Of one burst."""
    bursts: int = 3


@dataclass
class Told:
    """What a program measured."""

    per_second: float = 0.0
    """Messages, in the best burst."""
    cpu_ns: float = 0.0
    """Of all threads, per message, in the best burst."""
    peak_resident_bytes: int = 0
    latencies_ms: tuple[float, ...] = ()


def perform(task: Task) -> Told:
    """Run the task's program and return what it told.

    Raises:
        RuntimeError: the program failed; the message ends with what it said.
    """
    command = [sys.executable, "-m", "bench.clients.program", json.dumps(asdict(task))]
    done = subprocess.run(
        command, cwd=_REPOSITORY, capture_output=True, text=True, timeout=_LONGEST_SECONDS
    )
    if done.returncode:
        raise RuntimeError(f"{task.library} {task.work}:\n{done.stderr[-2000:]}")
    return Told(**json.loads(done.stdout.splitlines()[-1]))


class Meter:
    """Counts messages of bursts and keeps the best burst."""

    def __init__(self) -> None:
        self.told = Told()

    def burst(self, run: Callable[[], int]) -> None:
        """Measure one burst; ``run`` returns how many messages it was."""
        start, cpu = time.perf_counter(), time.process_time()
        messages = run()
        self.count(messages, time.perf_counter() - start, time.process_time() - cpu)

    def count(self, messages: int, seconds: float, cpu_seconds: float) -> None:
        """Take down a burst that was measured elsewhere."""
        told = self.told
        told.per_second = max(told.per_second, messages / seconds)
        cpu_ns = cpu_seconds * 1e9 / messages
        told.cpu_ns = min(told.cpu_ns, cpu_ns) if told.cpu_ns else cpu_ns

    def finish(self) -> Told:
        """With the most memory this process ever held."""
        text = pathlib.Path("/proc/self/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+)", text)
        self.told.peak_resident_bytes = int(found[1]) * 1024 if found else 0
        return self.told
