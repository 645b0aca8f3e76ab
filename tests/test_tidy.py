"""The house style holds, and its checker sees what it should."""

from __future__ import annotations

import importlib.util
import pathlib
from types import ModuleType

import pytest

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module")
def tidy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tidy", ROOT / "tools" / "tidy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tree_is_tidy(tidy: ModuleType) -> None:
    assert tidy.untidy() == []


def test_a_long_function_a_banned_call_and_a_dead_module_are_seen(
    tidy: ModuleType, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "setup.py").write_text("")
    body = "def long():\n" + "    pass\n" * 80 + "\neval('1')\n"
    (tmp_path / "src" / "lonely.py").write_text(body)
    problems = "\n".join(tidy.untidy(tmp_path))
    assert "long has 81 lines" in problems
    assert "eval evaluates text as code" in problems
    assert "nothing mentions this module" in problems
