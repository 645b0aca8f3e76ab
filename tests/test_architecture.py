"""The import table of ARCHITECTURE.md, executed: who may import whom, what no core may touch."""

from __future__ import annotations

import ast
import pathlib

import pytest

SOURCE = pathlib.Path(__file__).parent.parent / "src" / "ottla"

# A room's package -> the rooms it may import. A room may always import itself.
MAY_IMPORT: dict[str, set[str]] = {
    "ports": set(),
    "wire": set(),
    "records": set(),
    "log": {"records", "ports"},
    "metadata": {"wire", "ports"},
    "coordination": {"wire", "metadata"},
    "broker": {"ports", "wire", "records", "log", "metadata", "coordination"},
    "client": {"ports", "wire", "records"},
    "serdes": {"client"},
    "registry": {"client", "serdes"},
    "connect": {"client", "serdes"},
    "streams": {"client", "serdes"},
    "console": {"client"},
    "kafka_python": {"client", "wire"},
    # Tools speak to any Kafka cluster, through the client and in the protocol's words; what stands
    # in files is read by the rooms that write it. The command line starts things, so it alone may
    # start the broker: see cli/commands/broker.py.
    "cli": {"client", "wire", "records", "log", "broker"},
    "testing": {
        "ports", "wire", "records", "log", "metadata", "coordination", "broker", "client",
        "serdes", "registry", "connect", "streams", "console", "cli", "kafka_python",
    },
}  # fmt: skip

# Sans-IO rooms (or parts of one): no sockets, files, clocks, threads, randomness, logging.
SANS_IO = (
    "wire", "records", "metadata", "coordination", "client/core", "client/admin",
    "client/configuration", "client/arguments.py", "client/enumerations.py",
    "client/error_codes.py", "client/errors.py", "client/ordering.py", "client/partitioners.py",
    "client/values.py",
)  # fmt: skip
BANNED_IN_SANS_IO = {
    "asyncio", "logging", "os", "pathlib", "random", "secrets", "selectors", "shutil", "signal",
    "socket", "sqlite3", "subprocess", "tempfile", "threading", "time",
}  # fmt: skip
# Drivers are the one place of metadata that does IO, behind the MetadataStore interface. The
# records room keeps one compression context per thread (zstandard contexts can't be shared) and
# reads the switch that turns its accelerator off.
IO_DRIVERS = {
    "metadata/store/sqlite.py": {"sqlite3", "asyncio"},
    "metadata/store/worker.py": {"asyncio", "threading"},
    "records/backend.py": {"os"},
    "records/compression.py": {"threading"},
}
BANNED_IN_LOG = {"asyncio"}


def _modules() -> list[pathlib.Path]:
    return sorted(SOURCE.rglob("*.py"))


def _imports(path: pathlib.Path) -> list[tuple[int, str]]:
    """Absolute names imported anywhere in a module (function bodies included), with their lines."""
    package = ("ottla", *path.relative_to(SOURCE).parts[:-1])
    found = []
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join((*package[: len(package) - node.level + 1], base)).rstrip(".")
            found += [(node.lineno, base)]
            if base == "ottla":
                found += [(node.lineno, f"ottla.{alias.name}") for alias in node.names]
    return found


def _violations() -> list[str]:
    problems = []
    for path in _modules():
        relative = path.relative_to(SOURCE)
        if len(relative.parts) == 1:
            continue
        room = relative.parts[0]
        allowed = MAY_IMPORT[room] | {room}
        for line, name in _imports(path):
            parts = name.split(".")
            if parts[0] != "ottla" or len(parts) == 1:
                continue
            if parts[1] not in allowed and (SOURCE / parts[1]).is_dir():
                problems.append(f"{relative}:{line}: {room} may not import {name}")
    return problems


def test_rooms_import_only_what_the_table_allows() -> None:
    assert _violations() == []


def test_what_decides_in_the_client_knows_nothing_of_what_does() -> None:
    doing = ("ottla.client.engine", "ottla.client.sync", "ottla.client.aio")
    found = [
        f"{path.relative_to(SOURCE)}:{line}: {name}"
        for part in ("core", "configuration", "admin")
        for path in (SOURCE / "client" / part).rglob("*.py")
        for line, name in _imports(path)
        if name.startswith(doing)
    ]
    assert found == []


def test_every_room_stands_in_the_table() -> None:
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms <= set(MAY_IMPORT)


@pytest.mark.parametrize("room", SANS_IO)
def test_sans_io_rooms_touch_no_outside_world(room: str) -> None:
    problems = []
    for path in _modules():
        relative = path.relative_to(SOURCE).as_posix()
        if relative != room and not relative.startswith(room + "/"):
            continue
        allowed = IO_DRIVERS.get(relative, set())
        problems += [
            f"{relative}:{line}: a sans-IO room may not import {name}"
            for line, name in _imports(path)
            if name.split(".")[0] in BANNED_IN_SANS_IO - allowed
        ]
    assert problems == []


def test_the_log_knows_no_event_loop() -> None:
    problems = [
        f"{path.relative_to(SOURCE)}:{line}: {name}"
        for path in _modules()
        if path.relative_to(SOURCE).parts[0] == "log"
        for line, name in _imports(path)
        if name.split(".")[0] in BANNED_IN_LOG
    ]
    assert problems == []


def test_only_testing_imports_testing() -> None:
    problems = [
        f"{path.relative_to(SOURCE)}:{line}"
        for path in _modules()
        if path.relative_to(SOURCE).parts[0] != "testing"
        for line, name in _imports(path)
        if name.startswith("ottla.testing")
    ]
    assert problems == []
