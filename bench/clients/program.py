"""``python -m bench.clients.program TASK``: one task, in this process; tells in JSON."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict

from bench.clients.task import Task

_PROGRAMS = {
    "ottla": "bench.clients.confluent",
    "confluent_kafka": "bench.clients.confluent",
    "kafka": "bench.clients.kafka_python",
    "aiokafka": "bench.clients.asynchronous",
    "ottla.aio": "bench.clients.asynchronous",
    "confluent_kafka.aio": "bench.clients.asynchronous",
}


def main() -> None:
    """Perform the task of the command line."""
    task = Task(**json.loads(sys.argv[1]))
    programs = importlib.import_module(_PROGRAMS[task.library])
    told = getattr(programs, task.work)(task)
    print(json.dumps(asdict(told)))


if __name__ == "__main__":
    main()
