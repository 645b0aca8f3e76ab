"""Command lines as Kafka's tools read them."""

from __future__ import annotations

import pytest

from ottla.cli.kafka.failures import OptionError, UsageError
from ottla.cli.kafka.options import (
    Options,
    describe,
    flag,
    integer,
    long,
    optional,
    parse,
    value,
)

DECLARED = (
    flag("list", "List."),
    value("topic", "topic", "A topic."),
    integer("partitions", "number", "How many.", default="3"),
    long("offset", "offset", "Where."),
    optional("state", "states", "Which."),
    optional("timeout", "ms", "How long.", type_name="Long"),
)


def read(*words: str) -> Options:
    return parse(DECLARED, words)


def test_a_value_follows_a_space_or_an_equals_sign() -> None:
    assert read("--topic", "a").text("topic") == "a"
    assert read("--topic=a=b").text("topic") == "a=b"


def test_one_dash_is_as_good_as_two() -> None:
    assert read("-topic", "a", "-list").has("list")


def test_a_required_value_may_look_like_an_option() -> None:
    assert read("--topic", "--list").text("topic") == "--list"
    assert read("--offset", "-1").number("offset") == -1


def test_an_optional_value_is_taken_when_the_next_word_is_no_option() -> None:
    assert read("--state", "Empty").only("state") == "Empty"
    found = read("--state", "--list")
    assert found.has("state")
    assert found.only("state") is None
    assert found.has("list")
    assert read("--timeout", "-5").number("timeout") == -5


def test_defaults_hold_where_nothing_is_given() -> None:
    assert read().number("partitions") == 3
    assert not read().has("partitions")


def test_options_repeat() -> None:
    found = read("--topic", "a", "--topic", "b")
    assert found.values("topic") == ["a", "b"]
    with pytest.raises(OptionError, match="Found multiple arguments for option topic"):
        found.only("topic")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--nope"], "nope is not a recognized option"),
        (["--top", "a"], "top is not a recognized option"),
        (["-xy"], "x is not a recognized option"),
        (["--topic"], "Option topic requires an argument"),
    ],
)
def test_what_cannot_be_read_is_refused(words: list[str], told: str) -> None:
    with pytest.raises(OptionError, match=f"^{told}$"):
        read(*words)


@pytest.mark.parametrize("text", ["many", "1.5", "2147483648", "-2147483649", "", "9" * 4000])
def test_numbers_are_checked_when_they_are_asked_for(text: str) -> None:
    found = read("--partitions", text)
    with pytest.raises(OptionError, match="Cannot parse argument"):
        found.number("partitions")


def test_words_that_belong_to_no_option_are_left_alone() -> None:
    assert read("some", "--list", "words", "-", "--", "--nope").has("list")


def test_missing_and_excluded_options_are_told() -> None:
    with pytest.raises(UsageError, match=r'Missing required argument "\[topic\]"'):
        read("--list").require("topic")
    with pytest.raises(UsageError, match=r'"\[list\]" can\'t be used with option "\[topic\]"'):
        read("--list", "--topic", "a").forbid("list", "topic")


def test_required_options_are_not_missed_by_those_who_want_help() -> None:
    declared = (value("server", "host", "Where.")._replace(is_required=True), flag("help", "Help."))
    with pytest.raises(OptionError, match=r"Missing required option\(s\) \[server\]"):
        parse(declared, ["--"])
    assert parse(declared, ["--help"]).has("help")


def test_the_help_shows_every_option_with_its_default() -> None:
    shown = describe(DECLARED)
    assert "--partitions <number>" in shown
    assert "(default: 3)" in shown
    assert "--state [states]" in shown
    assert all(len(line) <= 100 for line in shown.splitlines())
