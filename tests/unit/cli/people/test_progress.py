"""Progress: nothing for what is quick or has no terminal, a bar for what takes longer."""

from __future__ import annotations

import io
import sys

import pytest

from ottla.cli.people.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Called by the test itself: pytest puts its own streams back after fixtures."""
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setenv("TERM", "xterm")
    return made


def test_what_takes_long_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with Progress("Producing", 2000, counts_bytes=True) as bar:
        bar._show()  # as its timer does
        bar.advance(1000)
    assert "Producing" in terminal.getvalue()


def test_what_is_quick_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with Progress("Asking") as bar:
        bar.advance(1)
    assert terminal.getvalue() == ""


def test_without_a_terminal_nothing_will_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for is_wanted in (True, False):
        with Progress("Asking", is_wanted=is_wanted) as bar:
            assert bar._timer is None
        monkeypatch.setattr(sys, "stderr", Terminal())


def test_what_is_over_before_it_could_be_shown_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with Progress("Asking") as bar:
        pass
    bar._show()
    assert terminal.getvalue() == ""
