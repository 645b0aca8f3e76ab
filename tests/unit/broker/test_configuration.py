"""From every source to one checked configuration."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping

import pytest

from ottla.broker.configuration import (
    BrokerConfiguration,
    ConfigurationError,
    Flags,
    configuration_of,
    load_configuration,
)
from ottla.ports.net import Address


def of(**values: str) -> BrokerConfiguration:
    return configuration_of(
        {key.replace("_", "."): value for key, value in values.items()}, origin="server.properties"
    )


def load(
    *, environment: Mapping[str, str] | None = None, **flags: str | tuple[str, ...]
) -> BrokerConfiguration:
    return load_configuration(Flags(**flags), environment or {})  # type: ignore[arg-type]


@pytest.fixture
def properties(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "server.properties"


def test_nothing_set_is_a_broker_on_this_machine() -> None:
    configuration = load()
    assert configuration.node_id == 1
    assert configuration.cluster_id is None
    assert configuration.log_dirs == (os.path.abspath("ottla-data"),)
    (listener,) = configuration.listeners
    assert (listener.name, listener.host, listener.port) == ("PLAINTEXT", "127.0.0.1", 9092)
    assert listener.advertised == Address("127.0.0.1", 9092)
    assert set(configuration.values) == {"node.id", "listeners", "log.dirs"}
    assert configuration.warnings == ()


def test_what_is_set_can_be_resolved_and_described() -> None:
    configuration = of(num_partitions=" 3 ", broker_rack="r1")
    assert configuration.rack == "r1"
    assert configuration.values["num.partitions"] == " 3 "
    assert configuration.origins["num.partitions"] == "server.properties"


def test_a_key_of_one_listener_is_known_and_stands_beside_the_common_one() -> None:
    own = "listener.name.external.ssl.client.auth"
    configuration = load(settings=(f"{own}=none",), environment={"KAFKA_SSL_CLIENT_AUTH": "none"})
    assert configuration.warnings == ()
    assert {own, "ssl.client.auth"} <= set(configuration.values)


def test_each_source_beats_those_below_it(properties: pathlib.Path) -> None:
    properties.write_text("num.partitions=1\nnum.io.threads=1\nlog.dirs=/file\nnode.id=1\n")
    environment = {
        "KAFKA_NUM_PARTITIONS": "2",
        "KAFKA_NUM_IO_THREADS": "2",
        "KAFKA_LOG_DIRS": "/environment",
    }
    configuration = load(
        properties_file=str(properties),
        environment=environment,
        data_directory="/flag",
        settings=("num.partitions=4",),
    )
    assert configuration.values["num.partitions"] == "4"
    assert configuration.log_dirs == ("/flag",)
    assert configuration.values["num.io.threads"] == "2"
    assert configuration.node_id == 1
    assert configuration.origins == {
        "num.partitions": "--set",
        "log.dirs": "--data",
        "num.io.threads": "environment variable KAFKA_NUM_IO_THREADS",
        "node.id": f"{properties}:4",
        "listeners": "Ottla's default",
    }
    set_beats_flag = load(data_directory="/flag", settings=("log.dirs=/set",))
    assert set_beats_flag.log_dirs == ("/set",)


def test_the_data_flag_beats_log_dir_under_its_other_name() -> None:
    assert load(data_directory="/x", environment={"KAFKA_LOG_DIR": "/y"}).log_dirs == ("/x",)
    assert load(environment={"KAFKA_LOG_DIR": "/y"}).log_dirs == ("/y",)


def test_the_data_flag_knows_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert load(data_directory="~/data").log_dirs == ("/home/someone/data",)


def test_several_log_directories_are_made_absolute() -> None:
    directories = of(log_dirs="a, /b").log_dirs
    assert directories == (os.path.abspath("a"), "/b")


def test_kafkas_own_example_file_is_understood(properties: pathlib.Path) -> None:
    properties.write_text(
        """
        process.roles=broker,controller
        node.id=7
        controller.quorum.voters=7@localhost:9093
        listeners=PLAINTEXT://:19092,CONTROLLER://:9093
        inter.broker.listener.name=PLAINTEXT
        advertised.listeners=PLAINTEXT://localhost:19092,CONTROLLER://localhost:9093
        controller.listener.names=CONTROLLER
        listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL
        num.network.threads=3
        socket.send.buffer.bytes=102400
        log.dirs=/tmp/kraft-combined-logs
        num.recovery.threads.per.data.dir=1
        offsets.topic.replication.factor=1
        transaction.state.log.min.isr=1
        log.retention.hours=168
        log.segment.bytes=1073741824
        """
    )
    configuration = load(properties_file=str(properties))
    assert configuration.warnings == ()
    assert configuration.node_id == 7
    assert configuration.log_dirs == ("/tmp/kraft-combined-logs",)
    (listener,) = configuration.listeners
    assert (listener.port, listener.advertised) == (19092, Address("localhost", 19092))


def test_the_cluster_id_comes_from_the_environment() -> None:
    environment = {"CLUSTER_ID": "MkU3OEVBNTcwNTJENDM2Qk"}
    assert load(environment=environment).cluster_id == "MkU3OEVBNTcwNTJENDM2Qk"
    with pytest.raises(ConfigurationError, match="without spaces"):
        load(environment={"CLUSTER_ID": "a b"})


def test_an_unknown_key_is_warned_about_with_its_place_and_a_close_match() -> None:
    configuration = load(settings=("num.partition=3", "zzz=1"))
    assert configuration.warnings == (
        "unknown setting num.partition (--set) has no effect; did you mean num.partitions?",
        "unknown setting zzz (--set) has no effect",
    )
    assert "num.partition" not in configuration.values


def test_a_bad_value_says_key_value_place_and_what_is_allowed(properties: pathlib.Path) -> None:
    properties.write_text("# numbers\nnum.partitions=0\n")
    with pytest.raises(ConfigurationError) as caught:
        load(properties_file=str(properties), environment={"KAFKA_NUM_IO_THREADS": "many"})
    at_file, at_environment = sorted(caught.value.problems, key=lambda text: "KAFKA" in text)
    for part in ("server.properties:2", "num.partitions", "0", "at least 1"):
        assert part in at_file
    for part in ("KAFKA_NUM_IO_THREADS", "num.io.threads", "many", "INT"):
        assert part in at_environment


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"node.id": "1", "broker.id": "2"}, "one setting under two names"),
        ({"node.id": "-1"}, "node.id"),
        ({"broker.id": "-1"}, "allowed: 0 to"),
        ({"process.roles": "controller"}, "needs no separate controller"),
        ({"log.dirs": "/a,/a/../a"}, "the same directory occurs twice"),
        ({"log.dirs": ""}, "at least one directory"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(
    values: dict[str, str], reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        configuration_of(values, origin="server.properties")


def test_listen_names_every_listener_and_advertise_follows_its_position() -> None:
    configuration = load(listen=("0.0.0.0:9092", "[::1]:0"), advertise=("kafka.example.org:19092",))
    first, second = configuration.listeners
    assert first == ("PLAINTEXT", "0.0.0.0", 9092, Address("kafka.example.org", 19092))
    assert second == ("PLAINTEXT_2", "::1", 0, Address("::1", 0))


def test_listen_replaces_listeners_but_keeps_what_is_advertised_for_its_name() -> None:
    environment = {
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,OTHER://:9094",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "OTHER:PLAINTEXT",
        "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://host:1,OTHER://host:2",
    }
    (listener,) = load(environment=environment, listen=(":9095",)).listeners
    assert listener == ("PLAINTEXT", "", 9095, Address("host", 1))


def test_advertise_belongs_to_the_first_listener_of_a_file(properties: pathlib.Path) -> None:
    properties.write_text("listeners=PLAINTEXT://:9092,CONTROLLER://:9093")
    (listener,) = load(properties_file=str(properties), advertise=("host:5",)).listeners
    assert listener.advertised == Address("host", 5)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"listen": ("9092",)}, "--listen 9092: the port is missing"),
        ({"advertise": ("host",)}, "--advertise host: the port is missing"),
        ({"advertise": ("a:1", "b:2")}, "--advertise is given 2 times for 1 listener"),
        ({"advertise": (":1",)}, "clients can't connect to ''"),
        ({"settings": ("novalue",)}, "--set novalue: write --set KEY=VALUE"),
        ({"settings": ("=1",)}, "write --set KEY=VALUE"),
        ({"data_directory": "a,b"}, "one directory"),
        ({"data_directory": ""}, "one directory"),
        ({"properties_file": "/no/such/file"}, "can't read --config /no/such/file: No such file"),
    ],
)
def test_flags_that_make_no_sense_are_refused(
    flags: dict[str, str | tuple[str, ...]], reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        load_configuration(Flags(**flags), {})  # type: ignore[arg-type]


def test_a_broken_file_names_its_line(properties: pathlib.Path) -> None:
    properties.write_text("a=b\nc=\\u12")
    with pytest.raises(ConfigurationError, match=r"server\.properties:2: .*hexadecimal"):
        load(properties_file=str(properties))


def test_a_file_in_utf8_or_latin1_is_read(properties: pathlib.Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "latin-1"):
        properties.write_bytes("broker.rack=Köln".encode(encoding))
        assert load(properties_file=str(properties)).rack == "Köln"


def test_a_configuration_can_not_be_changed() -> None:
    configuration = of(num_partitions="3")
    with pytest.raises(AttributeError):
        configuration.node_id = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        configuration.values["num.partitions"] = "4"  # type: ignore[index]
