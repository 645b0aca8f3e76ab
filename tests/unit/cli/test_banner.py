"""What a started broker says about itself."""

from __future__ import annotations

import json
import logging

import pytest

from ottla.broker.configuration import configuration_of
from ottla.broker.serving import StartedBroker
from ottla.cli.banner import announce, banner
from ottla.cli.log_output import JsonFormatter
from ottla.ports.net import Address


def listening(**addresses: Address) -> StartedBroker:
    """A broker that listens at the given addresses."""
    return StartedBroker(addresses, "abcdefghijklmnopqrstuv")


CONFIGURATION = configuration_of({"log.dirs": "/data/one"}, origin="test")


def test_the_banner_says_where_what_and_how_to_try() -> None:
    text = banner(listening(PLAINTEXT=Address("127.0.0.1", 40001)), CONFIGURATION, coloured=False)
    assert "listens on 127.0.0.1:40001" in text
    assert "/data/one" in text
    assert "abcdefghijklmnopqrstuv" in text
    assert "kcat -P -b 127.0.0.1:40001" in text
    assert "Ctrl-C" in text
    assert "\x1b" not in text


def test_colours_only_decorate() -> None:
    started = listening(PLAINTEXT=Address("127.0.0.1", 1))
    coloured = banner(started, CONFIGURATION, coloured=True)
    plain = coloured.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
    assert plain == banner(started, CONFIGURATION, coloured=False) != coloured


@pytest.mark.parametrize(
    ("listened", "tried"),
    [("0.0.0.0", "127.0.0.1:5"), ("", "127.0.0.1:5"), ("::", "[::1]:5"), ("::1", "[::1]:5")],
)
def test_what_to_try_can_be_connected_to(listened: str, tried: str) -> None:
    text = banner(listening(PLAINTEXT=Address(listened, 5)), CONFIGURATION, coloured=False)
    assert f"-b {tried} " in text


def test_every_listener_is_shown() -> None:
    started = listening(PLAINTEXT=Address("127.0.0.1", 1), OTHER=Address("::1", 2))
    assert "127.0.0.1:1, [::1]:2" in banner(started, CONFIGURATION, coloured=False)


def test_programs_get_one_listening_event_for_each_listener(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    started = listening(PLAINTEXT=Address("127.0.0.1", 1), OTHER=Address("::1", 2))
    with caplog.at_level(logging.INFO, "ottla.broker"):
        announce(started, CONFIGURATION, "json")
    events = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert [(event["event"], event["listener"], event["port"]) for event in events] == [
        ("listening", "PLAINTEXT", 1),
        ("listening", "OTHER", 2),
    ]
    assert {event["cluster_id"] for event in events} == {started.cluster_id}
    assert capsys.readouterr().out == ""
