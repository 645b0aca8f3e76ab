"""`ottla.testing.Broker`: real clients against a broker in this process."""

from __future__ import annotations

import asyncio
import gc
import pathlib
import socket
import subprocess
import sys

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from ottla.testing import Broker
from ottla.wire.errors import ErrorCode, ProtocolError


def produce(broker: Broker, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    for value in values:
        producer.send(topic, value)
    producer.flush()
    producer.close()


def consume(broker: Broker, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest"
    )
    consumer.assign([TopicPartition(topic, 0)])
    consumer.seek_to_beginning()
    values: list[bytes] = []
    while len(values) < count:
        for records in consumer.poll(timeout_ms=5000).values():
            values += [record.value for record in records]
    consumer.close()
    return values


@pytest.mark.parametrize("storage", ["memory", "temporary"])
def test_what_is_produced_is_consumed_and_survives_a_restart_on_the_same_port(
    storage: str,
) -> None:
    with Broker(storage) as broker:
        broker.create_topic("greetings")
        produce(broker, "greetings", b"one", b"two")
        assert consume(broker, "greetings", 2) == [b"one", b"two"]
        servers = broker.bootstrap_servers
        broker.restart()
        assert broker.bootstrap_servers == servers
        produce(broker, "greetings", b"three")
        assert consume(broker, "greetings", 3) == [b"one", b"two", b"three"]


def test_a_directory_of_ones_own_stays(tmp_path: pathlib.Path) -> None:
    with Broker(tmp_path / "data") as broker:
        broker.create_topic("kept")
        produce(broker, "kept", b"x")
    with Broker(str(tmp_path / "data")) as broker:
        assert consume(broker, "kept", 1) == [b"x"]


def test_a_temporary_directory_goes_with_the_broker() -> None:
    broker = Broker("temporary")
    directory = pathlib.Path(broker.data_directory)
    with broker:
        assert directory.exists()
    assert not directory.exists()
    forgotten = Broker("temporary")
    directory = pathlib.Path(forgotten.data_directory)
    assert directory.exists()
    del forgotten
    gc.collect()
    assert not directory.exists()


def test_topics_are_made_as_asked_and_refused_with_kafkas_error() -> None:
    with Broker() as broker:
        broker.create_topic("shaped", 3, config={"retention.ms": 5000})
        consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers)
        assert consumer.partitions_for_topic("shaped") == {0, 1, 2}
        consumer.close()
        with pytest.raises(ProtocolError) as caught:
            broker.create_topic("shaped")
        assert caught.value.code is ErrorCode.TOPIC_ALREADY_EXISTS
        with pytest.raises(ProtocolError) as caught:
            broker.create_topic("no spaces")
        assert caught.value.code is ErrorCode.INVALID_TOPIC_EXCEPTION


def test_unique_topics_differ_and_their_names_are_legal() -> None:
    with Broker() as broker:
        names = {broker.create_unique_topic("test_it[a b/ü]") for _ in range(3)}
        assert len(names) == 3
        assert all(name.startswith("test_it-a-b") for name in names)


def test_settings_are_passed_on_and_checked() -> None:
    from ottla.broker.configuration import ConfigurationError

    with Broker(config={"auto.create.topics.enable": False, "num.partitions": 4}) as broker:
        assert broker.settings["auto.create.topics.enable"] == "false"
        assert broker.settings["num.partitions"] == "4"
        assert broker.settings["group.initial.rebalance.delay.ms"] == "0"
    with (
        pytest.raises(ConfigurationError, match=r"num\.partitions"),
        Broker(config={"num.partitions": "none"}),
    ):
        pass


def test_a_taken_port_is_a_plain_error_and_leaves_nothing_running() -> None:
    from ottla.broker.node import StartError

    with socket.create_server(("127.0.0.1", 0)) as taken:
        broker = Broker(port=taken.getsockname()[1])
        with pytest.raises(StartError, match=str(taken.getsockname()[1])):
            broker.start()
        assert not broker.is_running
        broker.close()


def test_two_brokers_live_side_by_side() -> None:
    with Broker() as first, Broker() as second:
        assert first.bootstrap_servers != second.bootstrap_servers
        first.create_topic("only-here")
        second.create_topic("only-here")


def test_stop_is_idempotent_and_start_is_not() -> None:
    broker = Broker()
    with pytest.raises(RuntimeError, match="no port"):
        _ = broker.bootstrap_servers
    broker.start()
    with pytest.raises(RuntimeError, match="runs already"):
        broker.start()
    broker.stop()
    broker.stop()
    assert not broker.is_running
    with pytest.raises(OSError):
        broker.create_topic("nobody-listens")
    broker.close()


def test_async_with_does_not_stop_the_callers_loop() -> None:
    async def main() -> str:
        async with Broker() as broker:
            reader, writer = await asyncio.open_connection(broker.host, broker.port)
            writer.close()
            await writer.wait_closed()
            assert reader is not None
            return broker.bootstrap_servers

    assert asyncio.run(main()).startswith("127.0.0.1:")


def test_a_forked_child_leaves_its_parents_broker_alone() -> None:
    script = """
import os, pathlib
from ottla.testing import Broker
with Broker("temporary") as broker:
    child = os.fork()
    if child == 0:
        broker.close()
        os._exit(7)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert pathlib.Path(broker.data_directory).exists()
    broker.create_topic("still-served")
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "done\n", done.stderr


def test_a_process_that_forgets_its_broker_ends_and_leaves_nothing() -> None:
    script = (
        "from ottla.testing import Broker; broker = Broker('temporary'); broker.start();"
        "print(broker.data_directory)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert not pathlib.Path(done.stdout.strip()).exists()


def test_the_fixtures_give_a_broker_and_a_fresh_topic(
    ottla_broker: Broker, ottla_topic: str
) -> None:
    produce(ottla_broker, ottla_topic, b"x")
    assert consume(ottla_broker, ottla_topic, 1) == [b"x"]


def test_the_plugin_alone_imports_nothing_of_the_broker() -> None:
    script = (
        "import pytest, sys; before = set(sys.modules); import ottla.testing.plugin;"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['ottla', 'ottla.testing', 'ottla.testing.plugin']"


@pytest.mark.parametrize("options", [["-p", "no:ottla"], ["-W", "error"]])
def test_a_run_that_does_not_use_the_plugin_is_not_disturbed(
    options: list[str], tmp_path: pathlib.Path
) -> None:
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, "test_other.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
