"""The front of the `ottla` command: the plain path, and click for everything else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ottla import __version__
from ottla.cli import application, main
from ottla.cli.commands.broker import BROKER, UP
from ottla.cli.flags import Command, Flag, FlagValues, parse_plain

FLAGS = (
    Flag("--data", "DIR", "Where."),
    Flag("--set", "K=V", "A setting.", repeatable=True),
    Flag("--log-format", "FORMAT", "How.", choices=("text", "json")),
)


class Recorder:
    """A command that notes what it was run with."""

    def __init__(self) -> None:
        self.runs: list[dict[str, list[str]]] = []

    def __call__(self, values: FlagValues) -> int:
        self.runs.append({name: list(given) for name, given in values.items()})
        return 7

    @property
    def command(self) -> Command:
        return Command("broker", "Short.", "Long.", FLAGS, self)


WELL_FORMED = [
    ([], {}),
    (["--data", "x"], {"--data": ["x"]}),
    (["--data=x"], {"--data": ["x"]}),
    (["--data="], {"--data": [""]}),
    (["--set", "a=b", "--set=c=d"], {"--set": ["a=b", "c=d"]}),
    (["--log-format", "json", "--set", "a="], {"--log-format": ["json"], "--set": ["a="]}),
]


@pytest.mark.parametrize(("arguments", "values"), WELL_FORMED)
def test_well_formed_flags_are_read_without_click(
    arguments: list[str], values: dict[str, list[str]]
) -> None:
    assert parse_plain(FLAGS, arguments) == values


@pytest.mark.parametrize(("arguments", "values"), WELL_FORMED)
def test_click_reads_the_same_flags_to_the_same_values(
    arguments: list[str], values: dict[str, list[str]]
) -> None:
    recorder = Recorder()
    assert application.run({"broker": recorder.command}, ["broker", *arguments]) == 7
    assert recorder.runs == [values]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["-h"],
        ["extra"],
        ["--data"],
        ["--data", "--set"],
        ["--data", "a", "--data", "b"],
        ["--dat", "x"],
        ["--log-format", "xml"],
        ["--"],
        [""],
    ],
)
def test_anything_else_is_left_to_click(arguments: list[str]) -> None:
    assert parse_plain(FLAGS, arguments) is None


def test_the_plain_path_runs_the_command_and_returns_its_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = Recorder()
    monkeypatch.setitem(main.COMMANDS, "broker", recorder.command)
    assert main.main(["broker", "--data", "here"]) == 7
    assert recorder.runs == [{"--data": ["here"]}]


def test_an_unknown_command_is_refused_with_the_likeliest_meant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["brokr"]) == 2
    errors = capsys.readouterr().err
    assert "There is no command 'brokr'. Did you mean 'broker'?" in errors
    assert "--help" in errors


def test_an_unknown_command_unlike_any_gets_no_suggestion(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["zzz"]) == 2
    assert "Did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["broker", "--lsten", "x"], "--listen"),
        (["broker", "--log-format", "xml"], "'json'"),
        (["broker", "extra"], "extra"),
        (["broker", "--data"], "requires an argument"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_mistakes_are_told_plainly_with_exit_code_two(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert said in captured.err
    assert captured.out == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--version"]) == 0
    assert capsys.readouterr().out == f"ottla {__version__}\n"


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([]) == 2
    assert "broker" in capsys.readouterr().out


@pytest.mark.parametrize("command", [BROKER, UP])
def test_every_command_explains_its_flags_and_which_source_wins(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([command.name, "--help"]) == 0
    shown = capsys.readouterr().out
    for flag in command.flags:
        assert flag.name in shown
    positions = [shown.index(source) for source in ("1. --set", "2. --data", "3. ", "4. ", "5. ")]
    assert positions == sorted(positions)


def test_the_start_path_imports_neither_click_nor_rich() -> None:
    script = (
        "import sys, ottla.cli.main, ottla.cli.log_output, ottla.cli.banner;"
        "print([name for name in ('click', 'rich', 'argparse', 'inspect') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
