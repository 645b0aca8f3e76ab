"""The broker's start must not pay for codecs it may never need."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

IMPORTS = """
import sys
import ottla.records.control, ottla.records.stamp, ottla.records.validate
print(*sys.modules)
print(ottla.records.backend.NAME)
"""


def imported(pure_python: str) -> tuple[set[str], str]:
    environment = os.environ | {"OTTLA_PURE_PYTHON": pure_python}
    result = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, check=True, env=environment, text=True
    )
    modules, name = result.stdout.splitlines()
    return set(modules.split()), name


def test_importing_the_room_imports_no_codec() -> None:
    modules, _ = imported("0")
    codecs = {"isal", "cramjam", "lz4", "zstandard", "gzip", "zlib"}
    assert not {name.partition(".")[0] for name in modules} & codecs
    assert not modules & {"dataclasses", "inspect", "logging", "asyncio"}


def test_the_environment_chooses_the_twin(twin: str) -> None:
    if twin != "_native":
        pytest.skip("without the native twin there is nothing to choose")
    modules, name = imported("1")
    assert name == "python"
    assert "ottla.records._native" not in modules
    modules, name = imported("0")
    assert name == "native"
    assert "ottla.records._reference" not in modules
