"""What was measured on, and with which settings."""

from __future__ import annotations

import os
import pathlib
import platform
import re
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from bench.arena import Arena
from bench.peers import (
    COMMON_SETTINGS,
    FLUSH_EACH_APPEND,
    KAFKA_HEAP,
    KAFKA_SETTINGS,
    kafka_version,
)
from ottla.records import backend
from ottla.testing.apache_kafka import PRODUCTION_FLAGS

_LIBRARIES = ("confluent-kafka", "aiokafka", "kafka-python")


def describe(arena: Arena) -> dict[str, str]:
    """The circumstances, by what they are."""
    return {
        "processor": f"{_processor()}, {len(arena.all_cores)} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": _file_system(arena.directory),
        "load before": " ".join(f"{each:.2f}" for each in os.getloadavg()),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Ottla": f"{version('ottla')}, {_event_loop()}, {backend.active.NAME} record accelerator",
        "Ottla's settings": f"page cache: log.flush.policy=os; durable: defaults (group); "
        f"{_settings(COMMON_SETTINGS)}",
        "client libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
        "Apache Kafka": f"{kafka_version()} on {_java()}",
        "JVM flags": f"-Xms{KAFKA_HEAP} -Xmx{KAFKA_HEAP} {' '.join(PRODUCTION_FLAGS)}",
        "Kafka's settings": f"page cache: defaults; durable: {_settings(FLUSH_EACH_APPEND)} per "
        f"topic; {_settings(KAFKA_SETTINGS)}",
        "cores": f"servers on {_cores(arena.server_cores)}, load generator on "
        f"{_cores(arena.load_cores)}; Kafka also on all",
        "effort": str(arena.effort),
    }


class Bystanders:
    """How busy everybody else keeps the machine: a figure taken in a crowd says little."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._busy_before = _busy_seconds()
        self._own_before = _own_seconds()

    def percent(self) -> float:
        """The share of all cores that neither we nor our servers, which have ended, took."""
        cores = os.cpu_count() or 1
        total = (time.monotonic() - self._begun) * cores
        others = _busy_seconds() - self._busy_before - (_own_seconds() - self._own_before)
        return max(0.0, others) / total * 100


def _busy_seconds() -> float:
    fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, interrupt, soft, steal = map(int, fields[:8])
    return (user + nice + system + interrupt + soft + steal) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _processor() -> str:
    found = re.search(r"model name\s*: (.+)", pathlib.Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _file_system(directory: pathlib.Path) -> str:
    best = ("", "unknown")
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        device, mount, kind, *_ = line.split()
        inside = directory.is_relative_to(mount)
        if inside and len(mount) >= len(best[0]):
            best = (mount, f"{kind} on {device}")
    return best[1]


def _event_loop() -> str:
    try:
        return f"uvloop {version('uvloop')}"
    except PackageNotFoundError:
        return "asyncio"


def _java() -> str:
    try:
        result = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no java"
    return result.stderr.splitlines()[0]


def _settings(settings: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in settings.items())


def _cores(cores: set[int]) -> str:
    return f"core {','.join(map(str, sorted(cores)))}"
