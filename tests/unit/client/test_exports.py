"""What users import: every name is there, and nothing is loaded before it is used."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

MODULES = ("ottla", "ottla.admin", "ottla.aio", "ottla.error", "ottla.serialization")


@pytest.mark.parametrize("module", MODULES)
def test_every_name_can_be_had(module: str) -> None:
    exporting = import_module(module)
    for name in exporting.__all__:
        assert getattr(exporting, name) is not None
    assert set(exporting.__all__) <= set(dir(exporting))


@pytest.mark.parametrize("module", ["ottla", "ottla.aio"])
def test_an_unknown_name_is_an_attribute_error(module: str) -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = import_module(module).Nonsense


def test_importing_the_package_loads_nothing_of_the_client() -> None:
    script = "import sys, ottla; print([name for name in sys.modules if 'ottla.' in name])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
