"""What a start loads before the port is open, and before the broker serves: each module costs
every start, so whoever adds one here has to mean it."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

# Prints the modules loaded when the named function is called, and ends there.
SCRIPT = """
import json, os, sys

def report(*arguments):
    print(json.dumps(sorted(sys.modules)), flush=True)
    os._exit(0)

data, moment = sys.argv[1:]
if moment == "port":
    from ottla.ports.net import SystemNet
    SystemNet.open = report
else:
    import ottla.cli.banner
    ottla.cli.banner.announce = report
from ottla.cli.main import main
main(["broker", "--data", data, "--listen", "127.0.0.1:0"])
"""

MOST_MODULES_OF_OURS = {"port": 48, "served": 136}


@pytest.fixture(params=list(MOST_MODULES_OF_OURS))
def moment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def loaded(moment: str, tmp_path: pathlib.Path) -> set[str]:
    """The modules loaded at a moment of a start on a new directory."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "data"), moment]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_a_start_loads_few_modules(moment: str, loaded: set[str]) -> None:
    ours = sorted(name for name in loaded if name.partition(".")[0] == "ottla")
    assert len(ours) <= MOST_MODULES_OF_OURS[moment], ours


def test_a_start_loads_no_tools_for_people_or_programmers(loaded: set[str]) -> None:
    assert not loaded & {"click", "rich", "argparse", "random", "hashlib", "secrets", "tempfile"}


def test_a_start_decodes_no_request(loaded: set[str]) -> None:
    requests = ("ottla.wire.api.", "ottla.broker.api.k")
    assert not [name for name in loaded if name.startswith(requests)]


@pytest.mark.parametrize("moment", ["port"])
def test_the_port_is_opened_without_the_event_loop(loaded: set[str]) -> None:
    assert not loaded & {"asyncio", "uvloop", "ssl", "inspect", "subprocess", "ottla.broker.node"}
