"""Kafka's tools by their names: what is installed, what a start imports, how a tool ends."""

from __future__ import annotations

import importlib
import json
import pathlib
import subprocess
import sys
import tomllib

import pytest

from ottla.cli.kafka.entry import KAFKA_VERSION, TOOLS, Tool, run

PROJECT = pathlib.Path(__file__).parents[4] / "pyproject.toml"


def test_every_tool_is_a_command_under_both_of_its_names() -> None:
    scripts = tomllib.loads(PROJECT.read_text())["project"]["scripts"]
    ours = {name for name, target in scripts.items() if target == "ottla.cli.kafka.entry:main"}
    assert ours == {name + suffix for name in TOOLS for suffix in ("", ".sh")}


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_every_tool_has_help_which_is_an_error_as_kafkas_is(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "kafka-e2e-latency":
        pytest.skip("takes --help for the first of five words, as Kafka's does")
    status = run(name, ["--help"])
    shown = capsys.readouterr()
    assert "--" in shown.out + shown.err
    assert status == (0 if name in ("kafka-features", "kafka-storage") else 1)


def test_the_version_is_that_of_the_tools_it_stands_in_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("kafka-topics", ["--version"]) == 0
    assert capsys.readouterr().out == f"{KAFKA_VERSION}\n"


def test_a_mistake_is_told_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("kafka-topics", ["--lisst"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told == ["lisst is not a recognized option", "hint: see 'kafka-topics --help'"]


def test_help_is_shown_without_what_asks_a_cluster() -> None:
    script = (
        "import json, sys\n"
        "from ottla.cli.kafka.entry import run\n"
        "run('kafka-topics', ['--help'])\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    heavy = {"asyncio", "ssl", "click", "rich", "argparse", "logging"}
    assert not loaded & heavy
    assert not [name for name in loaded if name.startswith("ottla.client.configuration")]


def test_the_tools_name_no_option_twice() -> None:
    for module in TOOLS.values():
        tool = importlib.import_module(f"ottla.cli.kafka.{module}").TOOL
        if isinstance(tool, Tool):
            names = [option.name for option in tool.options]
            assert len(names) == len(set(names)), module
