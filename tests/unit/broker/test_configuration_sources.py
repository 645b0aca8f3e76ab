"""Where settings come from: properties files, the environment, and which of them wins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.broker.configuration.environment import environment_settings
from ottla.broker.configuration.properties import PropertiesError, parse_properties
from ottla.broker.configuration.settings import Setting, layered


def pairs(text: str) -> list[tuple[str, str]]:
    return [(entry.key, entry.value) for entry in parse_properties(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b", [("a", "b")]),
        ("a:b", [("a", "b")]),
        ("a b", [("a", "b")]),
        ("a \t = \t b", [("a", "b")]),
        ("a", [("a", "")]),
        ("a=", [("a", "")]),
        ("a==b", [("a", "=b")]),
        ("a : = b", [("a", "= b")]),
        ("  indented = value with trailing  ", [("indented", "value with trailing  ")]),
        ("# comment\n ! comment\n\n \t\na=b", [("a", "b")]),
        ("a=one,\\\n   two,\\\n\tthree", [("a", "one,two,three")]),
        ("a=b\\\\\nc=d", [("a", "b\\"), ("c", "d")]),
        ("a=b\\\n# no comment", [("a", "b# no comment")]),
        ("# no continuation \\\na=b", [("a", "b")]),
        ("a=end\\", [("a", "end")]),
        ("a\\ key\\:with\\=escapes = v", [("a key:with=escapes", "v")]),
        (r"a=tab\tnewline\nquote\"slash\\", [("a", 'tab\tnewline\nquote"slash\\')]),
        (r"a=\u00e9\u20AC", [("a", "é€")]),
        (r"a=\ud83d\ude00", [("a", "😀")]),
        ("a=1\r\nb=2\rc=3", [("a", "1"), ("b", "2"), ("c", "3")]),
        ("a=1\na=2", [("a", "1"), ("a", "2")]),
        ("=value", [("", "value")]),
        ("", []),
    ],
)
def test_properties_are_read_as_java_reads_them(text: str, expected: list[tuple[str, str]]) -> None:
    assert pairs(text) == expected


def test_an_entry_knows_the_line_it_begins_on() -> None:
    entries = parse_properties("# one\na=b\\\n  c\n\nd=e")
    assert [(entry.key, entry.line) for entry in entries] == [("a", 2), ("d", 5)]


@pytest.mark.parametrize("bad", [r"\u12", r"\uXYZW", r"\u+123", r"\u"])
def test_a_broken_unicode_escape_names_its_line(bad: str) -> None:
    with pytest.raises(PropertiesError) as caught:
        parse_properties(f"a=b\nc={bad}")
    assert caught.value.line == 2


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_never_a_crash(text: str) -> None:
    try:
        entries = parse_properties(text)
    except PropertiesError:
        return
    for entry in entries:
        entry.value.encode("utf-16-le", "surrogatepass")


def _escape(text: str, is_key: bool) -> str:
    special = "\\=: \t\f#!" if is_key else "\\"
    named = {"\n": "\\n", "\r": "\\r"}
    escaped = "".join(
        named.get(character) or ("\\" + character if character in special else character)
        for character in text
    )
    return escaped if is_key else escaped.replace(" ", "\\ ", 1)


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(WORDS.filter(bool), WORDS.filter(lambda value: value[:1] not in tuple("=:\t\f")))
def test_what_is_escaped_comes_back(key: str, value: str) -> None:
    assert pairs(f"{_escape(key, True)}={_escape(value, False)}") == [(key, value)]


def from_environment(**variables: str) -> dict[str, str]:
    return {setting.key: setting.value for setting in environment_settings(variables)}


def test_environment_names_become_keys_as_in_the_official_images() -> None:
    assert from_environment(
        KAFKA_LOG_RETENTION_MS="1000",
        KAFKA_LISTENER_NAME_SASL__PLAINTEXT_X="1",
        KAFKA_SOME___KEY="2",
        CLUSTER_ID="abc",
        PATH="/bin",
        KAFKACAT_CONFIG="x",
    ) == {
        "log.retention.ms": "1000",
        "listener.name.sasl_plaintext.x": "1",
        "some-key": "2",
        "cluster.id": "abc",
    }


@pytest.mark.parametrize(
    "name",
    [
        "KAFKA_HEAP_OPTS",
        "KAFKA_OPTS",
        "KAFKA_JVM_PERFORMANCE_OPTS",
        "KAFKA_LOG4J_LOGGERS",
        "KAFKA_LOG4J_ROOT_LOGLEVEL",
        "KAFKA_TOOLS_LOG4J_LOGLEVEL",
        "KAFKA_JMX_PORT",
        "KAFKA_GC_LOG_OPTS",
        "KAFKA_VERSION",
        "KAFKA_HOME",
        "KAFKA_SERVICE_HOST",
        "KAFKA_PORT",
        "KAFKA_PORT_9092_TCP_ADDR",
    ],
)
def test_variables_of_the_jvm_and_of_kubernetes_are_no_settings(name: str) -> None:
    assert from_environment(**{name: "tcp://10.0.0.1:9092"}) == {}


def test_an_environment_setting_says_which_variable_it_is() -> None:
    (setting,) = environment_settings({"KAFKA_NODE_ID": "3"})
    assert setting == Setting("node.id", "3", "environment variable KAFKA_NODE_ID")


def test_higher_layers_win_key_by_key() -> None:
    low = [Setting("a", "1", "low"), Setting("b", "1", "low")]
    high = [Setting("b", "2", "high")]
    merged = layered([low, high])
    assert {key: (setting.value, setting.origin) for key, setting in merged.items()} == {
        "a": ("1", "low"),
        "b": ("2", "high"),
    }


def test_the_last_of_one_layer_wins() -> None:
    merged = layered([[Setting("a", "1", "line 1"), Setting("a", "2", "line 2")]])
    assert merged["a"].value == "2"


def test_a_synonym_in_a_higher_layer_silences_those_below_but_not_its_own_layer() -> None:
    file = [Setting("log.retention.ms", "5", "file")]
    flag = [Setting("log.retention.hours", "1", "--set"), Setting("log.retention.minutes", "9", "")]
    assert set(layered([file, flag])) == {"log.retention.hours", "log.retention.minutes"}
